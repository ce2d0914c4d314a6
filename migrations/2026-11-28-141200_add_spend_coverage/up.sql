-- Which days of an ad account were read, so that a reading that was broken off is gone on with.
SET LOCAL lock_timeout = '5s';

-- Every day of the span was read at least once. An account without a row is read from as far back as is configured.
CREATE TABLE spend_coverage (
    dataset_id bigint NOT NULL REFERENCES datasets ON DELETE CASCADE,
    channel text NOT NULL,
    account_id text NOT NULL,
    -- Days of the account, both included.
    first_day date NOT NULL,
    last_day date NOT NULL CHECK (last_day >= first_day),
    PRIMARY KEY (dataset_id, channel, account_id)
);
