-- meta_retry_queue::set_aside, 3 of 4: what waits of a dataset and was received before a time is a dead letter.
-- $1 dataset id, $2 received before, $3 how many at most
WITH chosen AS MATERIALIZED (
    SELECT dataset_id, event_number FROM meta_retry_queue r
    WHERE dataset_id = $1 AND status = 'waiting'
        AND EXISTS (SELECT FROM events e WHERE e.dataset_id = r.dataset_id AND e.day = r.day AND e.event_number = r.event_number
            AND e.received_at < $2)
    ORDER BY event_number LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE meta_retry_queue r
SET status = 'failed', reason = 'set_aside', next_retry_at = NULL, failed_at = rastro_now()
FROM chosen WHERE r.dataset_id = chosen.dataset_id AND r.event_number = chosen.event_number
RETURNING r.dataset_id, r.event_number, r.event_name, r.event_id
