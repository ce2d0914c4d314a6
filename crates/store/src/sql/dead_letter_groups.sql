-- meta_retry_queue::dead_letter_groups: dead letters by dataset, reason and Meta's code, with the newest
-- message of each. NULL means any: $1 dataset id, $2 code, $3 reason
SELECT g.*, newest.newest_error
FROM (
    SELECT dataset_id, reason, error_code, error_subcode, count(*) AS count,
        count(*) FILTER (WHERE send_by > rastro_now()) AS retryable, min(failed_at) AS first_failed_at,
        max(failed_at) AS last_failed_at
    FROM meta_retry_queue
    WHERE status = 'failed'
        AND ($1::bigint IS NULL OR dataset_id = $1)
        AND ($2::integer IS NULL OR error_code = $2)
        AND ($3::text IS NULL OR reason = $3)
    GROUP BY dataset_id, reason, error_code, error_subcode
) AS g CROSS JOIN LATERAL (
    SELECT r.last_error AS newest_error FROM meta_retry_queue r
    WHERE r.status = 'failed' AND r.dataset_id = g.dataset_id AND r.reason = g.reason
        AND r.error_code IS NOT DISTINCT FROM g.error_code AND r.error_subcode IS NOT DISTINCT FROM g.error_subcode
    ORDER BY r.failed_at DESC LIMIT 1
) AS newest
ORDER BY g.dataset_id, g.reason, g.error_code, g.error_subcode
