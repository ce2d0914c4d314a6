-- send_batches::take_over: a batch whose owner let the lease end gets a new owner and a new fence. Not while
-- the dataset is left alone: the retry-worker dissolves those batches.
-- $1 lease in seconds, $2 owner, $3 datasets of which none is wanted
WITH lapsed AS MATERIALIZED (
    SELECT dataset_id, batch_id FROM send_batches b
    WHERE lease_expires_at < rastro_now() AND dataset_id <> ALL ($3) AND NOT EXISTS (
        SELECT FROM circuit_breakers c WHERE c.dataset_id = b.dataset_id
        AND NOT (c.manual = 'forced_closed' OR c.manual = 'automatic' AND c.state = 'closed')
    )
    ORDER BY lease_expires_at LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE send_batches b
SET fence = b.fence + 1, attempt = b.attempt + 1, lease_expires_at = rastro_now() + $1 * interval '1 second', owner = $2
FROM lapsed
WHERE b.dataset_id = lapsed.dataset_id AND b.batch_id = lapsed.batch_id
RETURNING b.dataset_id, b.batch_id, b.fence, b.attempt, b.test_event_code, b.event_numbers, b.retries, b.first_day, b.last_day,
    b.lease_expires_at
