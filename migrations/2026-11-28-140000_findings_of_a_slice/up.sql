-- A finding says in which slice of its comparison it was made. So the sums of a slice hold what was found before an interruption,
-- of a payment too that has left the window since. Before, such a finding was in no sum, and its comparison never ended.
SET LOCAL lock_timeout = '5s';

-- Where the slice begins. NULL: of a report, or of a comparison that was made before.
ALTER TABLE reconciliation_findings ADD COLUMN slice_from timestamptz;
CREATE INDEX reconciliation_findings_of_slice ON reconciliation_findings (dataset_id, run_id, slice_from);
-- The next one begins where the last that was complete ended.
UPDATE reconciliation_runs SET state = 'failed', problem = 'begun by an older version', finished_at = rastro_now()
WHERE state = 'running';
