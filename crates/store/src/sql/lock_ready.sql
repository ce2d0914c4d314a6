-- send_batches::claim, 1 of 4: locks the oldest ready events of one lane that nobody else is claiming. None, if the breaker
-- changed since the caller looked at it.
-- $1 dataset id, $2 test event code, $3 first event number to look at (deleted rows before it, which vacuum has not removed
-- yet, need not be passed), $4 the breaker's generation as the caller saw it, $5 how many at most
SELECT event_number, day, retries FROM send_queue
WHERE dataset_id = $1 AND test_event_code = $2 AND event_number >= $3
    AND coalesce((SELECT generation FROM circuit_breakers WHERE dataset_id = $1), 0) = $4
ORDER BY event_number LIMIT $5
FOR UPDATE SKIP LOCKED
