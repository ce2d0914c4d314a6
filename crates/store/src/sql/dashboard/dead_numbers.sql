-- dashboard::dead_numbers: those of one cause that Meta may still take. Parameters as in dead_sample.sql
SELECT r.event_number FROM meta_retry_queue r
WHERE r.status = 'failed' AND r.dataset_id = $1 AND r.reason = $2
    AND r.error_code IS NOT DISTINCT FROM $3 AND r.error_subcode IS NOT DISTINCT FROM $4
    AND ($5::timestamptz IS NULL OR r.failed_at >= $5) AND ($6::timestamptz IS NULL OR r.failed_at < $6)
    AND ($7::text IS NULL OR r.event_id = $7)
    AND r.send_by > rastro_now()
ORDER BY r.send_by, r.event_number LIMIT $8
