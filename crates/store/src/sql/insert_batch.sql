-- send_batches: events become one request that is ours until the lease ends.
-- $1 dataset id, $2 test event code, $3 event numbers, $4 retries behind each, $5 and $6 first and last day
-- of receipt, $7 attempt, $8 lease in seconds, $9 owner
INSERT INTO send_batches (
    dataset_id, test_event_code, event_numbers, retries, first_day, last_day, attempt, lease_expires_at, owner, claimed_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, rastro_now() + $8 * interval '1 second', $9, rastro_now())
RETURNING batch_id, lease_expires_at
