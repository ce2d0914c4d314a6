-- Views for Looker Studio, Grafana and Metabase, in a schema of their own, and the role that may read them and nothing else. Their
-- names and columns are a contract: a column is added at the end, never changed. Types are those that every tool reads: dates and
-- local timestamps of the reporting zone, no json, arrays, uuid or bytea, and no personal data.
SET LOCAL lock_timeout = '5s';

-- A percentile of counted latencies, interpolated inside its bucket. NULL: nothing was asked, or it lies above the last limit or among
-- requests without an answer (bucket 99), which are slower than all.
CREATE FUNCTION latency_percentile(buckets smallint[], requests bigint[], share double precision)
RETURNS double precision LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    limits integer[] := ARRAY[50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000, 5000, 10000];
    wanted double precision := share * (SELECT sum(r) FROM unnest(requests) AS r);
    below double precision := 0;
    entry record;
BEGIN
    FOR entry IN SELECT b, r FROM unnest(buckets, requests) AS u (b, r) WHERE b < 17 ORDER BY b LOOP
        IF below + entry.r >= wanted THEN
            RETURN coalesce(limits[entry.b], 0)
                + (limits[entry.b + 1] - coalesce(limits[entry.b], 0)) * (wanted - below) / entry.r;
        END IF;
        below := below + entry.r;
    END LOOP;
    RETURN NULL;
END $$;

DO $bi$
DECLARE
    -- Two sets of tables in one database have two sets of views.
    bi text := CASE current_schema() WHEN 'public' THEN 'bi' ELSE current_schema() || '_bi' END;
    reader text := bi || '_reader';
    view_name text;
    definition text;
    meaning text;
BEGIN
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', bi);

    FOR view_name, definition, meaning IN VALUES
    ('events_by_day', $$
        SELECT c.dataset_id::text AS dataset, c.day, c.event_name, c.outcome, c.events,
            c.day < (rastro_now() AT TIME ZONE s.time_zone)::date AND (c.day + 1)::timestamp AT TIME ZONE s.time_zone
                <= coalesce((SELECT min(h.hour) FROM counted_hours h WHERE NOT h.closed), 'infinity') AS complete,
            d.name AS dataset_name
        FROM event_counts_daily c CROSS JOIN monitor_settings s LEFT JOIN datasets d USING (dataset_id)
    $$, 'Events by day of the reporting zone, event name and outcome. accepted: stored to be sent. duplicate: kept back. success, error: attempts of events. complete: false while the day still moves.'),
    ('events_by_hour', $$
        SELECT c.dataset_id::text AS dataset, c.hour AT TIME ZONE s.time_zone AS hour, c.event_name, c.outcome, c.events,
            coalesce(h.closed, false) AS complete, d.name AS dataset_name
        FROM event_counts c CROSS JOIN monitor_settings s LEFT JOIN counted_hours h USING (hour) LEFT JOIN datasets d USING (dataset_id)
    $$, 'Events by hour (local time of the reporting zone), event name and outcome.'),
    ('duplication_by_day', $$
        SELECT dataset, day, sum(events)::bigint AS received, coalesce(sum(events) FILTER (WHERE outcome = 'duplicate'), 0)::bigint
                AS duplicates,
            coalesce(sum(events) FILTER (WHERE outcome = 'duplicate'), 0)::double precision / sum(events) AS rate,
            bool_and(complete) AS complete, max(dataset_name) AS dataset_name
        FROM %1$I.events_by_day WHERE outcome IN ('accepted', 'duplicate') GROUP BY dataset, day
    $$, 'Duplicates among what was received (accepted and duplicates), by day of receipt. rate: 0 to 1.'),
    ('errors_by_type', $$
        SELECT a.dataset_id::text AS dataset, (a.attempted_at AT TIME ZONE s.time_zone)::date AS day, a.error_code, a.error_subcode,
            m.pt AS meaning_pt, m.en AS meaning_en, sum(a.event_count)::bigint AS events,
            (array_agg(a.fbtrace_id ORDER BY a.attempted_at DESC) FILTER (WHERE a.fbtrace_id IS NOT NULL))[1] AS example_fbtrace_id,
            max(a.attempted_at) AT TIME ZONE s.time_zone AS last_seen, max(d.name) AS dataset_name
        FROM send_attempts a CROSS JOIN monitor_settings s LEFT JOIN datasets d USING (dataset_id)
        CROSS JOIN LATERAL (
            SELECT w.pt, w.en FROM (VALUES
                (190, NULL, 'O token venceu ou foi revogado', 'The access token expired or was revoked'),
                (100, 2804003, 'O evento é velho demais', 'The event is too old'),
                (100, 2804009, 'A compra veio sem valor', 'The purchase has no value'),
                (100, 2804010, 'A compra veio sem moeda', 'The purchase has no currency'),
                (100, 2804016, 'Um dado pessoal veio sem hash', 'A personal datum was not hashed'),
                (100, 2804050, 'Faltam dados para achar a pessoa', 'Too few data to find the person'),
                (100, 33, 'O token não alcança este conjunto', 'The token does not reach this dataset'),
                (100, NULL, 'A Meta não aceita um campo', 'Meta does not take a field'),
                (4, NULL, 'Limite de chamadas', 'Too many calls'), (17, NULL, 'Limite de chamadas', 'Too many calls'),
                (613, NULL, 'Limite de chamadas', 'Too many calls'), (10, NULL, 'Falta permissão', 'A permission is missing'),
                (200, NULL, 'Falta permissão', 'A permission is missing'),
                (1, NULL, 'Erro passageiro da Meta', 'A passing error of Meta'), (2, NULL, 'Erro passageiro da Meta', 'A passing error of Meta')
            ) AS w (code, subcode, pt, en)
            WHERE w.code = a.error_code AND (w.subcode IS NULL OR w.subcode = a.error_subcode)
            UNION ALL
            SELECT CASE WHEN a.http_status IS NULL THEN 'A Meta não respondeu' ELSE 'Outro erro' END,
                CASE WHEN a.http_status IS NULL THEN 'Meta did not answer' ELSE 'Another error' END
            LIMIT 1
        ) AS m
        WHERE a.day >= ((rastro_now() - interval '7 days') AT TIME ZONE 'UTC')::date AND a.attempted_at > rastro_now() - interval '7 days'
            AND (a.outcome = 'unavailable' OR (a.outcome = 'refused' AND a.event_count = 1))
        GROUP BY 1, 2, 3, 4, 5, 6, s.time_zone
    $$, 'Failed attempts of events by Meta''s code, in words, of the last 7 days. Raw: it reads the requests.'),
    ('latency_by_day', $$
        SELECT b.dataset_id::text AS dataset, b.day, sum(b.requests)::bigint AS requests,
            coalesce(sum(b.requests) FILTER (WHERE b.bucket = 99), 0)::bigint AS unanswered,
            sum(b.latency_ms)::double precision / nullif(sum(b.requests) FILTER (WHERE b.bucket <> 99), 0) AS avg_ms,
            latency_percentile(array_agg(b.bucket), array_agg(b.requests), 0.5) AS p50_ms,
            latency_percentile(array_agg(b.bucket), array_agg(b.requests), 0.95) AS p95_ms,
            latency_percentile(array_agg(b.bucket), array_agg(b.requests), 0.99) AS p99_ms,
            coalesce(sum(b.requests) FILTER (WHERE b.bucket >= 12), 0)::bigint AS over_1s,
            coalesce(sum(b.requests) FILTER (WHERE b.bucket >= 14), 0)::bigint AS over_2s, max(d.name) AS dataset_name
        FROM (
            SELECT c.dataset_id, (c.hour AT TIME ZONE s.time_zone)::date AS day, c.bucket, sum(c.requests)::bigint AS requests,
                sum(c.latency_ms)::bigint AS latency_ms
            FROM request_counts c CROSS JOIN monitor_settings s GROUP BY 1, 2, 3
        ) AS b LEFT JOIN datasets d USING (dataset_id)
        GROUP BY b.dataset_id, b.day
    $$, 'How fast Meta answered, by day. Unanswered requests count as slower than all; a percentile that lies among them or above 10 s is null, and over_1s and over_2s tell. avg_ms: of answered requests.'),
    ('latency_histogram', $$
        SELECT c.dataset_id::text AS dataset, (c.hour AT TIME ZONE s.time_zone)::date AS day,
            CASE WHEN c.bucket = 99 THEN NULL ELSE coalesce((latency_limits())[c.bucket], 0) END AS from_ms,
            (latency_limits())[c.bucket + 1] AS to_ms, sum(c.requests)::bigint AS requests, max(d.name) AS dataset_name
        FROM request_counts c CROSS JOIN monitor_settings s LEFT JOIN datasets d USING (dataset_id)
        GROUP BY c.dataset_id, 2, c.bucket
    $$, 'Requests to Meta by how long they took. from_ms null: not answered. to_ms null: above the last limit.'),
    ('fbtrace', $$
        SELECT a.day, a.dataset_id::text AS dataset, e.event_name, e.event_id, n.event_number,
            CASE a.outcome WHEN 'delivered' THEN 'success' WHEN 'throttled' THEN 'parked' WHEN 'blocked' THEN 'parked' ELSE 'error' END
                AS outcome,
            e.request_id::text AS request_id, a.fbtrace_id, e.trace_id, a.attempted_at AT TIME ZONE s.time_zone AS at
        FROM send_attempts a CROSS JOIN monitor_settings s CROSS JOIN LATERAL unnest(a.event_numbers) AS n (event_number)
        LEFT JOIN events e ON e.dataset_id = a.dataset_id AND e.event_number = n.event_number
            AND e.day BETWEEN a.first_day AND a.last_day
    $$, 'Which event went with which request to Meta. Raw: ask for a day (in UTC) or a fbtrace_id.'),
    ('queue_now', $$
        SELECT d.dataset_id::text AS dataset, q.ready, q.oldest_seconds,
            (SELECT coalesce(sum(b.event_count), 0)::bigint FROM (
                SELECT cardinality(f.event_numbers) AS event_count FROM send_batches f WHERE f.dataset_id = d.dataset_id
            ) AS b) AS in_flight,
            r.waiting, r.dead, r.expires + q.expires AS expires_in_24h, d.name AS dataset_name
        FROM datasets d CROSS JOIN LATERAL (
            SELECT count(*) AS ready, count(*) FILTER (WHERE s.send_by < rastro_now() + interval '24 hours') AS expires, (
                SELECT extract(epoch FROM rastro_now() - e.received_at)::bigint FROM send_queue o
                JOIN events e ON e.dataset_id = o.dataset_id AND e.event_number = o.first_number AND e.day = o.day
                WHERE o.dataset_id = d.dataset_id ORDER BY o.test_event_code, o.first_number LIMIT 1
            ) AS oldest_seconds
            FROM ready_events s WHERE s.dataset_id = d.dataset_id
        ) AS q CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE w.status = 'waiting') AS waiting, count(*) FILTER (WHERE w.status = 'failed') AS dead,
                count(*) FILTER (WHERE w.send_by > rastro_now() AND w.send_by < rastro_now() + interval '24 hours') AS expires
            FROM meta_retry_queue w WHERE w.dataset_id = d.dataset_id
        ) AS r
    $$, 'Where events that are not delivered are, now.'),
    ('dead_letters', $$
        SELECT r.dataset_id::text AS dataset, r.reason, r.error_code, r.error_subcode, count(*) AS events,
            sum(e.value) FILTER (WHERE r.event_name = 'Purchase')::numeric(14, 2) AS value,
            CASE WHEN r.event_name = 'Purchase' THEN e.currency END AS currency,
            min(r.failed_at) AT TIME ZONE s.time_zone AS first_failed,
            min(r.send_by) FILTER (WHERE r.send_by > rastro_now()) AT TIME ZONE s.time_zone AS first_deadline,
            max(d.name) AS dataset_name
        FROM meta_retry_queue r CROSS JOIN monitor_settings s LEFT JOIN datasets d USING (dataset_id)
        LEFT JOIN events e ON e.dataset_id = r.dataset_id AND e.event_number = r.event_number AND e.day = r.day
        WHERE r.status = 'failed'
        GROUP BY r.dataset_id, r.reason, r.error_code, r.error_subcode, CASE WHEN r.event_name = 'Purchase' THEN e.currency END,
            s.time_zone
    $$, 'Events that are not tried any more, by cause and currency. value: of orders. first_deadline: from then on Meta refuses the first of them.'),
    ('breakers', $$
        SELECT d.dataset_id::text AS dataset, coalesce(c.state, 'closed') AS state, c.reason, c.since AT TIME ZONE s.time_zone AS since,
            c.manual_until AT TIME ZONE s.time_zone AS until, coalesce(c.manual, 'automatic') AS "order", c.note, d.name AS dataset_name
        FROM datasets d CROSS JOIN monitor_settings s LEFT JOIN circuit_breakers c USING (dataset_id)
    $$, 'Whether events flow (closed) or wait. until: when an operator''s order ends.'),
    ('breaker_openings', $$
        SELECT o.dataset_id::text AS dataset, o.changed_at AT TIME ZONE s.time_zone AS opened,
            c.changed_at AT TIME ZONE s.time_zone AS closed,
            (extract(epoch FROM coalesce(c.changed_at, rastro_now()) - o.changed_at) / 60)::double precision AS minutes,
            (SELECT coalesce(sum(e.events), 0)::bigint FROM event_counts e WHERE e.dataset_id = o.dataset_id AND e.outcome = 'accepted'
                AND e.hour > o.changed_at - interval '1 hour' AND e.hour < coalesce(c.changed_at, rastro_now())) AS events_waited,
            o.reason, d.name AS dataset_name
        FROM breaker_transitions o CROSS JOIN monitor_settings s LEFT JOIN datasets d USING (dataset_id)
        LEFT JOIN LATERAL (
            SELECT t.changed_at FROM breaker_transitions t
            WHERE t.dataset_id = o.dataset_id AND t.transition_id > o.transition_id AND t.state = 'closed'
            ORDER BY t.transition_id LIMIT 1
        ) AS c ON true
        WHERE o.state = 'open' AND coalesce((
            SELECT p.state FROM breaker_transitions p
            WHERE p.dataset_id = o.dataset_id AND p.transition_id < o.transition_id ORDER BY p.transition_id DESC LIMIT 1
        ), 'closed') = 'closed'
    $$, 'Times in which a dataset was left alone. events_waited: accepted in the hours that it touched.'),
    ('emq_by_day', $$
        SELECT q.dataset_id::text AS dataset, q.day, q.event_name, q.score, q.estimate, d.name AS dataset_name
        FROM dataset_quality q LEFT JOIN datasets d USING (dataset_id)
    $$, 'Event Match Quality, 0 to 10: Meta''s score (null: it gives none) and our estimate.'),
    ('emq_keys', $$
        SELECT k.dataset_id::text AS dataset, k.day, k.event_name, k.identifier AS key, k.coverage_percent,
            k.gain_percent AS meta_gain_percent, d.name AS dataset_name
        FROM dataset_quality_keys k LEFT JOIN datasets d USING (dataset_id)
    $$, 'How many events carry each identifier, in percent, and how many more conversions Meta expects of it.'),
    ('alerts', $$
        SELECT a.rule, a.dataset_id::text AS dataset, a.fired_at AT TIME ZONE s.time_zone AS opened,
            a.resolved_at AT TIME ZONE s.time_zone AS resolved,
            (extract(epoch FROM coalesce(a.resolved_at, rastro_now()) - a.fired_at) / 60)::double precision AS minutes,
            a.severity, a.worst_value, a.threshold,
            (SELECT count(*) FROM alert_messages m WHERE m.alert_id = a.alert_id AND m.state = 'sent') AS messages,
            d.name AS dataset_name
        FROM alerts a CROSS JOIN monitor_settings s LEFT JOIN datasets d USING (dataset_id)
        WHERE a.state <> 'pending'
    $$, 'Alerts that fired. dataset null: about the whole system. resolved null: open.')
    LOOP
        EXECUTE format('CREATE VIEW %I.%I AS ', bi, view_name) || replace(definition, '%1$I', format('%I', bi));
        EXECUTE format('COMMENT ON VIEW %I.%I IS %L', bi, view_name, meaning);
    END LOOP;

    -- Whoever migrates may not be allowed to make roles; then an administrator does (guide.md), and grants it what stands here.
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN CONNECTION LIMIT 10', reader);
            EXECUTE format('ALTER ROLE %I SET default_transaction_read_only = on', reader);
            EXECUTE format('ALTER ROLE %I SET statement_timeout = ''60s''', reader);
        END IF;
    EXCEPTION
        WHEN insufficient_privilege THEN
            RAISE NOTICE 'role % was not made: % may not make roles', reader, current_user;
        WHEN unique_violation OR duplicate_object THEN
            NULL;
    END;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = reader) THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', bi, reader);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', bi, reader);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I', bi, reader);
    END IF;
END $bi$;
