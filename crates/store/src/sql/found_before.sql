-- reconciliation::found_before: the payments of a slice that `count_slice` counts by their findings.
-- $1 dataset, $2 run, $3 where the slice begins
SELECT payment_id, bool_or(remote_minor <> local_minor) AS differs FROM reconciliation_findings
WHERE dataset_id = $1 AND run_id = $2 AND slice_from = $3
    AND (remote_minor <> local_minor OR finding IN ('missing_remote', 'missing_local'))
GROUP BY payment_id
