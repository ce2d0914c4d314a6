-- meta_retry_queue::retry_failed: dead letters that an operator wants sent again are due, spread over a while. Who asked is
-- logged. Those too old for Meta are only counted: they would expire again
WITH matching AS MATERIALIZED (
    SELECT dataset_id, event_number, send_by, send_by <= rastro_now() AS too_old FROM meta_retry_queue
    WHERE status = 'failed'
        AND ($1::bigint IS NULL OR dataset_id = $1)
        AND ($2::bigint[] IS NULL OR event_number = ANY ($2))
        AND ($3::text[] IS NULL OR event_id = ANY ($3))
        AND ($4::integer IS NULL OR error_code = $4)
        AND ($5::timestamptz IS NULL OR failed_at >= $5)
        AND ($6::timestamptz IS NULL OR failed_at < $6)
        AND ($7::text IS NULL OR reason = $7)
), chosen AS MATERIALIZED (
    SELECT q.dataset_id, q.event_number FROM meta_retry_queue q JOIN matching m USING (dataset_id, event_number)
    -- Asked again of the row as it is when locked: two operators retry it once.
    WHERE NOT $8 AND NOT m.too_old AND q.status = 'failed'
    ORDER BY m.send_by LIMIT $9
    FOR UPDATE OF q SKIP LOCKED
), retried AS (
    UPDATE meta_retry_queue q
    SET status = 'waiting', reason = NULL, retry_count = 0,
        next_retry_at = rastro_now() + random() * $10 * interval '1 millisecond'
    FROM chosen
    WHERE q.dataset_id = chosen.dataset_id AND q.event_number = chosen.event_number
    RETURNING q.*
), logged AS (
    INSERT INTO event_outcomes (
        day, dataset_id, event_number, event_name, event_id, request_id, outcome, error_code, error_subcode, error_message,
        created_at
    )
    SELECT (rastro_now() AT TIME ZONE 'UTC')::date, dataset_id, event_number, event_name, event_id, $11, 'retried',
        error_code, error_subcode, $12, rastro_now()
    FROM retried
)
SELECT count(*) FILTER (WHERE NOT too_old), (SELECT count(*) FROM retried), count(*) FILTER (WHERE too_old) FROM matching
