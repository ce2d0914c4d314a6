-- meta_retry_queue::requeue_due: takes events out whose wait is over. Those of a dataset that is left alone
-- stay, and so do those that are too old for Meta.
-- $1 how many at most
WITH due AS MATERIALIZED (
    SELECT dataset_id, event_number FROM meta_retry_queue r
    WHERE status = 'waiting' AND next_retry_at <= rastro_now() AND send_by > rastro_now() AND NOT EXISTS (
        SELECT FROM circuit_breakers c WHERE c.dataset_id = r.dataset_id
        AND NOT (c.manual = 'forced_closed' OR c.manual = 'automatic' AND c.state = 'closed')
    )
    ORDER BY next_retry_at LIMIT $1
    FOR UPDATE SKIP LOCKED
)
DELETE FROM meta_retry_queue r USING due
WHERE r.dataset_id = due.dataset_id AND r.event_number = due.event_number
RETURNING r.dataset_id, r.test_event_code, r.event_number, r.day, r.retry_count AS retries, r.send_by
