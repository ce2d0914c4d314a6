-- reconciliation::resume: takes over one that nobody goes on with.
-- $1 dataset, $2 account, $3 kind, $4 lease in seconds
UPDATE reconciliation_runs SET fence = fence + 1, lease_until = rastro_now() + $4 * interval '1 second'
WHERE dataset_id = $1 AND account_id = $2 AND kind = $3 AND state = 'running' AND lease_until <= rastro_now()
RETURNING dataset_id, run_id, account_id, window_of, window_from, window_to, cursor_at, fence
