-- event_counts_daily::put: adds up the days of the reporting zone to which these hours belong, and writes what is new or differs.
-- $1 hours
WITH zone AS (
    SELECT time_zone FROM monitor_settings
), days AS (
    SELECT DISTINCT (hour AT TIME ZONE zone.time_zone)::date AS day, zone.time_zone FROM unnest($1::timestamptz[]) AS hour, zone
)
INSERT INTO event_counts_daily (dataset_id, day, event_name, outcome, events)
SELECT c.dataset_id, days.day, c.event_name, c.outcome, sum(c.events)::bigint
FROM days CROSS JOIN datasets d JOIN event_counts c ON c.dataset_id = d.dataset_id
    AND c.hour >= days.day::timestamp AT TIME ZONE days.time_zone
    AND c.hour < (days.day + 1)::timestamp AT TIME ZONE days.time_zone
GROUP BY c.dataset_id, days.day, c.event_name, c.outcome
ON CONFLICT (dataset_id, day, event_name, outcome) DO UPDATE SET events = excluded.events
WHERE event_counts_daily.events <> excluded.events
