-- Thirty days of invented history for the demo's dashboard: counts by hour, one outage, dead letters, duplicates, alerts, scores.
-- Run in one transaction, after the datasets exist; what is there already stays as it is. Everything hangs on the temporary table
-- demo_datasets (dataset_id, place, weight), which whoever runs it makes.
-- Hours of the past are marked as counted and closed, so that `monitor check` leaves them; the running ones it counts itself.

-- ---- counts ----
CREATE TEMP TABLE demo_hours ON COMMIT DROP AS
SELECT d.dataset_id, d.weight, h AS hour, date_trunc('hour', rastro_now()) - interval '8 days' AS outage_day,
    -- Busier by day than by night, and less at weekends; the noise is the same in every run.
    (
        greatest(0.06, sin(pi() * (extract(hour FROM h AT TIME ZONE 'America/Sao_Paulo') - 6) / 19))
        * CASE WHEN extract(isodow FROM h AT TIME ZONE 'America/Sao_Paulo') >= 6 THEN 0.62 ELSE 1 END
        * (0.86 + 0.28 * (hashint8(extract(epoch FROM h)::bigint / 3600 + d.dataset_id) & 1023) / 1023.0)
        * (1 + 0.004 * extract(day FROM h - (rastro_now() - interval '30 days')))
    ) AS level,
    (h AT TIME ZONE 'America/Sao_Paulo')::date = (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - 8
        AND extract(hour FROM h AT TIME ZONE 'America/Sao_Paulo') IN (14, 15) AS in_outage
FROM demo_datasets d CROSS JOIN generate_series(
    date_trunc('hour', rastro_now()) - interval '36 days', date_trunc('hour', rastro_now()) - interval '1 hour', interval '1 hour'
) AS h
WHERE NOT EXISTS (SELECT FROM event_counts);

INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
SELECT dataset_id, hour, name, outcome, events FROM (
    SELECT dataset_id, hour, name, unnest(ARRAY['accepted', 'duplicate', 'success', 'error']) AS outcome,
        unnest(ARRAY[
            (weight * level * share)::bigint,
            (weight * level * share * CASE WHEN in_outage THEN 0.13 ELSE 0.034 + 0.012 * sin(extract(epoch FROM hour) / 86400) END)::bigint,
            (weight * level * share)::bigint,
            (weight * level * share * CASE WHEN in_outage THEN 0.9 ELSE 0.002 END)::bigint
        ]) AS events
    FROM demo_hours CROSS JOIN (
        VALUES ('PageView', 0.55), ('ViewContent', 0.22), ('AddToCart', 0.08), ('InitiateCheckout', 0.05), ('Lead', 0.07),
            ('Purchase', 0.03)
    ) AS names (name, share)
) AS counted WHERE events > 0
ON CONFLICT DO NOTHING;

INSERT INTO request_counts (dataset_id, hour, bucket, requests, latency_ms)
SELECT dataset_id, hour, bucket, requests, CASE WHEN bucket = 99 THEN 0 ELSE requests * middle END FROM (
    SELECT dataset_id, hour, bucket, middle,
        (weight * level * share / 4 * CASE WHEN in_outage AND bucket IN (15, 99) THEN 40 ELSE 1 END)::bigint AS requests
    FROM demo_hours CROSS JOIN (
        VALUES (1, 60, 0.002), (2, 88, 0.011), (3, 125, 0.055), (4, 175, 0.15), (5, 225, 0.22), (6, 275, 0.19), (7, 350, 0.2),
            (8, 450, 0.09), (9, 550, 0.04), (10, 700, 0.024), (11, 900, 0.011), (12, 1200, 0.007), (13, 1700, 0.004),
            (14, 2400, 0.002), (15, 3900, 0.001), (99, 0, 0.001)
    ) AS shape (bucket, middle, share)
) AS counted WHERE requests > 0
ON CONFLICT DO NOTHING;

INSERT INTO counted_hours (hour, closed, counted_at, took_ms)
SELECT DISTINCT hour, true, rastro_now(), 20 FROM demo_hours ON CONFLICT DO NOTHING;

INSERT INTO event_counts_daily (dataset_id, day, event_name, outcome, events)
SELECT dataset_id, (hour AT TIME ZONE 'America/Sao_Paulo')::date, event_name, outcome, sum(events)
FROM event_counts GROUP BY 1, 2, 3, 4
ON CONFLICT (dataset_id, day, event_name, outcome) DO UPDATE SET events = excluded.events;

-- ---- one outage, eight days ago from 14:02 to 15:10 ----
CREATE TEMP TABLE demo_outage ON COMMIT DROP AS
SELECT ((rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - 8 + time '14:02') AT TIME ZONE 'America/Sao_Paulo' AS began,
    ((rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - 8 + time '15:10') AT TIME ZONE 'America/Sao_Paulo' AS ended;

INSERT INTO breaker_transitions (dataset_id, changed_at, generation, state, reason, manual, note)
SELECT d.dataset_id, t.at, t.generation, t.state, t.reason, 'automatic', '' FROM demo_datasets d CROSS JOIN demo_outage o
CROSS JOIN LATERAL (VALUES (o.began, 1, 'open', 'errors'), (o.ended - interval '2 minutes', 2, 'half_open', 'errors'),
    (o.ended, 3, 'closed', NULL)) AS t (at, generation, state, reason)
WHERE d.place = 1 AND NOT EXISTS (SELECT FROM breaker_transitions);

INSERT INTO alerts (rule, dataset_id, state, severity, pending_since, fired_at, resolved_at, clear_since, last_true_at, value, worst_value, threshold, facts)
SELECT a.rule, d.dataset_id, 'resolved', a.severity, a.at, a.at, a.at + a.lasted, a.at + a.lasted, a.at + a.lasted, 0, a.worst, a.threshold, a.facts::jsonb
FROM demo_datasets d JOIN (
    SELECT 1 AS place, 'breaker_errors' AS rule, 'critical' AS severity, began AS at, interval '68 minutes' AS lasted, 1.0 AS worst,
        0.0 AS threshold, '{"count": 9214}' AS facts FROM demo_outage
    UNION ALL SELECT 1, 'duplicates', 'warning', began + interval '80 minutes', interval '22 minutes', 13.2, 10.0, '{"percent": 13.2, "count": 182, "total": 1378}' FROM demo_outage
    UNION ALL SELECT 2, 'latency', 'warning', rastro_now() - interval '3 days 5 hours', interval '14 minutes', 8.1, 5.0, '{"percent": 8.1, "p95_ms": 2310}'
    UNION ALL SELECT 3, 'error_rate', 'critical', rastro_now() - interval '17 days', interval '31 minutes', 11.4, 5.0, '{"percent": 11.4, "count": 48, "total": 421, "code": 2}'
) AS a ON a.place = d.place
WHERE NOT EXISTS (SELECT FROM alerts);

-- ---- dead letters: a field that Meta refuses, a time in which it did not answer, and what became too old ----
-- Numbers grow with time: these events are older than all that are there.
CREATE TEMP TABLE demo_dead ON COMMIT DROP AS
SELECT (SELECT coalesce(min(event_number), 0) FROM events) - row_number() OVER (ORDER BY told.received_at DESC) AS event_number, told.*
FROM (
    SELECT d.dataset_id, k.*, n, rastro_now() - k.ago - n * interval '47 seconds' AS received_at,
        (ARRAY[149.00, 89.90, 349.00, 59.90, 219.50])[1 + n % 5] AS amount
    FROM demo_datasets d JOIN (
        VALUES (2, 14, 'Purchase', 'refused', 100, 2804019, 'Invalid parameter: contents[0].id is missing',
                interval '3 hours 40 minutes', 400),
            (1, 10, 'Lead', 'exhausted', NULL, NULL, 'no answer within 1.5 s', interval '16 hours', NULL),
            (3, 7, 'Purchase', 'expired', NULL, NULL, 'too old for Meta when its turn came', interval '8 days 2 hours', NULL)
    ) AS k (place, many, name, reason, code, subcode, said, ago, http_status) ON k.place = d.place
    CROSS JOIN LATERAL generate_series(1, k.many) AS n
    WHERE NOT EXISTS (SELECT FROM meta_retry_queue WHERE status = 'failed')
) AS told;

SELECT create_day_partition(parent, day) FROM (
    SELECT DISTINCT (received_at AT TIME ZONE 'UTC')::date AS day FROM demo_dead
) AS days CROSS JOIN unnest(day_tables()) AS parent;

INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source, value,
    currency, order_id, page_host, page_path, test_event_code, request_id, trace_id, span_id, payload)
SELECT dataset_id, (received_at AT TIME ZONE 'UTC')::date, event_number, name, lower(name) || '-' || (48000 + n * 7), received_at, received_at,
    received_at + interval '7 days', 'website', CASE WHEN name = 'Purchase' THEN amount END, CASE WHEN name = 'Purchase' THEN 'BRL' END,
    CASE WHEN name = 'Purchase' THEN lower(name) || '-' || (48000 + n * 7) END, 'loja.example.com.br', '/obrigado', '', gen_random_uuid(),
    md5(event_number::text), substr(md5(event_number::text), 1, 16),
    json_build_object('event_name', name, 'event_time', extract(epoch FROM received_at)::bigint, 'event_id', lower(name) || '-' || (48000 + n * 7),
        'action_source', 'website', 'user_data', json_build_object('em', json_build_array(encode(sha256(n::text::bytea), 'hex')), 'fbp', 'fb.1.1700000000.1234567',
            'client_user_agent', 'Mozilla/5.0'), 'custom_data', json_build_object('value', amount, 'currency', 'BRL'))::text
FROM demo_dead;

INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome, http_status, error_code,
    error_subcode, error_message, fbtrace_id, event_count, event_numbers, first_number, last_number, first_day, last_day)
SELECT dataset_id, (at AT TIME ZONE 'UTC')::date, event_number, t, '', at, CASE WHEN http_status IS NULL THEN NULL ELSE 380 + 40 * n END,
    CASE WHEN reason = 'refused' THEN 'refused' ELSE 'unavailable' END, http_status, code, subcode, said,
    CASE WHEN http_status IS NULL THEN NULL ELSE 'A' || substr(md5(event_number::text), 1, 22) END, 1, ARRAY[event_number], event_number,
    event_number, (received_at AT TIME ZONE 'UTC')::date, (received_at AT TIME ZONE 'UTC')::date
FROM demo_dead CROSS JOIN generate_series(1, CASE WHEN reason = 'refused' THEN 1 ELSE 4 END) AS t
CROSS JOIN LATERAL (SELECT received_at + interval '700 milliseconds' + (ARRAY[0, 1, 6, 36])[t] * interval '1 second' AS at) AS times
WHERE reason <> 'expired';

INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by, retry_count, last_error,
    error_code, error_subcode, status, reason, failed_at)
SELECT dataset_id, event_number, (received_at AT TIME ZONE 'UTC')::date, '', name, lower(name) || '-' || (48000 + n * 7), received_at + interval '7 days',
    CASE WHEN reason = 'exhausted' THEN 3 ELSE 0 END, said, code, subcode, 'failed', reason,
    CASE WHEN reason = 'expired' THEN received_at + interval '7 days' ELSE received_at + interval '40 seconds' END
FROM demo_dead;

-- They are accepted events, and their attempts failed, like the others that were counted.
INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
SELECT dataset_id, date_trunc('hour', received_at), name, 'accepted', count(*) FROM demo_dead
WHERE received_at < date_trunc('hour', rastro_now()) GROUP BY 1, 2, 3
UNION ALL
SELECT dataset_id, date_trunc('hour', received_at), name, 'error', count(*) * CASE WHEN reason = 'refused' THEN 1 ELSE 4 END FROM demo_dead
WHERE reason <> 'expired' GROUP BY 1, 2, 3, reason
ON CONFLICT (dataset_id, hour, event_name, outcome) DO UPDATE SET events = event_counts.events + excluded.events;

-- ---- Meta's score ----
INSERT INTO dataset_quality (dataset_id, day, event_name, score, estimate, dedupe_coverage, event_coverage, freshness, fetched_at)
SELECT d.dataset_id, (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - back, q.name,
    round((q.score + back * q.slope)::numeric, 1), round((q.score + back * q.slope + q.off)::numeric, 1), 88, 96, 'real_time',
    rastro_now() - back * interval '1 day' - interval '2 hours'
FROM demo_datasets d JOIN (VALUES (1, 'Purchase', 8.6, 0.0, -0.3), (1, 'Lead', 7.2, 0.01, -0.2), (2, 'Lead', 5.4, 0.1, 0.5),
    (2, 'Purchase', 7.8, 0.0, -0.2)) AS q (place, name, score, slope, off) ON q.place = d.place
CROSS JOIN generate_series(0, 7) AS back
ON CONFLICT DO NOTHING;

INSERT INTO dataset_quality_keys (dataset_id, day, event_name, identifier, coverage_percent)
SELECT q.dataset_id, q.day, q.event_name, k.name, k.covered - CASE WHEN q.score < 6 THEN k.worse ELSE 0 END
FROM dataset_quality q CROSS JOIN (VALUES ('email', 94, 6), ('phone', 81, 43), ('fbp', 91, 4), ('click_id', 63, 11), ('external_id', 88, 20),
    ('ip_address', 99, 0), ('user_agent', 99, 0)) AS k (name, covered, worse)
WHERE q.day = (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date
ON CONFLICT DO NOTHING;

INSERT INTO dataset_quality_fetches (dataset_id, state, since, asked_at, next_at)
SELECT dataset_id, 'readable', rastro_now() - interval '30 days', rastro_now() - interval '2 hours', rastro_now() + interval '22 hours'
FROM demo_datasets WHERE place < 3
ON CONFLICT DO NOTHING;
