-- revenue::findings: the newest of a period, one by one; of accounts of a currency.
-- $1 dataset, $2 currency, $3 first day, $4 last day, $5 time zone, $6 at most so many
SELECT f.found_at, f.payment_id, f.finding, f.action, f.remote_minor, f.local_minor, r.kind
FROM reconciliation_runs r
JOIN payment_accounts a ON a.dataset_id = r.dataset_id AND a.account_id = r.account_id AND a.currency = $2
JOIN reconciliation_findings f ON f.dataset_id = r.dataset_id AND f.run_id = r.run_id
WHERE r.dataset_id = $1 AND f.found_at >= ($3::date::timestamp AT TIME ZONE $5)
    AND f.found_at < (($4::date + 1)::timestamp AT TIME ZONE $5)
ORDER BY f.found_at DESC, f.payment_id, f.finding LIMIT $6
