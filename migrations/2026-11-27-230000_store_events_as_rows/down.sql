-- Back to segments, with all that was stored: bodies are not compressed, which the programs of before can read. Refusals at the
-- door, missing events, those of deleted datasets, withheld and erased ones have no place there: their log rows are lost, and so
-- is which key sent an event and which event a duplicate repeats. Requests that failed become a row per event.
SET LOCAL lock_timeout = '5s';

DO $$ BEGIN
    IF to_regclass('old_event_segments') IS NOT NULL THEN
        RAISE EXCEPTION 'the old tables are still being carried over; let `ingest-gateway migrate` finish first';
    END IF;
END $$;

DROP VIEW meta_events_log;
ALTER TABLE events RENAME TO new_events;
ALTER TABLE send_queue RENAME TO new_send_queue;
ALTER TABLE new_send_queue RENAME CONSTRAINT send_queue_pkey TO new_send_queue_pkey;
ALTER TABLE meta_events_dedup RENAME TO new_meta_events_dedup;
ALTER TABLE new_meta_events_dedup RENAME CONSTRAINT meta_events_dedup_pkey TO new_meta_events_dedup_pkey;
ALTER INDEX meta_events_dedup_expiry RENAME TO new_meta_events_dedup_expiry;
ALTER TABLE send_attempts RENAME TO new_send_attempts;
ALTER TABLE event_outcomes RENAME TO new_event_outcomes;
ALTER INDEX event_outcomes_by_time RENAME TO new_event_outcomes_by_time;
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT c.relname, CASE c.relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END AS kind
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN (
            'new_events'::regclass, 'new_send_attempts'::regclass, 'new_event_outcomes'::regclass,
            'new_event_outcomes_by_time'::regclass
        )
    LOOP
        EXECUTE format('ALTER %s %I RENAME TO %I', part.kind, part.relname, 'new_' || part.relname);
    END LOOP;
END $$;

-- ---- the tables of before ----

CREATE TABLE meta_events_dedup (
    event_key uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX meta_events_dedup_expiry ON meta_events_dedup USING brin (expires_at) WITH (pages_per_range = 32);
ALTER TABLE meta_events_dedup SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000
);

-- A set of event numbers is mostly one unbroken range: a few bytes, however many they are.
CREATE FUNCTION ranges_of(numbers bigint[]) RETURNS int8multirange LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(range_agg(int8range(n, n + 1)), '{}') FROM unnest(numbers) AS n $$;
CREATE FUNCTION numbers_in(ranges int8multirange) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(array_agg(n ORDER BY n), '{}') FROM unnest(ranges) AS r, generate_series(lower(r), upper(r) - 1) AS n $$;

CREATE TABLE event_segments (
    dataset_id bigint NOT NULL,
    day date NOT NULL,
    segment_number bigint NOT NULL CHECK (segment_number % 1000 = 0),
    test_event_code text NOT NULL,
    event_count integer NOT NULL CHECK (event_count BETWEEN 1 AND 1000),
    event_numbers int8multirange NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    heads json NOT NULL,
    PRIMARY KEY (dataset_id, day, segment_number, test_event_code)
) PARTITION BY RANGE (day);
ALTER TABLE event_segments ALTER body SET STORAGE EXTERNAL, ALTER heads SET STORAGE EXTERNAL;

-- Ready events, all of one segment. Thin and hot: inserted at accept, deleted at claim.
CREATE TABLE send_queue (
    dataset_id bigint NOT NULL,
    -- Part of the key, because a request to Meta carries one code for all of its events.
    test_event_code text NOT NULL,
    -- The lowest of the numbers.
    first_number bigint NOT NULL,
    day date NOT NULL,
    event_count integer NOT NULL CHECK (event_count > 0),
    event_numbers int8multirange NOT NULL CHECK (lower(event_numbers) = first_number),
    -- How many retries each of them has behind it.
    retries smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (dataset_id, test_event_code, first_number),
    CHECK ((upper(event_numbers) - 1) / 1000 = first_number / 1000)
);
-- By what happens to it, not by the share of it that is dead: it is small and its rows live for milliseconds. Truncating
-- its tail would lock everybody out for a moment, for nothing.
ALTER TABLE send_queue SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off
);

CREATE TABLE event_outcomes (
    day date NOT NULL,
    dataset_id bigint NOT NULL,
    event_name text NOT NULL,
    event_id text NOT NULL,
    event_number bigint,
    outcome text NOT NULL CONSTRAINT event_outcomes_outcome_check
        CHECK (outcome IN ('success', 'error', 'duplicate', 'expired', 'retried')),
    request_id uuid NOT NULL,
    attempt integer,
    http_status smallint,
    error_code integer,
    error_subcode integer,
    error_message text,
    fbtrace_id text,
    latency_ms integer CONSTRAINT event_outcomes_latency_ms_check CHECK (latency_ms >= 0),
    created_at timestamptz NOT NULL,
    CONSTRAINT event_outcomes_check CHECK ((outcome = 'duplicate') = (event_number IS NULL))
) PARTITION BY RANGE (day);
CREATE INDEX event_outcomes_by_time ON event_outcomes USING brin (created_at) WITH (pages_per_range = 32);

-- Batches all of whose events Meta took, append-only. Dropped a day at a time.
CREATE TABLE delivered_batches (
    day date NOT NULL,
    dataset_id bigint NOT NULL,
    -- Of one event each, in the same order.
    event_numbers bigint[] NOT NULL CHECK (event_numbers <> '{}'),
    event_names text[] NOT NULL CHECK (cardinality(event_names) = cardinality(event_numbers)),
    event_ids text[] NOT NULL CHECK (cardinality(event_ids) = cardinality(event_numbers)),
    -- The requests to us that brought them.
    request_ids uuid[] NOT NULL CHECK (cardinality(request_ids) = cardinality(event_numbers)),
    attempt integer NOT NULL,
    http_status smallint,
    fbtrace_id text,
    -- From the first byte sent to Meta to the last byte of its answer.
    latency_ms integer CHECK (latency_ms >= 0),
    created_at timestamptz NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX delivered_batches_by_time ON delivered_batches USING brin (created_at) WITH (pages_per_range = 32);
-- Numbers and random ids do not get smaller, and names and ids are worth less than the time.
ALTER TABLE delivered_batches ALTER event_numbers SET STORAGE EXTERNAL, ALTER event_ids SET STORAGE EXTERNAL,
    ALTER request_ids SET STORAGE EXTERNAL;

CREATE TABLE send_attempts (
    dataset_id bigint NOT NULL,
    attempted_at timestamptz NOT NULL,
    failed boolean NOT NULL
);
CREATE INDEX send_attempts_recent ON send_attempts (dataset_id, attempted_at);

-- Accepted events one by one, for people. What an event says is in the body of its segment.
CREATE VIEW events AS
SELECT s.dataset_id, s.day, line.event_number, line.head ->> 3 AS event_name, line.head ->> 4 AS event_id, s.test_event_code,
    to_timestamp((line.head ->> 0)::bigint) AS send_by, (line.head ->> 1)::uuid AS request_id, line.head ->> 2 AS traceparent,
    s.received_at
FROM event_segments s CROSS JOIN LATERAL (
    SELECT head, s.segment_number + place - 1 AS event_number
    FROM json_array_elements(s.heads) WITH ORDINALITY AS t (head, place)
) AS line
WHERE s.event_numbers @> line.event_number;

-- What came of every event, an outcome a row.
CREATE VIEW meta_events_log AS
SELECT day, dataset_id, event_name, event_id, event_number, outcome, request_id, attempt, http_status, error_code, error_subcode,
    error_message, fbtrace_id, latency_ms, created_at
FROM event_outcomes
UNION ALL
SELECT d.day, d.dataset_id, e.event_name, e.event_id, e.event_number, 'success', e.request_id, d.attempt, d.http_status, NULL,
    NULL, NULL, d.fbtrace_id, d.latency_ms, d.created_at
FROM delivered_batches d CROSS JOIN LATERAL unnest(d.event_numbers, d.event_names, d.event_ids, d.request_ids)
    AS e (event_number, event_name, event_id, request_id);

-- The tables that have a partition for each day.
CREATE OR REPLACE FUNCTION day_tables() RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY['event_segments', 'event_outcomes', 'delivered_batches']
$$;

CREATE OR REPLACE FUNCTION create_day_partitions(days_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    partition_name text;
    today date := (rastro_now() AT TIME ZONE 'UTC')::date;
    first_day date;
    created integer := 0;
BEGIN
    -- Any constant that nothing else in this database locks.
    PERFORM pg_advisory_xact_lock(7266100001);
    FOREACH parent IN ARRAY day_tables() LOOP
        FOR first_day IN SELECT generate_series(today - 1, today + days_ahead, interval '1 day')::date LOOP
            partition_name := parent || '_' || to_char(first_day, 'YYYYMMDD');
            CONTINUE WHEN to_regclass(partition_name) IS NOT NULL;
            -- Made apart and then attached: CREATE ... PARTITION OF would lock the parent against everybody.
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
                partition_name, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, partition_name, first_day, first_day + 1);
            created := created + 1;
        END LOOP;
    END LOOP;
    RETURN created;
END $$;

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
        SELECT c.relname
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = ANY (day_tables()::regclass[])
        ORDER BY c.relname
    LOOP
        -- Not a condition of the query: a plan may look at the names of other tables first, which are no dates.
        CONTINUE WHEN to_date(right(candidate.relname, 8), 'YYYYMMDD') >= oldest_kept;
        BEGIN
            EXECUTE format('DROP TABLE %I', candidate.relname);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END LOOP;
    RETURN dropped;
END $$;

SELECT create_day_partitions(7);
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT 'event_segments' AS parent, day FROM new_events
        UNION SELECT 'event_outcomes', day FROM new_event_outcomes
        UNION SELECT 'event_outcomes', day FROM new_send_attempts
        UNION SELECT 'delivered_batches', day FROM new_send_attempts
    LOOP
        CONTINUE WHEN to_regclass(part.parent || '_' || to_char(part.day, 'YYYYMMDD')) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
            part.parent || '_' || to_char(part.day, 'YYYYMMDD'), part.parent, part.day, part.day + 1);
    END LOOP;
END $$;

-- ---- what was stored ----

INSERT INTO meta_events_dedup (event_key, created_at, expires_at)
SELECT event_key, created_at, expires_at FROM new_meta_events_dedup;

-- Events keep their numbers. Lines between those of a segment stay empty.
INSERT INTO event_segments (
    dataset_id, day, segment_number, test_event_code, event_count, event_numbers, heads, body, received_at
)
SELECT s.dataset_id, s.day, s.segment_number, s.test_event_code, s.event_count, s.event_numbers,
    (
        SELECT json_agg(
            CASE WHEN e.event_number IS NOT NULL THEN json_build_array(
                extract(epoch FROM e.send_by)::bigint, e.request_id, '00-' || e.trace_id || '-' || e.span_id || '-01',
                e.event_name, e.event_id
            ) END ORDER BY n)
        FROM generate_series(s.segment_number, s.last_number) AS n LEFT JOIN new_events e ON e.dataset_id = s.dataset_id
            AND e.day = s.day AND e.event_number = n AND e.test_event_code = s.test_event_code
    ),
    convert_to((
        SELECT string_agg(coalesce(e.payload, ''), E'\n' ORDER BY n)
        FROM generate_series(s.segment_number, s.last_number) AS n LEFT JOIN new_events e ON e.dataset_id = s.dataset_id
            AND e.day = s.day AND e.event_number = n AND e.test_event_code = s.test_event_code
    ), 'UTF8'),
    s.received_at
FROM (
    SELECT dataset_id, day, event_number / 1000 * 1000 AS segment_number, test_event_code, count(*) AS event_count,
        max(event_number) AS last_number, range_agg(int8range(event_number, event_number + 1)) AS event_numbers,
        min(received_at) AS received_at
    FROM new_events GROUP BY 1, 2, 3, 4
) AS s;

INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers, retries)
SELECT dataset_id, test_event_code, min(event_number), day, count(*), ranges_of(array_agg(event_number)), retries
FROM new_send_queue GROUP BY dataset_id, test_event_code, day, event_number / 1000, retries;

INSERT INTO delivered_batches (
    day, dataset_id, event_numbers, event_names, event_ids, request_ids, attempt, http_status, fbtrace_id, latency_ms, created_at
)
SELECT a.day, a.dataset_id, a.event_numbers, e.event_names, e.event_ids, e.request_ids, a.attempt, a.http_status, a.fbtrace_id,
    a.latency_ms, a.attempted_at
FROM new_send_attempts a CROSS JOIN LATERAL (
    SELECT array_agg(coalesce(e.event_name, '') ORDER BY place) AS event_names,
        array_agg(coalesce(e.event_id, '') ORDER BY place) AS event_ids,
        array_agg(coalesce(e.request_id, '00000000-0000-0000-0000-000000000000') ORDER BY place) AS request_ids
    FROM unnest(a.event_numbers) WITH ORDINALITY AS n (event_number, place)
    LEFT JOIN new_events e ON e.dataset_id = a.dataset_id AND e.event_number = n.event_number
        AND e.day BETWEEN a.first_day AND a.last_day
) AS e
WHERE a.outcome = 'delivered' ORDER BY a.attempted_at;

INSERT INTO event_outcomes (
    day, dataset_id, event_name, event_id, event_number, outcome, request_id, attempt, http_status, error_code, error_subcode,
    error_message, fbtrace_id, latency_ms, created_at
)
SELECT a.day, a.dataset_id, coalesce(e.event_name, ''), coalesce(e.event_id, ''), n.event_number, 'error',
    coalesce(e.request_id, '00000000-0000-0000-0000-000000000000'), a.attempt, a.http_status, a.error_code, a.error_subcode,
    a.error_message, a.fbtrace_id, a.latency_ms, a.attempted_at
FROM new_send_attempts a CROSS JOIN LATERAL unnest(a.event_numbers) AS n (event_number)
LEFT JOIN new_events e ON e.dataset_id = a.dataset_id AND e.event_number = n.event_number
    AND e.day BETWEEN a.first_day AND a.last_day
WHERE a.outcome <> 'delivered'
UNION ALL
SELECT day, dataset_id, coalesce(event_name, ''), coalesce(event_id, ''),
    CASE WHEN outcome <> 'duplicate' THEN event_number END, outcome,
    coalesce(request_id, '00000000-0000-0000-0000-000000000000'), NULL, NULL, NULL, NULL, detail, NULL, NULL, created_at
FROM new_event_outcomes WHERE outcome IN ('duplicate', 'expired', 'retried');

ALTER TABLE meta_retry_queue ADD COLUMN payload text, ADD COLUMN request_id uuid;
UPDATE meta_retry_queue r SET payload = e.payload, request_id = e.request_id
FROM new_events e WHERE e.dataset_id = r.dataset_id AND e.event_number = r.event_number AND e.day = r.day;
UPDATE meta_retry_queue SET payload = coalesce(payload, ''), event_name = coalesce(event_name, ''),
    event_id = coalesce(event_id, ''), reason = CASE WHEN reason IN ('missing', 'dataset_deleted') THEN 'refused' ELSE reason END;
ALTER TABLE meta_retry_queue ALTER payload SET NOT NULL, ALTER event_name SET NOT NULL, ALTER event_id SET NOT NULL,
    DROP CONSTRAINT meta_retry_queue_reason_check,
    ADD CONSTRAINT meta_retry_queue_reason_check CHECK (reason IN ('refused', 'exhausted', 'expired'));
DROP INDEX meta_retry_queue_expiry;

-- ---- the rest ----

DROP TABLE new_events, new_send_queue, new_meta_events_dedup, new_send_attempts, new_event_outcomes, breaker_transitions;
DROP SEQUENCE send_attempt_ids, event_outcome_ids;
DROP FUNCTION create_day_partition(text, date);
ALTER SEQUENCE event_numbers INCREMENT BY 1000;
SELECT setval('event_numbers', (last_value / 1000 + 1) * 1000, false) FROM event_numbers;

UPDATE circuit_breakers SET reason = 'blocked' WHERE reason = 'refused';
ALTER TABLE circuit_breakers DROP CONSTRAINT circuit_breakers_reason_check,
    ADD CONSTRAINT circuit_breakers_reason_check CHECK (reason IN ('errors', 'throttled', 'blocked')),
    DROP CONSTRAINT circuit_breakers_dataset_id_fkey,
    ADD CONSTRAINT circuit_breakers_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES datasets;
ALTER TABLE api_keys DROP COLUMN key_id, DROP COLUMN event_names, DROP CONSTRAINT api_keys_dataset_id_fkey,
    ADD CONSTRAINT api_keys_dataset_id_fkey FOREIGN KEY (dataset_id) REFERENCES datasets;
