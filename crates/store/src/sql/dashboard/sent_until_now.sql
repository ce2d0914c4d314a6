-- dashboard::sent_until_now: delivered from midnight until this minute, today and on the same weekday of the last four weeks;
-- of the running hour as much as has passed of it. $1 dataset id or NULL, $2 midnight
SELECT w AS weeks_ago, coalesce(sum(
    CASE WHEN c.hour < date_trunc('hour', rastro_now()) - w * interval '7 days' OR w = 0 THEN c.events
    ELSE c.events * (extract(epoch FROM rastro_now() - date_trunc('hour', rastro_now())) / 3600) END
), 0)::double precision AS events
FROM generate_series(0, 4) AS w
LEFT JOIN event_counts c ON c.outcome = 'success' AND c.hour >= $2::timestamptz - w * interval '7 days'
    AND c.hour <= date_trunc('hour', rastro_now()) - w * interval '7 days' AND ($1::bigint IS NULL OR c.dataset_id = $1)
GROUP BY w ORDER BY w
