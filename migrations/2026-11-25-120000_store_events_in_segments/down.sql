-- Back to a row for each event. What an event says cannot be read back from a compressed body here, so nothing may be on its
-- way. Events that wait for a retry keep what they say; delivered ones keep all but that.
SET LOCAL lock_timeout = '5s';

LOCK TABLE send_queue, send_batches, event_segments IN ACCESS EXCLUSIVE MODE;
DO $$
BEGIN
    IF EXISTS (SELECT FROM send_queue) OR EXISTS (SELECT FROM send_batches) THEN
        RAISE EXCEPTION 'events are still on their way; stop the gateway and let the forwarder send them first';
    END IF;
END $$;

CREATE TABLE old_events (
    dataset_id bigint NOT NULL,
    day date NOT NULL,
    event_number bigint NOT NULL DEFAULT nextval('event_numbers'),
    event_name text NOT NULL,
    event_id text NOT NULL,
    event_time timestamptz NOT NULL,
    send_by timestamptz NOT NULL,
    test_event_code text NOT NULL,
    payload text NOT NULL,
    request_id uuid NOT NULL,
    traceparent text,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, day, event_number)
) PARTITION BY RANGE (day);
DO $$
DECLARE
    old_day date;
BEGIN
    FOR old_day IN
        SELECT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'event_segments'::regclass
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF old_events FOR VALUES FROM (%L) TO (%L)',
            'events_' || to_char(old_day, 'YYYYMMDD'), old_day, old_day + 1);
    END LOOP;
END $$;
-- When it happened is not kept beside the payload any more; it was at the latest when it was received.
INSERT INTO old_events
SELECT e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.received_at, e.send_by, e.test_event_code,
    coalesce(q.payload, ''), e.request_id, e.traceparent, e.received_at
FROM events e LEFT JOIN meta_retry_queue q ON q.dataset_id = e.dataset_id AND q.event_number = e.event_number;

DROP VIEW events;
DROP TABLE event_segments, send_queue;
ALTER TABLE old_events RENAME TO events;
ALTER TABLE events RENAME CONSTRAINT old_events_pkey TO events_pkey;
DROP FUNCTION numbers_in(int8multirange);
DROP FUNCTION ranges_of(bigint[]);
ALTER TABLE meta_retry_queue DROP COLUMN request_id;
ALTER SEQUENCE event_numbers INCREMENT BY 1;

CREATE TABLE send_queue (
    dataset_id bigint NOT NULL,
    test_event_code text NOT NULL,
    event_number bigint NOT NULL,
    day date NOT NULL,
    retries smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (dataset_id, test_event_code, event_number)
);
ALTER TABLE send_queue SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off
);

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
