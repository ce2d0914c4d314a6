-- reconciliation::forget_findings: deletes what comparisons found so long ago, the oldest first. A comparison's own sums stay. One
-- that is still to end counts its findings first.
-- $1 days, $2 how many at most
WITH old AS MATERIALIZED (
    SELECT f.dataset_id, f.run_id, f.payment_id, f.finding FROM reconciliation_findings f
    JOIN reconciliation_runs r ON r.dataset_id = f.dataset_id AND r.run_id = f.run_id AND r.state <> 'running'
    WHERE f.found_at < rastro_now() - make_interval(days => $1)
    ORDER BY f.found_at LIMIT $2 FOR UPDATE OF f SKIP LOCKED
)
DELETE FROM reconciliation_findings f USING old
WHERE f.dataset_id = old.dataset_id AND f.run_id = old.run_id AND f.payment_id = old.payment_id AND f.finding = old.finding
