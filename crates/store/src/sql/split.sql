-- send_batches::split: a batch becomes two, both ours. No row: the lease was lost to another owner, and nothing was written
WITH batch AS (
    DELETE FROM send_batches
    WHERE dataset_id = $1 AND batch_id = $2 AND fence = $3
    RETURNING *
), evidence AS (
    INSERT INTO send_attempts (dataset_id, attempted_at, failed)
    SELECT dataset_id, rastro_now(), false FROM batch WHERE $4
)
INSERT INTO send_batches (
    dataset_id, test_event_code, event_numbers, retries, first_day, last_day, attempt, lease_expires_at, owner, claimed_at
)
SELECT dataset_id, test_event_code, half.event_numbers, half.retries, first_day, last_day, attempt,
    rastro_now() + $5 * interval '1 second', owner, claimed_at
FROM batch CROSS JOIN LATERAL (VALUES
    (event_numbers[:cardinality(event_numbers) / 2], retries[:cardinality(event_numbers) / 2]),
    (event_numbers[cardinality(event_numbers) / 2 + 1:], retries[cardinality(event_numbers) / 2 + 1:])
) AS half (event_numbers, retries)
RETURNING batch_id, event_numbers[1], rastro_now()
