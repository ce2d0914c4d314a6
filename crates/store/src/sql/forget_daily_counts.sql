-- event_counts_daily::forget: deletes of the days of these hours what no hour has any more.
-- $1 hours
WITH zone AS (
    SELECT time_zone FROM monitor_settings
), days AS (
    SELECT DISTINCT (hour AT TIME ZONE zone.time_zone)::date AS day, zone.time_zone FROM unnest($1::timestamptz[]) AS hour, zone
)
DELETE FROM event_counts_daily t USING days, datasets d
WHERE t.dataset_id = d.dataset_id AND t.day = days.day AND NOT EXISTS (
    SELECT FROM event_counts c
    WHERE c.dataset_id = t.dataset_id AND c.event_name = t.event_name AND c.outcome = t.outcome
        AND c.hour >= days.day::timestamp AT TIME ZONE days.time_zone
        AND c.hour < (days.day + 1)::timestamp AT TIME ZONE days.time_zone
)
