-- alert rule queue_age: seconds for which a queue that may flow has not moved: since its oldest event came, since the last request
-- ended, and since the breaker let it flow again, whichever is least.
SELECT d.dataset_id, '' AS group_key, s.seconds::double precision AS value, 'critical' AS severity,
    jsonb_build_object('dataset_name', d.name, 'seconds', s.seconds) AS facts
FROM datasets d
CROSS JOIN LATERAL (
    SELECT q.first_number AS event_number, q.day FROM send_queue q WHERE q.dataset_id = d.dataset_id
    ORDER BY q.test_event_code, q.first_number LIMIT 1
) AS oldest
LEFT JOIN circuit_breakers c ON c.dataset_id = d.dataset_id
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM rastro_now() - greatest(
        (SELECT e.received_at FROM events e
            WHERE e.dataset_id = d.dataset_id AND e.event_number = oldest.event_number AND e.day = oldest.day),
        (SELECT max(a.attempted_at) FROM send_attempts a
            WHERE a.dataset_id = d.dataset_id AND a.attempted_at > rastro_now() - interval '1 day'
                AND a.day >= ((rastro_now() - interval '1 day') AT TIME ZONE 'UTC')::date),
        c.since
    ))::bigint AS seconds
) AS s
WHERE s.seconds IS NOT NULL
    AND CASE WHEN c.manual_until IS NULL OR c.manual_until > rastro_now() THEN
        CASE c.manual WHEN 'forced_closed' THEN true WHEN 'forced_open' THEN false
            ELSE coalesce(c.state, 'closed') = 'closed' END
        ELSE coalesce(c.state, 'closed') = 'closed' END
