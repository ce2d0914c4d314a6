-- meta_retry_queue::clear_deleted_datasets: takes runs out of the queue whose dataset does not exist any
-- more. Runs are taken whole, in order, until they hold as many events as are wanted.
-- $1 how many events; dataset id, test event code and first event number $2, $3, $4 behind which and $5, $6, $7 up to which it
-- is looked
WITH found AS MATERIALIZED (
    SELECT dataset_id, test_event_code, first_number, last_number FROM send_queue q
    WHERE (dataset_id, test_event_code, first_number) > ($2, $3, $4)
        AND (dataset_id, test_event_code, first_number) <= ($5, $6, $7)
        AND NOT EXISTS (SELECT FROM datasets d WHERE d.dataset_id = q.dataset_id)
    LIMIT $1 FOR UPDATE SKIP LOCKED
), counted AS (
    SELECT dataset_id, test_event_code, first_number, sum(last_number - first_number + 1) OVER (
        ORDER BY dataset_id, test_event_code, first_number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS events_before
    FROM found
)
DELETE FROM send_queue q USING counted c
WHERE q.dataset_id = c.dataset_id AND q.test_event_code = c.test_event_code AND q.first_number = c.first_number
    AND coalesce(c.events_before, 0) < $1
RETURNING q.dataset_id, q.test_event_code, q.first_number, q.last_number, q.day, q.retries,
    floor(extract(epoch FROM q.send_by))::bigint AS send_by
