-- reconciliation::count_slice: once for each slice, by whoever holds the comparison. The differences are those of its findings.
-- $1 dataset, $2 run, $3 fence, $4 cursor before, $5 cursor behind the slice, $6 to $10 its sums, $11 lease in seconds
UPDATE reconciliation_runs SET
    cursor_at = $5, remote_count = remote_count + $6, remote_minor = remote_minor + $7, local_count = local_count + $8,
    local_minor = local_minor + $9, after_minor = after_minor + $10,
    difference_minor = (
        SELECT coalesce(sum(f.remote_minor - f.local_minor), 0) FROM reconciliation_findings AS f
        WHERE f.dataset_id = $1 AND f.run_id = $2
    ),
    lease_until = rastro_now() + $11 * interval '1 second',
    state = CASE WHEN $5 >= window_to THEN 'complete' ELSE state END,
    finished_at = CASE WHEN $5 >= window_to THEN rastro_now() END
WHERE dataset_id = $1 AND run_id = $2 AND fence = $3 AND state = 'running' AND cursor_at = $4
