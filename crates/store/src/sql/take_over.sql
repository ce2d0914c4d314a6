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
SELECT batch.dataset_id, batch.batch_id, batch.fence, batch.attempt, batch.test_event_code, rastro_now(),
    s.segment_number, s.day, part.numbers, part.retries, s.heads, s.body
FROM batch CROSS JOIN LATERAL (
    SELECT n / 1000 * 1000 AS segment_number, array_agg(n ORDER BY n) AS numbers,
        array_agg(coalesce(r, 0::smallint) ORDER BY n) AS retries
    FROM unnest(batch.event_numbers, batch.retries) AS t (n, r) GROUP BY 1
) AS part CROSS JOIN LATERAL (
    -- One look-up a segment, whatever the planner thinks of the size of the table.
    SELECT * FROM event_segments
    WHERE dataset_id = batch.dataset_id AND day BETWEEN batch.first_day AND batch.last_day
        AND segment_number = part.segment_number AND test_event_code = batch.test_event_code
    OFFSET 0
) AS s
