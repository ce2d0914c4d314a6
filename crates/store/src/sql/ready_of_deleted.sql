-- meta_retry_queue::clear_deleted_datasets: takes events out of the queue whose dataset does not exist any more.
-- $1 how many at most
WITH orphaned AS MATERIALIZED (
    SELECT dataset_id, test_event_code, event_number FROM send_queue q
    WHERE NOT EXISTS (SELECT FROM datasets d WHERE d.dataset_id = q.dataset_id)
    LIMIT $1 FOR UPDATE SKIP LOCKED
)
DELETE FROM send_queue q USING orphaned o
WHERE q.dataset_id = o.dataset_id AND q.test_event_code = o.test_event_code AND q.event_number = o.event_number
RETURNING q.dataset_id, q.test_event_code, q.event_number, q.day, q.retries, q.send_by
