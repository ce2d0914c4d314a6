-- alert rule spend_stale: seconds since the newest day of spend of each source ended, in the dataset's zone. Of a source that is
-- read from an API the days that were read count, spend or none: nothing is told of days on which no ad ran.
WITH RECURSIVE sources AS (
    (SELECT dataset_id, channel FROM ad_spend ORDER BY dataset_id, channel LIMIT 1)
    UNION ALL
    -- From one source to the next in the primary key, past its rows.
    SELECT next.dataset_id, next.channel FROM sources s CROSS JOIN LATERAL (
        SELECT a.dataset_id, a.channel FROM ad_spend a WHERE (a.dataset_id, a.channel) > (s.dataset_id, s.channel)
        ORDER BY a.dataset_id, a.channel LIMIT 1
    ) AS next
)
SELECT d.dataset_id, s.channel AS group_key, age.seconds::double precision AS value, 'warning' AS severity,
    jsonb_build_object('dataset_name', d.name, 'name', s.channel, 'day', newest.day, 'seconds', age.seconds) AS facts
FROM sources s JOIN datasets d USING (dataset_id)
CROSS JOIN LATERAL (
    SELECT greatest(
        (SELECT a.day FROM ad_spend a WHERE a.dataset_id = s.dataset_id AND a.channel = s.channel ORDER BY a.day DESC LIMIT 1),
        (SELECT max(c.last_day) FROM spend_coverage c WHERE c.dataset_id = s.dataset_id AND c.channel = s.channel)
    ) AS day
) AS newest
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM rastro_now() - (newest.day + 1)::timestamp AT TIME ZONE d.time_zone)::bigint AS seconds
) AS age
WHERE age.seconds > 0
