-- What the payment provider's reports say was really credited. The books get the difference as movements of their own, whose
-- keys begin with settled: and which nothing that a payment itself tells takes back.
SET LOCAL lock_timeout = '5s';

-- Reports that were imported, each once whatever its name.
CREATE TABLE settlement_reports (
    dataset_id bigint NOT NULL REFERENCES datasets ON DELETE CASCADE,
    account_id bigint NOT NULL,
    -- SHA-256 of the file.
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    -- An account is settled by one kind: both tell of the same money.
    report text NOT NULL CHECK (report IN ('settlement', 'release')),
    file_name text NOT NULL,
    -- The first and the last time in it; NULL: it has no rows of payments.
    first_at timestamptz,
    last_at timestamptz,
    imported_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, account_id, content_hash)
);

-- Their rows of payments. A row that a later report has again is the same.
CREATE TABLE payment_settlements (
    dataset_id bigint NOT NULL REFERENCES datasets ON DELETE CASCADE,
    payment_id text NOT NULL,
    -- Its type, time and amounts, and which of several such it is in its report.
    row_key text NOT NULL,
    account_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('sale', 'return')),
    -- Signed, in the smallest unit.
    gross_minor bigint NOT NULL,
    net_minor bigint NOT NULL,
    -- NULL: sold in one and settled in another.
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    settled_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, payment_id, row_key)
);
CREATE INDEX payment_settlements_by_time ON payment_settlements (dataset_id, account_id, settled_at);

ALTER TABLE reconciliation_runs
    DROP CONSTRAINT reconciliation_runs_kind_check,
    ADD CONSTRAINT reconciliation_runs_kind_check CHECK (kind IN ('hourly', 'nightly', 'weekly', 'manual', 'report')),
    DROP CONSTRAINT reconciliation_runs_window_of_check,
    ADD CONSTRAINT reconciliation_runs_window_of_check CHECK (window_of IN ('date_last_updated', 'date_created', 'settlement'));
