SET LOCAL lock_timeout = '5s';

-- The version before goes on only from sums of its own.
UPDATE reconciliation_runs SET state = 'failed', problem = 'begun by a newer version', finished_at = rastro_now()
WHERE state = 'running';
ALTER TABLE reconciliation_findings DROP COLUMN slice_from;
