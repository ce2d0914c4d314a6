-- meta_retry_queue::dead_letter_groups: dead letters by dataset, reason and Meta's code, with the newest message of each
SELECT g.*, newest.last_error
FROM (
    SELECT dataset_id, reason, error_code, error_subcode, count(*), count(*) FILTER (WHERE send_by > rastro_now()),
        min(failed_at), max(failed_at)
    FROM meta_retry_queue
    WHERE status = 'failed'
        AND ($1::bigint IS NULL OR dataset_id = $1)
        AND ($2::integer IS NULL OR error_code = $2)
        AND ($3::text IS NULL OR reason = $3)
    GROUP BY dataset_id, reason, error_code, error_subcode
) AS g CROSS JOIN LATERAL (
    SELECT last_error FROM meta_retry_queue q
    WHERE q.status = 'failed' AND q.dataset_id = g.dataset_id AND q.reason = g.reason
        AND q.error_code IS NOT DISTINCT FROM g.error_code AND q.error_subcode IS NOT DISTINCT FROM g.error_subcode
    ORDER BY failed_at DESC LIMIT 1
) AS newest
ORDER BY g.dataset_id, g.reason, g.error_code, g.error_subcode
