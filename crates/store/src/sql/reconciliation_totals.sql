-- revenue::finding_totals: what comparisons found in a period, by kind and by what was done; of accounts of a currency.
-- $1 dataset, $2 currency, $3 first day, $4 last day, $5 time zone
SELECT f.finding, f.action, count(*) AS findings, count(DISTINCT f.payment_id) AS payments,
    sum(f.remote_minor - f.local_minor)::bigint AS difference_minor, max(f.found_at) AS last_found_at
FROM reconciliation_runs r
JOIN payment_accounts a ON a.dataset_id = r.dataset_id AND a.account_id = r.account_id AND a.currency = $2
JOIN reconciliation_findings f ON f.dataset_id = r.dataset_id AND f.run_id = r.run_id
WHERE r.dataset_id = $1 AND f.found_at >= ($3::date::timestamp AT TIME ZONE $5)
    AND f.found_at < (($4::date + 1)::timestamp AT TIME ZONE $5)
GROUP BY f.finding, f.action
ORDER BY f.finding, f.action
