-- reconciliation::count_slice: once for each slice, by whoever holds the comparison. What differed is summed from the findings
-- themselves, those of before an interruption included: no cent is between the two sums that no finding names.
-- $1 dataset, $2 run, $3 fence, $4 cursor before, $5 cursor behind the slice, $6 payments that did not differ, $7 their revenue,
-- $8 what the books say behind it, $9 lease in seconds
UPDATE reconciliation_runs AS r SET
    cursor_at = $5, problem = NULL,
    remote_count = r.remote_count + $6 + found.remote_count, remote_minor = r.remote_minor + $7 + found.remote_minor,
    local_count = r.local_count + $6 + found.local_count, local_minor = r.local_minor + $7 + found.local_minor,
    difference_minor = r.difference_minor + found.remote_minor - found.local_minor, after_minor = r.after_minor + $8,
    lease_until = rastro_now() + $9 * interval '1 second',
    state = CASE WHEN $5 >= r.window_to THEN 'complete' ELSE r.state END,
    finished_at = CASE WHEN $5 >= r.window_to THEN rastro_now() END
FROM (
    SELECT count(*) FILTER (WHERE NOT is_missing_there) AS remote_count, count(*) FILTER (WHERE NOT is_missing_here) AS local_count,
        coalesce(sum(remote_minor), 0)::bigint AS remote_minor, coalesce(sum(local_minor), 0)::bigint AS local_minor
    FROM (
        SELECT sum(remote_minor) AS remote_minor, sum(local_minor) AS local_minor,
            bool_or(finding = 'missing_remote') AS is_missing_there, bool_or(finding = 'missing_local') AS is_missing_here
        FROM reconciliation_findings
        WHERE dataset_id = $1 AND run_id = $2 AND slice_from = $4
            AND (remote_minor <> local_minor OR finding IN ('missing_remote', 'missing_local'))
        GROUP BY payment_id
    ) AS payment
) AS found
WHERE r.dataset_id = $1 AND r.run_id = $2 AND r.fence = $3 AND r.state = 'running' AND r.cursor_at = $4
