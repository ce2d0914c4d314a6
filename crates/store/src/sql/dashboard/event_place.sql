-- dashboard::event_passport, where it is if it was not delivered. $1 dataset id, $2 number
SELECT CASE status WHEN 'failed' THEN 'failed' ELSE 'waiting' END AS place, next_retry_at, retry_count, reason, last_error,
    error_code, error_subcode, failed_at
FROM meta_retry_queue WHERE dataset_id = $1 AND event_number = $2
UNION ALL
SELECT 'ready', NULL, retries, NULL, NULL, NULL, NULL, NULL 
FROM send_queue WHERE dataset_id = $1 AND $2 BETWEEN first_number AND last_number
UNION ALL
SELECT 'in_flight', NULL, 0::smallint, NULL, NULL, NULL, NULL, NULL
FROM send_batches WHERE dataset_id = $1 AND event_numbers @> ARRAY[$2]
LIMIT 1
