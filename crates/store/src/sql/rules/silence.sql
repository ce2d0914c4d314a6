-- alert rule silence: how likely it is by chance that nothing came since the last event, by the same hours of the four weeks before.
-- Of everything, of orders and of leads of a dataset, and of everything of all those datasets together that sent until about then:
-- a gateway that is away is told once and early, and a dataset that stopped before is expected no more. Nothing is concluded below $2
-- expected events, or from less than two weeks.
-- $2 least number of expected events
WITH kinds (group_key, event_name) AS (
    VALUES ('', NULL), ('Purchase', 'Purchase'), ('Lead', 'Lead')
), recent AS MATERIALIZED (
    SELECT dataset_id, event_name, max(received_at) AS at FROM events
    WHERE received_at > rastro_now() - interval '2 hours' AND day >= ((rastro_now() - interval '2 hours') AT TIME ZONE 'UTC')::date
    GROUP BY dataset_id, event_name
), last AS MATERIALIZED (
    SELECT d.dataset_id, d.name, k.group_key, k.event_name, first.hour AS first_hour, coalesce(
        -- To the second, of the hours that a BRIN index finds at once; beyond that to the end of the hour.
        (SELECT max(r.at) FROM recent r WHERE r.dataset_id = d.dataset_id AND (k.event_name IS NULL OR r.event_name = k.event_name)),
        (SELECT least(max(c.hour) + interval '1 hour', rastro_now() - interval '2 hours') FROM event_counts c
            WHERE c.dataset_id = d.dataset_id AND c.outcome = 'accepted' AND (k.event_name IS NULL OR c.event_name = k.event_name)
                AND c.hour > rastro_now() - interval '7 days' AND c.hour < rastro_now() - interval '1 hour')
    ) AS at
    FROM datasets d CROSS JOIN kinds k CROSS JOIN LATERAL (
        SELECT c.hour FROM event_counts c WHERE c.dataset_id = d.dataset_id ORDER BY c.hour LIMIT 1
    ) AS first
), together AS MATERIALIZED (
    SELECT l.dataset_id, newest.at, min(l.first_hour) OVER () AS first_hour, count(*) OVER () AS datasets
    FROM last l CROSS JOIN (SELECT max(at) AS at FROM last WHERE group_key = '') AS newest
    WHERE l.group_key = '' AND l.at >= newest.at - interval '2 hours'
), asked AS MATERIALIZED (
    SELECT dataset_id AS subject, dataset_id, name, group_key, event_name, first_hour, at FROM last
    UNION ALL
    -- A row for each of the datasets that events are expected of.
    SELECT NULL, dataset_id, NULL, '', NULL, first_hour, at FROM together WHERE datasets > 1
), expected AS (
    SELECT a.subject, a.name, a.group_key, a.event_name, a.at, sum(counted.events) / weeks.n AS events
    FROM asked a CROSS JOIN LATERAL (
        SELECT least(4, floor(extract(epoch FROM a.at - a.first_hour) / 604800))::integer AS n
    ) AS weeks CROSS JOIN LATERAL generate_series(1, weeks.n) AS w (n) CROSS JOIN LATERAL (
        SELECT coalesce(sum(c.events * extract(epoch FROM
            least(c.hour + interval '1 hour', rastro_now() - w.n * interval '7 days') - greatest(c.hour, a.at - w.n * interval '7 days')
        ) / 3600), 0) AS events
        FROM event_counts c
        WHERE c.dataset_id = a.dataset_id AND c.outcome = 'accepted' AND (a.event_name IS NULL OR c.event_name = a.event_name)
            AND c.hour > a.at - w.n * interval '7 days' - interval '1 hour' AND c.hour < rastro_now() - w.n * interval '7 days'
    ) AS counted
    WHERE weeks.n >= 2 AND a.at < rastro_now()
    GROUP BY a.subject, a.name, a.group_key, a.event_name, a.at, weeks.n
)
SELECT subject AS dataset_id, group_key, exp(-least(events, 500))::double precision AS value, 'warning' AS severity,
    jsonb_build_object('dataset_name', name, 'event_name', event_name, 'expected', round(events, 1),
        'seconds', extract(epoch FROM rastro_now() - at)::bigint) AS facts
FROM expected
WHERE events >= $2
ORDER BY subject NULLS FIRST, group_key
