-- reconciliation::resume: gives up one that was taken over again and again and never ended; the next begins where the last
-- complete one ended. What it found stays, and so does what it changed in the books.
-- $1 dataset, $2 account, $3 kind
UPDATE reconciliation_runs SET state = 'failed', problem = 'taken over too often', finished_at = rastro_now()
WHERE dataset_id = $1 AND account_id = $2 AND kind = $3 AND state = 'running' AND lease_until <= rastro_now() AND fence >= 30
