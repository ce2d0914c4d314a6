-- Events that were accepted together are stored together: a row of event_segments holds up to 1000 events of one lane
-- (dataset and test event code), their payloads compressed as one. A row per event cost most of what accepting an
-- event cost, in processor time and in write-ahead log; proto-docs/performance.md has the figures.
--
-- The gateway and the forwarder of before cannot work with these tables: until they are replaced they answer 503, or wait.
SET LOCAL lock_timeout = '5s';

ALTER TABLE events RENAME TO old_events;
ALTER TABLE send_queue RENAME TO old_send_queue;
ALTER TABLE old_send_queue RENAME CONSTRAINT send_queue_pkey TO old_send_queue_pkey;

-- A set of event numbers is mostly one unbroken range: a few bytes, however many they are.
CREATE FUNCTION ranges_of(numbers bigint[]) RETURNS int8multirange LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(range_agg(int8range(n, n + 1)), '{}') FROM unnest(numbers) AS n $$;
CREATE FUNCTION numbers_in(ranges int8multirange) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(array_agg(n ORDER BY n), '{}') FROM unnest(ranges) AS r, generate_series(lower(r), upper(r) - 1) AS n $$;

-- Accepted events, written once and never changed. Dropped a day at a time. The view events has them one by one.
CREATE TABLE event_segments (
    dataset_id bigint NOT NULL,
    -- The day of receipt in UTC, carried by every reference to an event so that a look-up touches one partition.
    day date NOT NULL,
    -- A multiple of 1000. An event's number is this and its line in the body (from 0), so its number tells its segment.
    segment_number bigint NOT NULL CHECK (segment_number % 1000 = 0),
    -- '' for real events.
    test_event_code text NOT NULL,
    event_count integer NOT NULL CHECK (event_count BETWEEN 1 AND 1000),
    -- The lines that are accepted events. The others were duplicates, which was known only when the body was made.
    event_numbers int8multirange NOT NULL,
    -- One each for every number, in their order.
    event_names text[] NOT NULL,
    event_ids text[] NOT NULL,
    -- From then on Meta would refuse it, and the whole request with it.
    send_by timestamptz[] NOT NULL,
    -- The request to us that brought it.
    request_ids uuid[] NOT NULL,
    -- W3C trace context of that request, if it was traced. NULL: none was.
    traceparents text[],
    -- The finished server events, a line each, sent to Meta byte for byte; as one Zstandard frame. A body that is older
    -- than this table is not compressed.
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, day, segment_number, test_event_code)
) PARTITION BY RANGE (day);
-- It is compressed already.
ALTER TABLE event_segments ALTER body SET STORAGE EXTERNAL;

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

-- What a dead letter's outcome is logged with. NULL: it failed before this column was there.
ALTER TABLE meta_retry_queue ADD COLUMN request_id uuid;

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
    FOREACH parent IN ARRAY ARRAY['event_segments', 'meta_events_log'] LOOP
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
CREATE OR REPLACE FUNCTION drop_day_partitions(keep_days integer) RETURNS integer LANGUAGE plpgsql AS $$
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
        WHERE i.inhparent IN ('event_segments'::regclass, 'meta_events_log'::regclass)
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

-- The partitions of today and the days ahead, and of every day that has events.
SELECT create_day_partitions(7);
DO $$
DECLARE
    old_day date;
BEGIN
    FOR old_day IN SELECT DISTINCT day FROM old_events LOOP
        CONTINUE WHEN to_regclass('event_segments_' || to_char(old_day, 'YYYYMMDD')) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I PARTITION OF event_segments FOR VALUES FROM (%L) TO (%L)',
            'event_segments_' || to_char(old_day, 'YYYYMMDD'), old_day, old_day + 1);
    END LOOP;
END $$;

-- Events keep their numbers. Lines between those of a segment stay empty.
INSERT INTO event_segments (
    dataset_id, day, segment_number, test_event_code, event_count, event_numbers, event_names, event_ids, send_by, request_ids,
    traceparents, body, received_at
)
SELECT dataset_id, day, event_number / 1000 * 1000, test_event_code, count(*), range_agg(int8range(event_number, event_number + 1)),
    array_agg(event_name ORDER BY event_number), array_agg(event_id ORDER BY event_number),
    array_agg(send_by ORDER BY event_number), array_agg(request_id ORDER BY event_number),
    array_agg(traceparent ORDER BY event_number),
    convert_to(string_agg(repeat(E'\n', lines_before::integer) || payload, '' ORDER BY event_number), 'UTF8'),
    min(received_at)
FROM (
    SELECT e.*, event_number - coalesce(
        lag(event_number) OVER (PARTITION BY dataset_id, day, test_event_code, event_number / 1000 ORDER BY event_number),
        event_number / 1000 * 1000
    ) AS lines_before
    FROM old_events e
) AS placed
GROUP BY dataset_id, day, event_number / 1000, test_event_code;

INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers, retries)
SELECT dataset_id, test_event_code, min(event_number), day, count(*), range_agg(int8range(event_number, event_number + 1)), retries
FROM old_send_queue
GROUP BY dataset_id, test_event_code, day, event_number / 1000, retries;

DROP TABLE old_events, old_send_queue;

-- Each number begins a segment.
ALTER SEQUENCE event_numbers INCREMENT BY 1000;
SELECT setval('event_numbers', (last_value / 1000 + 1) * 1000, false) FROM event_numbers;

-- Accepted events one by one, for people. What an event says is in the body of its segment.
CREATE VIEW events AS
SELECT s.dataset_id, s.day, e.event_number, e.event_name, e.event_id, s.test_event_code, e.send_by, e.request_id, e.traceparent,
    s.received_at
FROM event_segments s CROSS JOIN LATERAL
    unnest(numbers_in(s.event_numbers), s.event_names, s.event_ids, s.send_by, s.request_ids, s.traceparents)
    AS e (event_number, event_name, event_id, send_by, request_id, traceparent);
