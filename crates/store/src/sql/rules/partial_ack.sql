-- alert rule partial_ack: events that Meta did not confirm of requests that it accepted.
-- $1 window in seconds
SELECT d.dataset_id, '' AS group_key, sum(a.event_count - a.events_received)::double precision AS value, 'critical' AS severity,
    jsonb_build_object('dataset_name', d.name, 'count', sum(a.events_received), 'total', sum(a.event_count)) AS facts
FROM datasets d JOIN send_attempts a USING (dataset_id)
WHERE a.outcome = 'delivered' AND a.events_received < a.event_count
    AND a.attempted_at > rastro_now() - $1 * interval '1 second'
    AND a.day >= ((rastro_now() - $1 * interval '1 second') AT TIME ZONE 'UTC')::date
GROUP BY d.dataset_id, d.name
