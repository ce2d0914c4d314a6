-- reconciliation::comparisons: the newest of an account.
-- $1 account, $2 at most so many
SELECT run_id, account_id, kind, state, window_from, window_to, remote_count, remote_minor, local_count, local_minor, after_minor,
    difference_minor, problem
FROM reconciliation_runs WHERE account_id = $1 ORDER BY run_id DESC LIMIT $2
