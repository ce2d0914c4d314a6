-- revenue::reconciled_accounts: of each account the newest comparison of each kind that was finished, and why a later one is not.
-- $1 dataset
SELECT a.account_id, a.label, a.currency, a.blocked_reason, kinds.kind, run.run_id, run.window_of, run.window_from, run.window_to,
    run.finished_at, run.remote_count, run.remote_minor, run.local_count, run.local_minor, run.after_minor, run.difference_minor,
    failed.problem
FROM payment_accounts a
CROSS JOIN (VALUES ('hourly'), ('nightly'), ('weekly')) AS kinds (kind)
LEFT JOIN LATERAL (
    SELECT * FROM reconciliation_runs r
    WHERE r.dataset_id = $1 AND r.account_id = a.account_id AND r.kind = kinds.kind AND r.state = 'complete'
    ORDER BY r.window_to DESC LIMIT 1
) AS run ON true
LEFT JOIN LATERAL (
    SELECT r.problem FROM reconciliation_runs r
    WHERE r.dataset_id = $1 AND r.account_id = a.account_id AND r.kind = kinds.kind AND r.state <> 'complete'
        AND r.problem IS NOT NULL AND r.run_id > coalesce(run.run_id, 0)
    ORDER BY r.run_id DESC LIMIT 1
) AS failed ON true
WHERE a.dataset_id = $1
ORDER BY a.account_id, kinds.kind
