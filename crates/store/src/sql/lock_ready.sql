-- send_queue::lock: locks the oldest runs of one lane that nobody else is claiming. None, if the breaker
-- changed since the caller looked at it.
-- $1 dataset id, $2 test event code, $3 first event number to look at (deleted rows before it, which vacuum
-- has not removed yet, need not be passed), $4 the breaker's generation as the caller saw it, $5 how many
-- runs at most
SELECT dataset_id, test_event_code, first_number, last_number, day, retries, floor(extract(epoch FROM send_by))::bigint AS send_by
FROM send_queue
WHERE dataset_id = $1 AND test_event_code = $2 AND first_number >= $3
    AND coalesce((SELECT generation FROM circuit_breakers WHERE dataset_id = $1), 0) = $4
ORDER BY first_number LIMIT $5
FOR UPDATE SKIP LOCKED
