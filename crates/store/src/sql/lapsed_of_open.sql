-- send_batches::dissolve_lapsed: takes batches away whose owner let the lease end and whose dataset is left
-- alone.
-- $1 how many at most
WITH lapsed AS MATERIALIZED (
    SELECT dataset_id, batch_id FROM send_batches b
    WHERE lease_expires_at < rastro_now() AND EXISTS (
        SELECT FROM circuit_breakers c WHERE c.dataset_id = b.dataset_id
        AND NOT (c.manual = 'forced_closed' OR c.manual = 'automatic' AND c.state = 'closed')
    )
    ORDER BY lease_expires_at LIMIT $1
    FOR UPDATE SKIP LOCKED
)
DELETE FROM send_batches b USING lapsed
WHERE b.dataset_id = lapsed.dataset_id AND b.batch_id = lapsed.batch_id
RETURNING b.dataset_id, b.batch_id, b.fence, b.attempt, b.test_event_code, b.event_numbers, b.retries, b.first_day, b.last_day,
    b.lease_expires_at
