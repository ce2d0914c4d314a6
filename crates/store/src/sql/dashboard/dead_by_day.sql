-- dashboard::dead_by_day: dead letters by the day they stopped. $1 dataset id or NULL, $2 since, $3 zone
SELECT (failed_at AT TIME ZONE $3)::date AS day, count(*) AS events FROM meta_retry_queue
WHERE status = 'failed' AND failed_at >= $2 AND ($1::bigint IS NULL OR dataset_id = $1)
GROUP BY 1
