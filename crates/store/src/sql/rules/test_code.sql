-- alert rule test_code: seconds since the first request of the last day with a test code, while such requests are still made.
SELECT d.dataset_id, '' AS group_key, extract(epoch FROM rastro_now() - min(a.attempted_at))::double precision AS value,
    'warning' AS severity,
    jsonb_build_object('dataset_name', d.name, 'seconds', extract(epoch FROM rastro_now() - min(a.attempted_at))::bigint,
        'count', sum(a.event_count)) AS facts
FROM datasets d JOIN send_attempts a USING (dataset_id)
WHERE a.test_event_code <> '' AND a.outcome = 'delivered' AND a.attempted_at > rastro_now() - interval '1 day'
    AND a.day >= ((rastro_now() - interval '1 day') AT TIME ZONE 'UTC')::date
GROUP BY d.dataset_id, d.name
HAVING max(a.attempted_at) > rastro_now() - interval '15 minutes'
