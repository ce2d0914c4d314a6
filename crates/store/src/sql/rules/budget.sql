-- alert rule delivery_budget: accepted events and new dead letters of each window.
-- $1 windows in seconds
SELECT d.dataset_id, d.name, w.seconds AS window_seconds, coalesce(a.events, 0) AS accepted, f.events AS undelivered
FROM datasets d CROSS JOIN unnest($1::integer[]) AS w (seconds)
LEFT JOIN (
    SELECT e.dataset_id, w.seconds, count(*) AS events
    FROM unnest($1::integer[]) AS w (seconds) JOIN events e ON e.received_at > rastro_now() - w.seconds * interval '1 second'
        AND e.received_at > rastro_now() - (SELECT max(s) FROM unnest($1::integer[]) AS s) * interval '1 second'
        AND e.day >= ((rastro_now() - interval '6 hours') AT TIME ZONE 'UTC')::date
    GROUP BY e.dataset_id, w.seconds
) AS a ON a.dataset_id = d.dataset_id AND a.seconds = w.seconds
CROSS JOIN LATERAL (
    SELECT count(*) AS events FROM meta_retry_queue r
    WHERE r.dataset_id = d.dataset_id AND r.status = 'failed' AND r.failed_at > rastro_now() - w.seconds * interval '1 second'
) AS f
WHERE f.events > 0
