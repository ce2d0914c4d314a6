SET LOCAL lock_timeout = '5s';

-- What was booked stays booked; the old programs have no such comparisons.
DELETE FROM reconciliation_runs WHERE kind = 'report';
ALTER TABLE reconciliation_runs
    DROP CONSTRAINT reconciliation_runs_kind_check,
    ADD CONSTRAINT reconciliation_runs_kind_check CHECK (kind IN ('hourly', 'nightly', 'weekly', 'manual')),
    DROP CONSTRAINT reconciliation_runs_window_of_check,
    ADD CONSTRAINT reconciliation_runs_window_of_check CHECK (window_of IN ('date_last_updated', 'date_created'));
DROP TABLE payment_settlements;
DROP TABLE settlement_reports;
