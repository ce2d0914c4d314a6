-- meta_retry_queue::expire_ready: takes events out of the queue that became too old for Meta before their turn came.
-- $1 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, test_event_code, event_number FROM send_queue
    WHERE send_by <= rastro_now()
    LIMIT $1 FOR UPDATE SKIP LOCKED
)
DELETE FROM send_queue q USING old
WHERE q.dataset_id = old.dataset_id AND q.test_event_code = old.test_event_code AND q.event_number = old.event_number
RETURNING q.dataset_id, q.test_event_code, q.event_number, q.day, q.retries, q.send_by
