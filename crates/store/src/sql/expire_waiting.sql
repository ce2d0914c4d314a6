-- meta_retry_queue::expire_waiting: what became too old for Meta while it waited is a dead letter, and that is an outcome
WITH old AS MATERIALIZED (
    SELECT dataset_id, event_number FROM meta_retry_queue
    WHERE status = 'waiting' AND send_by <= rastro_now()
    LIMIT $1 FOR UPDATE SKIP LOCKED
), expired AS (
    UPDATE meta_retry_queue q
    SET status = 'failed', reason = 'expired', next_retry_at = NULL, failed_at = rastro_now()
    FROM old WHERE q.dataset_id = old.dataset_id AND q.event_number = old.event_number
    RETURNING q.*
), logged AS (
    INSERT INTO event_outcomes (
        day, dataset_id, event_number, event_name, event_id, request_id, outcome, error_message, created_at
    )
    SELECT (rastro_now() AT TIME ZONE 'UTC')::date, q.dataset_id, q.event_number, q.event_name, q.event_id,
        coalesce(q.request_id, '00000000-0000-0000-0000-000000000000'), 'expired', 'too old for Meta; last: ' || q.last_error,
        rastro_now()
    FROM expired q
)
SELECT count(*) FROM expired
