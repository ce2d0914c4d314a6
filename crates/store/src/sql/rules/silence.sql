-- alert rule silence: how likely it is by chance that nothing came since the last event, by the same hours of the four weeks before.
-- Of everything, of orders and of leads. Nothing is concluded below $2 expected events, or from less than two weeks.
-- $2 least number of expected events
WITH kinds (group_key, event_name) AS (
    VALUES ('', NULL), ('Purchase', 'Purchase'), ('Lead', 'Lead')
), last AS (
    SELECT d.dataset_id, d.name, k.group_key, k.event_name, first.hour AS first_hour, greatest(
        -- To the second, of the hours that a BRIN index finds at once; beyond that to the hour.
        (SELECT max(e.received_at) FROM events e
            WHERE e.received_at > rastro_now() - interval '2 hours' AND e.dataset_id = d.dataset_id
                AND e.day >= ((rastro_now() - interval '2 hours') AT TIME ZONE 'UTC')::date
                AND (k.event_name IS NULL OR e.event_name = k.event_name)),
        (SELECT max(c.hour) + interval '1 hour' FROM event_counts c
            WHERE c.dataset_id = d.dataset_id AND c.outcome = 'accepted' AND (k.event_name IS NULL OR c.event_name = k.event_name)
                AND c.hour > rastro_now() - interval '7 days' AND c.hour < rastro_now() - interval '1 hour')
    ) AS at
    FROM datasets d CROSS JOIN kinds k CROSS JOIN LATERAL (
        SELECT c.hour FROM event_counts c WHERE c.dataset_id = d.dataset_id ORDER BY c.hour LIMIT 1
    ) AS first
), expected AS (
    SELECT l.*, weeks.n AS weeks, coalesce((
        SELECT sum(c.events * extract(epoch FROM
            least(c.hour + interval '1 hour', rastro_now() - w.n * interval '7 days') - greatest(c.hour, l.at - w.n * interval '7 days')
        ) / 3600)
        FROM generate_series(1, weeks.n) AS w (n) JOIN event_counts c ON c.dataset_id = l.dataset_id AND c.outcome = 'accepted'
            AND (l.event_name IS NULL OR c.event_name = l.event_name)
            AND c.hour > l.at - w.n * interval '7 days' - interval '1 hour' AND c.hour < rastro_now() - w.n * interval '7 days'
    ), 0) / weeks.n AS events
    FROM last l CROSS JOIN LATERAL (
        SELECT least(4, floor(extract(epoch FROM l.at - l.first_hour) / 604800))::integer AS n
    ) AS weeks
    WHERE weeks.n >= 2 AND l.at < rastro_now()
)
SELECT dataset_id, group_key, exp(-least(events, 500))::double precision AS value, 'warning' AS severity,
    jsonb_build_object('dataset_name', name, 'event_name', event_name, 'expected', round(events, 1),
        'seconds', extract(epoch FROM rastro_now() - at)::bigint) AS facts
FROM expected
WHERE events >= $2
