-- From accepting an event to having sent it: who may send, what was seen, what waits, what is on its way, what
-- came of it. proto-docs/architecture.md walks one event through these tables.
SET LOCAL lock_timeout = '5s';

-- The one clock of all leases, windows and log rows. A function, so that a test can move time in its own database.
-- PostgreSQL inlines it: it costs nothing over now().
CREATE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT now()';

-- A Meta dataset (pixel). Its id is Meta's own number, and the tenant of every table below.
CREATE TABLE datasets (
    dataset_id bigint PRIMARY KEY CHECK (dataset_id > 0),
    name text NOT NULL,
    -- AES-256-GCM: nonce and ciphertext. The key is in the services' configuration, never here.
    access_token_sealed bytea NOT NULL,
    -- What to assume where an event does not say; NULL: assume nothing.
    default_country text CHECK (default_country ~ '^[a-z]{2}$'),
    default_currency text CHECK (default_currency ~ '^[A-Z]{3}$'),
    -- While it has not expired, events show up in Meta's Test Events under this code.
    test_event_code text CHECK (test_event_code <> ''),
    test_event_code_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT rastro_now(),
    updated_at timestamptz NOT NULL DEFAULT rastro_now(),
    CHECK ((test_event_code IS NULL) = (test_event_code_expires_at IS NULL))
);

CREATE TABLE api_keys (
    -- SHA-256 of the key; the key itself is stored nowhere.
    key_hash bytea PRIMARY KEY CHECK (length(key_hash) = 32),
    dataset_id bigint NOT NULL REFERENCES datasets,
    -- publishable: seen by browsers, its requests come from the visitor. secret: a server's.
    kind text NOT NULL CHECK (kind IN ('publishable', 'secret')),
    label text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT rastro_now(),
    revoked_at timestamptz
);
CREATE INDEX api_keys_by_dataset ON api_keys (dataset_id);

-- One row per event key ever accepted, until Meta would refuse a resend anyway. The only uniqueness check.
CREATE TABLE meta_events_dedup (
    -- The first 16 bytes of SHA-256 over dataset id, event name and event id.
    event_key uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
-- Rows arrive in about the order in which they expire: a few pages of index find the oldest of a hundred million.
CREATE INDEX meta_events_dedup_expiry ON meta_events_dedup USING brin (expires_at) WITH (pages_per_range = 32);

CREATE SEQUENCE event_numbers AS bigint;

-- Accepted events, written once and never changed. Dropped a day at a time.
CREATE TABLE events (
    dataset_id bigint NOT NULL,
    -- The day of receipt in UTC, carried by every reference to the row so that a look-up touches one partition.
    day date NOT NULL,
    event_number bigint NOT NULL DEFAULT nextval('event_numbers'),
    event_name text NOT NULL,
    event_id text NOT NULL,
    event_time timestamptz NOT NULL,
    -- From here on Meta would refuse it, and the whole request with it.
    send_by timestamptz NOT NULL,
    test_event_code text NOT NULL,
    -- The finished server event, sent to Meta byte for byte. Text, not jsonb: it is never parsed again.
    payload text NOT NULL,
    request_id uuid NOT NULL,
    -- W3C trace context of the request that brought it, if that request was traced.
    traceparent text,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, day, event_number)
) PARTITION BY RANGE (day);

-- Events ready to be sent. Thin and hot: inserted at accept, deleted at claim.
CREATE TABLE send_queue (
    dataset_id bigint NOT NULL,
    -- '' for real events. Part of the key, because a request to Meta carries one code for all of its events.
    test_event_code text NOT NULL,
    event_number bigint NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (dataset_id, test_event_code, event_number)
);

-- Requests on their way to Meta: one row per request, not per event.
CREATE TABLE send_batches (
    dataset_id bigint NOT NULL,
    batch_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    test_event_code text NOT NULL,
    event_numbers bigint[] NOT NULL CHECK (cardinality(event_numbers) BETWEEN 1 AND 1000),
    first_day date NOT NULL,
    last_day date NOT NULL,
    -- Grows with each owner. Every later write names it; a stale owner's write finds no row.
    fence integer NOT NULL DEFAULT 1 CHECK (fence > 0),
    -- Counted at claim, so that a batch that kills its sender still counts.
    attempt integer NOT NULL DEFAULT 1 CHECK (attempt > 0),
    lease_expires_at timestamptz NOT NULL,
    -- For people. Ownership is decided by the fence.
    owner text NOT NULL,
    claimed_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, batch_id),
    CHECK (first_day <= last_day)
);

-- What came of every event: one row per outcome, append-only. Dropped a day at a time.
CREATE TABLE meta_events_log (
    day date NOT NULL,
    dataset_id bigint NOT NULL,
    event_name text NOT NULL,
    event_id text NOT NULL,
    -- The events row this is about; NULL for a duplicate, which has none of its own.
    event_number bigint,
    -- success: Meta took it. error: this attempt failed, another follows. duplicate: refused at the gateway.
    -- expired: too old for Meta when its turn came; it is not tried again.
    outcome text NOT NULL CHECK (outcome IN ('success', 'error', 'duplicate', 'expired')),
    -- The request to us that brought the event (or the duplicate).
    request_id uuid NOT NULL,
    attempt integer,
    http_status smallint,
    error_code integer,
    error_subcode integer,
    error_message text,
    fbtrace_id text,
    -- From the first byte sent to Meta to the last byte of its answer.
    latency_ms integer CHECK (latency_ms >= 0),
    created_at timestamptz NOT NULL,
    CHECK ((outcome = 'duplicate') = (event_number IS NULL))
) PARTITION BY RANGE (day);
-- Rows arrive in order of time: a BRIN index costs nothing per row and finds an hour of a day.
CREATE INDEX meta_events_log_by_time ON meta_events_log USING brin (created_at) WITH (pages_per_range = 32);

-- The queue must be vacuumed by what happens to it, not by the share of it that is dead: it is small and its rows
-- live for milliseconds. Truncating its tail would lock everybody out for a moment, for nothing.
ALTER TABLE send_queue SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off
);
ALTER TABLE send_batches SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 500,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off, fillfactor = 50
);
ALTER TABLE meta_events_dedup SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000
);

-- Creates the daily partitions of yesterday, today and the given number of days ahead, and returns how many were missing.
-- Safe to run from many places at once. No default partition: rows in it would block the making of the real one.
CREATE FUNCTION create_day_partitions(days_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    partition_name text;
    today date := (rastro_now() AT TIME ZONE 'UTC')::date;
    first_day date;
    created integer := 0;
BEGIN
    -- Any constant that nothing else in this database locks.
    PERFORM pg_advisory_xact_lock(7266100001);
    FOREACH parent IN ARRAY ARRAY['events', 'meta_events_log'] LOOP
        FOR first_day IN SELECT generate_series(today - 1, today + days_ahead, interval '1 day')::date LOOP
            partition_name := parent || '_' || to_char(first_day, 'YYYYMMDD');
            CONTINUE WHEN to_regclass(partition_name) IS NOT NULL;
            -- Made apart and then attached: CREATE ... PARTITION OF would lock the parent against everybody.
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition_name, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, partition_name, first_day, first_day + 1);
            created := created + 1;
        END LOOP;
    END LOOP;
    RETURN created;
END $$;

SELECT create_day_partitions(7);
