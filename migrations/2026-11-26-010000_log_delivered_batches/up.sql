-- A request all of which Meta took is logged as one row with its events in arrays, instead of one row for each of them: the
-- same is said at a tenth of the cost. proto-docs/performance.md has the figures.
--
-- The programs of before cannot write to meta_events_log, which becomes a view. A forwarder that goes on running sends without
-- being able to record it, again whenever its lease ends: stop the forwarders before, start the new ones after.
SET LOCAL lock_timeout = '5s';

LOCK TABLE meta_events_log IN ACCESS EXCLUSIVE MODE;
ALTER TABLE meta_events_log RENAME TO event_outcomes;
ALTER INDEX meta_events_log_by_time RENAME TO event_outcomes_by_time;
ALTER TABLE event_outcomes RENAME CONSTRAINT meta_events_log_outcome_check TO event_outcomes_outcome_check;
ALTER TABLE event_outcomes RENAME CONSTRAINT meta_events_log_check TO event_outcomes_check;
ALTER TABLE event_outcomes RENAME CONSTRAINT meta_events_log_latency_ms_check TO event_outcomes_latency_ms_check;
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT c.relname, CASE c.relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END AS kind
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('event_outcomes'::regclass, 'event_outcomes_by_time'::regclass)
    LOOP
        EXECUTE format('ALTER %s %I RENAME TO %I', part.kind, part.relname,
            replace(part.relname, 'meta_events_log', 'event_outcomes'));
    END LOOP;
END $$;

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
CREATE FUNCTION day_tables() RETURNS text[] LANGUAGE sql STABLE AS $$
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
