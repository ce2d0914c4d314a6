-- dashboard::event_passport, the requests that carried it. $1 dataset id, $2 day of receipt, $3 number
SELECT attempt_id, batch_id, attempt, attempted_at, latency_ms, outcome, http_status, error_code, error_subcode, error_message,
    fbtrace_id, events_received, event_count
FROM send_attempts
WHERE dataset_id = $1 AND day >= $2 AND int8range(first_number, last_number, '[]') @> $3::bigint AND event_numbers @> ARRAY[$3::bigint]
    AND $2 BETWEEN first_day AND last_day
ORDER BY attempted_at, attempt_id LIMIT 200
