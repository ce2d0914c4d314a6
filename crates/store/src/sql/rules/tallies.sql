-- alert rules error_rate and latency: how requests of a dataset went within each window. A request that was refused and split is no
-- verdict on its events. Nothing counts of before the breaker last closed: that outage was told. Slow: above 2,000 ms, or not answered.
-- $1 windows in seconds
SELECT d.dataset_id, d.name, w.seconds AS window_seconds, t.*
FROM datasets d CROSS JOIN unnest($1::integer[]) AS w (seconds) LEFT JOIN circuit_breakers c USING (dataset_id) CROSS JOIN LATERAL (
    SELECT coalesce(sum(event_count) FILTER (WHERE NOT is_cut AND NOT is_parked), 0)::bigint AS attempts,
        coalesce(sum(event_count) FILTER (WHERE has_failed), 0)::bigint AS failed,
        count(*) FILTER (WHERE has_failed) AS failed_requests,
        count(*) AS requests,
        count(*) FILTER (WHERE is_unanswered OR latency_ms > 2000) AS slow_requests,
        percentile_disc(0.95) WITHIN GROUP (ORDER BY CASE WHEN is_unanswered THEN 2147483647 ELSE latency_ms END)::bigint AS p95_ms
    FROM (
        SELECT event_count, latency_ms, outcome IN ('throttled', 'blocked') AS is_parked,
            outcome = 'refused' AND event_count > 1 AS is_cut,
            outcome = 'unavailable' OR (outcome = 'refused' AND event_count = 1) AS has_failed,
            latency_ms IS NULL OR (outcome = 'unavailable' AND http_status IS NULL) AS is_unanswered
        FROM send_attempts a
        WHERE a.dataset_id = d.dataset_id AND a.attempted_at > rastro_now() - w.seconds * interval '1 second'
            AND a.attempted_at > coalesce(CASE c.state WHEN 'closed' THEN c.since END, '-infinity')
            AND a.day >= ((rastro_now() - w.seconds * interval '1 second') AT TIME ZONE 'UTC')::date
    ) AS attempts
) AS t
WHERE t.requests > 0
ORDER BY d.dataset_id, w.seconds
