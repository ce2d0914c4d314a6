-- What happens to events that Meta would not or could not take: they wait, are tried again, or are kept as dead letters;
-- and a dataset whose requests keep failing is left alone for a while.
SET LOCAL lock_timeout = '5s';

-- How many retries an event has behind it travels with it.
ALTER TABLE send_queue ADD COLUMN retries smallint NOT NULL DEFAULT 0;
-- By position, like event_numbers. Empty: none of them has any.
ALTER TABLE send_batches ADD COLUMN retries smallint[] NOT NULL DEFAULT '{}';
ALTER TABLE send_batches ADD CONSTRAINT send_batches_retries_by_position
    CHECK (cardinality(retries) IN (0, cardinality(event_numbers)));

-- Events between a failure and the next attempt, and dead letters.
CREATE TABLE meta_retry_queue (
    dataset_id bigint NOT NULL,
    event_number bigint NOT NULL,
    day date NOT NULL,
    test_event_code text NOT NULL,
    event_name text NOT NULL,
    event_id text NOT NULL,
    send_by timestamptz NOT NULL,
    -- The server event as it was accepted.
    payload text NOT NULL,
    -- Retries behind it, not counting the first attempt.
    retry_count smallint NOT NULL CHECK (retry_count >= 0),
    next_retry_at timestamptz,
    last_error text NOT NULL,
    error_code integer,
    error_subcode integer,
    -- waiting: due again at next_retry_at. failed: a dead letter, kept until an operator retries it.
    status text NOT NULL CHECK (status IN ('waiting', 'failed')),
    -- Of a dead letter. refused: Meta will never take it as it is. exhausted: no retry was left. expired: too old for Meta.
    reason text CHECK (reason IN ('refused', 'exhausted', 'expired')),
    failed_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, event_number),
    CHECK ((status = 'waiting') = (next_retry_at IS NOT NULL)),
    CHECK ((status = 'failed') = (reason IS NOT NULL))
);
CREATE INDEX meta_retry_queue_due ON meta_retry_queue (next_retry_at) WHERE status = 'waiting';
CREATE INDEX meta_retry_queue_dead ON meta_retry_queue (dataset_id, failed_at) WHERE status = 'failed';
ALTER TABLE meta_retry_queue SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);

-- A dataset that has ever been left alone. Every change is a compare-and-set on the generation.
CREATE TABLE circuit_breakers (
    dataset_id bigint PRIMARY KEY REFERENCES datasets,
    state text NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    generation bigint NOT NULL CHECK (generation > 0),
    -- Why it is not closed. errors: too many requests failed. throttled: Meta said wait. blocked: a person must act.
    reason text CHECK (reason IN ('errors', 'throttled', 'blocked')),
    since timestamptz NOT NULL,
    open_until timestamptz,
    -- When it began to be left alone for errors or blocked. Kept beyond its closing until what failed only because of that
    -- is due again; only then NULL.
    outage_since timestamptz,
    -- Openings since it was last closed; the wait doubles with each.
    open_count integer NOT NULL CHECK (open_count >= 0),
    -- One probe is out until then.
    probe_until timestamptz,
    probe_successes integer NOT NULL,
    probe_failures integer NOT NULL,
    manual text NOT NULL CHECK (manual IN ('automatic', 'forced_open', 'forced_closed')),
    -- When an override ends by itself; NULL: never.
    manual_until timestamptz,
    -- Who overrode it and why.
    note text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL
);
ALTER TABLE circuit_breakers SET (fillfactor = 50);

-- How requests went, for as long as a breaker looks back. A refused event proves that Meta is alive: not a failure.
CREATE TABLE send_attempts (
    dataset_id bigint NOT NULL,
    attempted_at timestamptz NOT NULL,
    failed boolean NOT NULL
);
CREATE INDEX send_attempts_recent ON send_attempts (dataset_id, attempted_at);

-- What an operator asked for is an outcome too.
ALTER TABLE meta_events_log DROP CONSTRAINT meta_events_log_outcome_check;
ALTER TABLE meta_events_log ADD CONSTRAINT meta_events_log_outcome_check
    CHECK (outcome IN ('success', 'error', 'duplicate', 'expired', 'retried')) NOT VALID;

-- Keys for operators: of all datasets.
ALTER TABLE api_keys DROP CONSTRAINT api_keys_kind_check;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_kind_check CHECK (kind IN ('publishable', 'secret', 'admin'));
ALTER TABLE api_keys ALTER COLUMN dataset_id DROP NOT NULL;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_scope CHECK ((kind = 'admin') = (dataset_id IS NULL));

-- Drops daily partitions older than so many days, except where something undelivered still needs them; returns how many.
-- A partition that cannot be locked at once stays until the next time: waiting for it would block everybody else.
CREATE FUNCTION drop_day_partitions(keep_days integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    candidate record;
    oldest_kept date := (rastro_now() AT TIME ZONE 'UTC')::date - keep_days;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7266100001);
    PERFORM set_config('lock_timeout', '500ms', true);
    oldest_kept := least(
        oldest_kept,
        (SELECT min(first_day) FROM send_batches),
        (SELECT min(day) FROM send_queue),
        -- A dead letter that is too old for Meta is never sent again, and must not keep all days since.
        (SELECT min(day) FROM meta_retry_queue WHERE send_by > rastro_now())
    );
    FOR candidate IN
        SELECT c.relname, i.inhparent::regclass AS parent
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('events'::regclass, 'meta_events_log'::regclass)
        AND to_date(right(c.relname, 8), 'YYYYMMDD') < oldest_kept
        ORDER BY c.relname
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE %I', candidate.relname);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END LOOP;
    RETURN dropped;
END $$;
