-- alert rule duplicates: duplicates among what was received, in percent.
-- $1 window in seconds, $2 least number of received events
SELECT r.dataset_id, '' AS group_key, (100.0 * r.duplicates / r.received)::double precision AS value, 'warning' AS severity,
    jsonb_build_object('dataset_name', d.name, 'percent', round(100.0 * r.duplicates / r.received, 1), 'count', r.duplicates,
        'total', r.received, 'window_seconds', $1) AS facts
FROM (
    SELECT dataset_id, sum(duplicates)::bigint AS duplicates, (sum(duplicates) + sum(accepted))::bigint AS received
    FROM (
        SELECT dataset_id, count(*) AS accepted, 0 AS duplicates FROM events
        WHERE received_at > rastro_now() - $1 * interval '1 second'
            AND day >= ((rastro_now() - $1 * interval '1 second') AT TIME ZONE 'UTC')::date
        GROUP BY dataset_id
        UNION ALL
        SELECT o.dataset_id, 0, sum(o.event_count) FROM datasets d JOIN event_outcomes o USING (dataset_id)
        WHERE o.created_at > rastro_now() - $1 * interval '1 second' AND o.outcome = 'duplicate'
            AND o.day >= ((rastro_now() - $1 * interval '1 second') AT TIME ZONE 'UTC')::date
        GROUP BY o.dataset_id
    ) AS parts GROUP BY dataset_id
) AS r JOIN datasets d USING (dataset_id)
WHERE r.received >= $2
