SET LOCAL lock_timeout = '5s';

LOCK TABLE event_outcomes, delivered_batches IN ACCESS EXCLUSIVE MODE;
INSERT INTO event_outcomes (
    day, dataset_id, event_name, event_id, event_number, outcome, request_id, attempt, http_status, fbtrace_id, latency_ms,
    created_at
)
SELECT d.day, d.dataset_id, e.event_name, e.event_id, e.event_number, 'success', e.request_id, d.attempt, d.http_status,
    d.fbtrace_id, d.latency_ms, d.created_at
FROM delivered_batches d CROSS JOIN LATERAL unnest(d.event_numbers, d.event_names, d.event_ids, d.request_ids)
    AS e (event_number, event_name, event_id, request_id);
DROP VIEW meta_events_log;
DROP TABLE delivered_batches;

ALTER TABLE event_outcomes RENAME TO meta_events_log;
ALTER INDEX event_outcomes_by_time RENAME TO meta_events_log_by_time;
ALTER TABLE meta_events_log RENAME CONSTRAINT event_outcomes_outcome_check TO meta_events_log_outcome_check;
ALTER TABLE meta_events_log RENAME CONSTRAINT event_outcomes_check TO meta_events_log_check;
ALTER TABLE meta_events_log RENAME CONSTRAINT event_outcomes_latency_ms_check TO meta_events_log_latency_ms_check;
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT c.relname, CASE c.relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END AS kind
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('meta_events_log'::regclass, 'meta_events_log_by_time'::regclass)
    LOOP
        EXECUTE format('ALTER %s %I RENAME TO %I', part.kind, part.relname,
            replace(part.relname, 'event_outcomes', 'meta_events_log'));
    END LOOP;
END $$;

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

DROP FUNCTION day_tables();
