-- send_batches::take_over: a batch whose owner let the lease end gets a new owner and a new fence. Not while the dataset
-- is left alone: what it holds has waited already, and can wait on
WITH lapsed AS MATERIALIZED (
    SELECT dataset_id, batch_id FROM send_batches b
    WHERE lease_expires_at < rastro_now() AND NOT EXISTS (
        SELECT FROM circuit_breakers c WHERE c.dataset_id = b.dataset_id
        AND (c.manual = 'forced_open' OR c.manual = 'automatic' AND c.state <> 'closed')
    )
    ORDER BY lease_expires_at LIMIT 1
    FOR UPDATE SKIP LOCKED
), batch AS (
    UPDATE send_batches b
    SET fence = b.fence + 1, attempt = b.attempt + 1,
        lease_expires_at = rastro_now() + $1 * interval '1 second', owner = $2
    FROM lapsed
    WHERE b.dataset_id = lapsed.dataset_id AND b.batch_id = lapsed.batch_id
    RETURNING b.dataset_id, b.batch_id, b.fence, b.attempt, b.test_event_code, b.event_numbers, b.retries, b.first_day,
        b.last_day
)
SELECT batch.dataset_id, batch.batch_id, batch.fence, batch.attempt, batch.test_event_code,
    e.event_number, e.day, coalesce(batch.retries[owned.position], 0::smallint), e.event_name, e.event_id,
    e.send_by <= rastro_now() AS too_old, e.request_id, e.traceparent, e.payload
FROM batch CROSS JOIN LATERAL unnest(batch.event_numbers) WITH ORDINALITY AS owned (event_number, position) JOIN events e
    ON e.dataset_id = batch.dataset_id AND e.day BETWEEN batch.first_day AND batch.last_day
    AND e.event_number = owned.event_number
ORDER BY e.event_number
