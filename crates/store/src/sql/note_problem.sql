-- reconciliation::note_problem: why the comparison under way does not come to its end.
-- $1 dataset, $2 account, $3 kind, $4 the problem
UPDATE reconciliation_runs SET problem = left($4, 500)
WHERE dataset_id = $1 AND account_id = $2 AND kind = $3 AND state = 'running'
