-- dashboard::dead_sample: some dead letters of one cause. $1 dataset id, $2 reason, $3 code, $4 subcode; NULL means any:
-- $5 failed from, $6 failed before, $7 event id; $8 limit
SELECT r.dataset_id, r.event_number, r.day, r.event_name, r.event_id, e.received_at, r.send_by,
    e.value::double precision AS value, e.currency, r.retry_count
FROM meta_retry_queue r
LEFT JOIN events e ON e.dataset_id = r.dataset_id AND e.event_number = r.event_number AND e.day = r.day
WHERE r.status = 'failed' AND r.dataset_id = $1 AND r.reason = $2
    AND r.error_code IS NOT DISTINCT FROM $3 AND r.error_subcode IS NOT DISTINCT FROM $4
    AND ($5::timestamptz IS NULL OR r.failed_at >= $5) AND ($6::timestamptz IS NULL OR r.failed_at < $6)
    AND ($7::text IS NULL OR r.event_id = $7)
ORDER BY (r.send_by > rastro_now()) DESC, r.send_by, r.event_number LIMIT $8
