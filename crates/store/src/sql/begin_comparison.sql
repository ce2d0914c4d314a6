-- reconciliation::begin: nothing if one of the kind is under way.
-- $1 dataset, $2 account, $3 kind, $4 date, $5 from, $6 to, $7 lease in seconds
INSERT INTO reconciliation_runs (
    dataset_id, account_id, kind, window_of, window_from, window_to, cursor_at, lease_until, started_at
)
VALUES ($1, $2, $3, $4, $5, $6, $5, rastro_now() + $7 * interval '1 second', rastro_now())
ON CONFLICT (dataset_id, account_id, kind) WHERE state = 'running' DO NOTHING
RETURNING dataset_id, run_id, account_id, window_of, window_from, window_to, cursor_at, fence
