-- One row per event, per ready event and per request to Meta. What an event says can be read, joined and found by SQL; what
-- happened to it is complete by construction. proto-docs/architecture.md draws the tables.
--
-- What the tables of before hold is carried over in two steps. This file moves what SQL can read. The bodies of old
-- segments are compressed, so `ingest-gateway migrate` moves those afterwards, segment by segment (store/src/carry_over.rs);
-- until that is done no service is ready. Stop the old programs first: they cannot work with these tables.
SET LOCAL lock_timeout = '5s';

DROP VIEW meta_events_log, events;
ALTER TABLE event_segments RENAME TO old_event_segments;
ALTER TABLE send_queue RENAME TO old_send_queue;
ALTER TABLE old_send_queue RENAME CONSTRAINT send_queue_pkey TO old_send_queue_pkey;
ALTER TABLE meta_events_dedup RENAME TO old_meta_events_dedup;
ALTER TABLE old_meta_events_dedup RENAME CONSTRAINT meta_events_dedup_pkey TO old_meta_events_dedup_pkey;
ALTER INDEX meta_events_dedup_expiry RENAME TO old_meta_events_dedup_expiry;
ALTER TABLE event_outcomes RENAME TO old_event_outcomes;
ALTER INDEX event_outcomes_by_time RENAME TO old_event_outcomes_by_time;
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT c.relname, CASE c.relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END AS kind
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN (
            'old_event_segments'::regclass, 'old_event_outcomes'::regclass, 'old_event_outcomes_by_time'::regclass
        )
    LOOP
        EXECUTE format('ALTER %s %I RENAME TO %I', part.kind, part.relname, 'old_' || part.relname);
    END LOOP;
END $$;
-- The breaker's evidence of the last minutes; it gathers anew.
DROP TABLE send_attempts;

-- ---- who may send ----

-- A short name for a key, for logs. The hash stays the way to find it.
ALTER TABLE api_keys ADD COLUMN key_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
-- The event names that a publishable key may send; NULL: the gateway's default list. A secret key may send any.
ALTER TABLE api_keys ADD COLUMN event_names text[] CHECK (event_names <> '{}');
-- A dataset that is deleted takes its keys and its breaker with it.
ALTER TABLE api_keys DROP CONSTRAINT api_keys_dataset_id_fkey,
    ADD CONSTRAINT api_keys_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES datasets ON DELETE CASCADE;
ALTER TABLE circuit_breakers DROP CONSTRAINT circuit_breakers_dataset_id_fkey,
    ADD CONSTRAINT circuit_breakers_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES datasets ON DELETE CASCADE;
-- refused: Meta refused event after event with the same code; sending the rest would only lose it too.
ALTER TABLE circuit_breakers DROP CONSTRAINT circuit_breakers_reason_check,
    ADD CONSTRAINT circuit_breakers_reason_check CHECK (reason IN ('errors', 'throttled', 'blocked', 'refused'));

-- ---- what was accepted ----

-- Each event has its own number. Numbers are opaque: they grow with acceptance, roughly, and have gaps.
ALTER SEQUENCE event_numbers INCREMENT BY 1;
SELECT setval('event_numbers', (last_value / 1000 + 1) * 1000, false) FROM event_numbers;

-- One row per event key ever accepted, until Meta would refuse a resend anyway. The only uniqueness check.
CREATE TABLE meta_events_dedup (
    dataset_id bigint NOT NULL,
    -- The first 16 bytes of SHA-256 over dataset id, event name and event id.
    event_key uuid NOT NULL,
    -- The event that claimed the key.
    day date NOT NULL,
    event_number bigint NOT NULL DEFAULT nextval('event_numbers'),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, event_key)
);
CREATE INDEX meta_events_dedup_expiry ON meta_events_dedup (expires_at);
ALTER TABLE meta_events_dedup SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000
);

-- Accepted events: written once, changed only by an erasure. Dropped a day at a time.
CREATE TABLE events (
    dataset_id bigint NOT NULL,
    -- The day of receipt in UTC, carried by every reference to the row so that a look-up touches one partition.
    day date NOT NULL,
    event_number bigint NOT NULL,
    event_name text NOT NULL,
    event_id text NOT NULL,
    -- When it happened, as the client says.
    event_time timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    -- From here on Meta would refuse it, and the whole request with it.
    send_by timestamptz NOT NULL,
    -- website, app, physical_store, ...: Meta's words.
    action_source text NOT NULL,
    -- Conversion value in major units of the currency, as the client gave it. For reports; money is counted in purchases.
    value numeric,
    currency text,
    order_id text,
    -- Of the page's address. Other query parameters are not kept here.
    page_host text,
    page_path text,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_content text,
    utm_term text,
    -- Click ids of Meta, Google (three kinds), Microsoft and TikTok.
    fbclid text,
    gclid text,
    gbraid text,
    wbraid text,
    msclkid text,
    ttclid text,
    -- '' for real events.
    test_event_code text NOT NULL,
    -- The API key that sent it (api_keys.key_id); NULL: it was made here, or is older than this column.
    key_id bigint,
    -- The request to us that brought it.
    request_id uuid NOT NULL,
    -- W3C trace context of that request, if it was traced: 32 and 16 hex digits.
    trace_id text,
    span_id text,
    -- The finished server event, sent to Meta byte for byte. Text, not jsonb: it is never parsed again. '' once erased.
    payload text NOT NULL,
    PRIMARY KEY (dataset_id, event_number, day)
) PARTITION BY RANGE (day);
CREATE INDEX events_by_event_id ON events (dataset_id, event_id);
CREATE INDEX events_by_trace ON events (trace_id) WHERE trace_id IS NOT NULL;
-- Rows arrive in order of time: a BRIN index costs nothing per row and finds an hour of a day.
CREATE INDEX events_by_time ON events USING brin (received_at) WITH (pages_per_range = 32);

-- ---- what is to be sent ----

-- Events ready to be sent. Thin and hot: inserted at accept, deleted at claim.
CREATE TABLE send_queue (
    dataset_id bigint NOT NULL,
    -- Part of the key, because a request to Meta carries one code for all of its events.
    test_event_code text NOT NULL,
    event_number bigint NOT NULL,
    day date NOT NULL,
    -- Retries behind it.
    retries smallint NOT NULL DEFAULT 0 CHECK (retries >= 0),
    send_by timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, test_event_code, event_number)
);
-- By what happens to it, not by the share of it that is dead: it is small and its rows live for milliseconds. Truncating
-- its tail would lock everybody out for a moment, for nothing.
ALTER TABLE send_queue SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off
);

-- ---- what was done about it ----

CREATE SEQUENCE send_attempt_ids AS bigint;
-- Requests to Meta, one row each, whatever came of them. Dropped a day at a time.
CREATE TABLE send_attempts (
    dataset_id bigint NOT NULL,
    -- The day on which it ended, in UTC.
    day date NOT NULL,
    attempt_id bigint NOT NULL DEFAULT nextval('send_attempt_ids'),
    batch_id bigint NOT NULL,
    -- 1 for the first attempt of this batch.
    attempt integer NOT NULL,
    test_event_code text NOT NULL,
    -- When it ended, and how long it took from the first byte sent to the last byte of the answer.
    attempted_at timestamptz NOT NULL,
    latency_ms integer CHECK (latency_ms >= 0),
    -- delivered: Meta took every event. refused: an event of it, or all, will never be taken as they are. unavailable: no
    -- answer, or one that may be better later. throttled: Meta said wait. blocked: a person must act (access token, access).
    outcome text NOT NULL CHECK (outcome IN ('delivered', 'refused', 'unavailable', 'throttled', 'blocked')),
    http_status smallint,
    error_code integer,
    error_subcode integer,
    -- Meta's words or ours, without control characters, cut.
    error_message text,
    fbtrace_id text,
    -- How many events Meta says that it received. Fewer than were sent is worth an alert.
    events_received integer,
    -- Which events, in the order of their numbers, and between which days they were received.
    event_count integer NOT NULL CHECK (event_count = cardinality(event_numbers)),
    event_numbers bigint[] NOT NULL CHECK (event_numbers <> '{}'),
    first_number bigint NOT NULL,
    last_number bigint NOT NULL CHECK (last_number >= first_number),
    first_day date NOT NULL,
    last_day date NOT NULL CHECK (last_day >= first_day),
    PRIMARY KEY (dataset_id, day, attempt_id)
) PARTITION BY RANGE (day);
-- The breaker's evidence, and everything over time.
CREATE INDEX send_attempts_by_time ON send_attempts (dataset_id, attempted_at);
-- The attempts of one event: those whose range holds its number, then those that list it.
CREATE INDEX send_attempts_by_event ON send_attempts USING gist (int8range(first_number, last_number, '[]'));
CREATE INDEX send_attempts_by_fbtrace ON send_attempts (fbtrace_id) WHERE fbtrace_id IS NOT NULL;
-- Numbers do not get smaller.
ALTER TABLE send_attempts ALTER event_numbers SET STORAGE EXTERNAL;

CREATE SEQUENCE event_outcome_ids AS bigint;
-- What happens to events beside being accepted and sent. Dropped a day at a time.
CREATE TABLE event_outcomes (
    dataset_id bigint NOT NULL,
    day date NOT NULL,
    outcome_id bigint NOT NULL DEFAULT nextval('event_outcome_ids'),
    -- duplicate: its key was taken; event_number is the event that has it. refused: not valid, nothing of it is stored.
    -- expired: too old for Meta when its turn came. retried: an operator sent a dead letter again. missing: its row was gone
    -- when its turn came. dataset_deleted: its dataset was. withheld: stored here, never sent. erased: its content was deleted
    -- at a person's request.
    outcome text NOT NULL CHECK (outcome IN (
        'duplicate', 'refused', 'expired', 'retried', 'missing', 'dataset_deleted', 'withheld', 'erased'
    )),
    event_number bigint,
    event_name text,
    event_id text,
    -- The API key of the request that this is about.
    key_id bigint,
    request_id uuid,
    -- Why, without values. Of a refusal: the pointer of the field.
    detail text,
    -- Refusals alike in one request are one row.
    event_count integer NOT NULL DEFAULT 1 CHECK (event_count > 0),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, day, outcome_id),
    CHECK (event_number IS NOT NULL OR outcome IN ('duplicate', 'refused'))
) PARTITION BY RANGE (day);
CREATE INDEX event_outcomes_by_time ON event_outcomes (dataset_id, created_at);
CREATE INDEX event_outcomes_by_event ON event_outcomes (dataset_id, event_number) WHERE event_number IS NOT NULL;

-- Each change of a breaker. Few; what an alert is raised by.
CREATE TABLE breaker_transitions (
    dataset_id bigint NOT NULL,
    transition_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    changed_at timestamptz NOT NULL,
    -- The breaker as it was set.
    generation bigint NOT NULL,
    state text NOT NULL,
    reason text,
    manual text NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (dataset_id, transition_id)
);

-- What an event says is in events, also of those that wait. One whose row is gone has neither name nor id.
ALTER TABLE meta_retry_queue ALTER event_name DROP NOT NULL, ALTER event_id DROP NOT NULL,
    DROP COLUMN payload, DROP COLUMN request_id;
-- missing: its row in events was gone. dataset_deleted: there is no such dataset any more.
ALTER TABLE meta_retry_queue DROP CONSTRAINT meta_retry_queue_reason_check,
    ADD CONSTRAINT meta_retry_queue_reason_check
    CHECK (reason IN ('refused', 'exhausted', 'expired', 'missing', 'dataset_deleted'));
CREATE INDEX meta_retry_queue_expiry ON meta_retry_queue (send_by) WHERE status = 'waiting';

-- Everything that is known of every event, a line each: accepted, each attempt, and what else happened.
CREATE VIEW meta_events_log AS
SELECT day, dataset_id, event_number, event_name, event_id, 'accepted' AS outcome, request_id, key_id, NULL::integer AS attempt,
    NULL::smallint AS http_status, NULL::integer AS error_code, NULL::integer AS error_subcode, NULL::text AS error_message,
    NULL::text AS fbtrace_id, NULL::integer AS latency_ms, 1 AS event_count, received_at AS created_at
FROM events
UNION ALL
SELECT a.day, a.dataset_id, n.event_number, e.event_name, e.event_id,
    CASE a.outcome WHEN 'delivered' THEN 'success' WHEN 'throttled' THEN 'parked' WHEN 'blocked' THEN 'parked' ELSE 'error' END,
    e.request_id, e.key_id, a.attempt, a.http_status, a.error_code, a.error_subcode, a.error_message, a.fbtrace_id,
    a.latency_ms, 1, a.attempted_at
FROM send_attempts a CROSS JOIN LATERAL unnest(a.event_numbers) AS n (event_number)
LEFT JOIN events e ON e.dataset_id = a.dataset_id AND e.event_number = n.event_number
    AND e.day BETWEEN a.first_day AND a.last_day
UNION ALL
SELECT day, dataset_id, event_number, event_name, event_id, outcome, request_id, key_id, NULL, NULL, NULL, NULL, detail, NULL,
    NULL, event_count, created_at
FROM event_outcomes;

-- ---- partitions ----

-- The tables that have a partition for each day.
CREATE OR REPLACE FUNCTION day_tables() RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY['events', 'send_attempts', 'event_outcomes']
$$;

CREATE FUNCTION create_day_partition(parent text, new_day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    partition_name text := parent || '_' || to_char(new_day, 'YYYYMMDD');
BEGIN
    -- In this schema: another one on the search path may hold tables of the same names.
    IF to_regclass(format('%I.%I', current_schema(), partition_name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Made apart and then attached: CREATE ... PARTITION OF would lock the parent against everybody.
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        partition_name, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, partition_name, new_day, new_day + 1);
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION create_day_partitions(days_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    today date := (rastro_now() AT TIME ZONE 'UTC')::date;
    new_day date;
    created integer := 0;
BEGIN
    -- One at a time in this schema.
    PERFORM pg_advisory_xact_lock(72661, hashtext(current_schema()));
    FOREACH parent IN ARRAY day_tables() LOOP
        FOR new_day IN SELECT generate_series(today - 1, today + days_ahead, interval '1 day')::date LOOP
            created := created + create_day_partition(parent, new_day)::integer;
        END LOOP;
    END LOOP;
    RETURN created;
END $$;

-- Partitions are dropped one by one by the retry-worker: each locks its parent, and only for its own moment.
DROP FUNCTION drop_day_partitions(integer);

SELECT create_day_partitions(7);
SELECT create_day_partition('send_attempts', day) FROM (
    SELECT day FROM delivered_batches UNION SELECT day FROM old_event_outcomes WHERE outcome IN ('success', 'error')
) AS days;
SELECT create_day_partition('event_outcomes', day) FROM (SELECT DISTINCT day FROM old_event_outcomes) AS days;
SELECT create_day_partition('events', day) FROM (SELECT DISTINCT day FROM old_event_segments) AS days;

-- ---- what SQL can read of the old tables ----

-- The days of the events were not kept with a delivered batch: any day up to the attempt's.
INSERT INTO send_attempts (
    dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome, http_status, fbtrace_id,
    event_count, event_numbers, first_number, last_number, first_day, last_day
)
SELECT dataset_id, day, 0, attempt, '', created_at, latency_ms, 'delivered', http_status, fbtrace_id,
    cardinality(event_numbers), event_numbers,
    (SELECT min(n) FROM unnest(event_numbers) AS n), (SELECT max(n) FROM unnest(event_numbers) AS n), day - 70, day
FROM delivered_batches ORDER BY created_at;

-- One outcome of an event was one row: so each becomes an attempt of one event. What Meta refused must not look as if it had
-- been away, or the breaker would open by it.
INSERT INTO send_attempts (
    dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome, http_status, error_code,
    error_subcode, error_message, fbtrace_id, event_count, event_numbers, first_number, last_number, first_day, last_day
)
SELECT dataset_id, day, 0, coalesce(attempt, 1), '', created_at, latency_ms,
    CASE WHEN outcome = 'success' THEN 'delivered' WHEN http_status BETWEEN 400 AND 499 THEN 'refused' ELSE 'unavailable' END,
    http_status, error_code, error_subcode, error_message,
    fbtrace_id, 1, ARRAY[event_number], event_number, event_number, day - 70, day
FROM old_event_outcomes WHERE outcome IN ('success', 'error') ORDER BY created_at;

INSERT INTO event_outcomes (
    dataset_id, day, outcome, event_number, event_name, event_id, request_id, detail, created_at
)
SELECT dataset_id, day, outcome, event_number, event_name, event_id, request_id, error_message, created_at
FROM old_event_outcomes WHERE outcome NOT IN ('success', 'error') ORDER BY created_at;

DROP TABLE delivered_batches, old_event_outcomes;
