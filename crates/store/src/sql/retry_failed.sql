-- meta_retry_queue::retry_failed, 2 of 2: dead letters that match are due again, spread over a while, with
-- all their retries; those closest to being too old first.
-- $1 to $7 as in count_dead_letters.sql, $8 how many at most, $9 spread in ms
WITH chosen AS MATERIALIZED (
    SELECT dataset_id, event_number FROM meta_retry_queue
    WHERE status = 'failed' AND send_by > rastro_now()
        AND ($1::bigint IS NULL OR dataset_id = $1)
        AND ($2::bigint[] IS NULL OR event_number = ANY ($2))
        AND ($3::text[] IS NULL OR event_id = ANY ($3))
        AND ($4::integer IS NULL OR error_code = $4)
        AND ($5::timestamptz IS NULL OR failed_at >= $5)
        AND ($6::timestamptz IS NULL OR failed_at < $6)
        AND ($7::text IS NULL OR reason = $7)
    ORDER BY send_by LIMIT $8
    FOR UPDATE SKIP LOCKED
)
UPDATE meta_retry_queue r
SET status = 'waiting', reason = NULL, retry_count = 0,
    next_retry_at = rastro_now() + r.event_number % 1000 / 1000.0 * $9 * interval '1 millisecond'
FROM chosen WHERE r.dataset_id = chosen.dataset_id AND r.event_number = chosen.event_number
RETURNING r.dataset_id, r.event_number, r.event_name, r.event_id
