-- meta_retry_queue::set_aside, 2 of 4: takes runs of a dataset out of the queue of which at least one event was received before a
-- time. Runs are taken whole, in order.
-- $1 dataset id, $2 received before, $3 how many runs
WITH found AS MATERIALIZED (
    SELECT dataset_id, test_event_code, first_number FROM send_queue q
    WHERE dataset_id = $1 AND day <= ($2 AT TIME ZONE 'UTC')::date
        AND EXISTS (SELECT FROM events e WHERE e.dataset_id = q.dataset_id AND e.day = q.day AND e.received_at < $2
            AND e.event_number BETWEEN q.first_number AND q.last_number)
    ORDER BY test_event_code, first_number
    LIMIT $3 FOR UPDATE SKIP LOCKED
)
DELETE FROM send_queue q USING found f
WHERE q.dataset_id = f.dataset_id AND q.test_event_code = f.test_event_code AND q.first_number = f.first_number
RETURNING q.dataset_id, q.test_event_code, q.first_number, q.last_number, q.day, q.retries,
    floor(extract(epoch FROM q.send_by))::bigint AS send_by
