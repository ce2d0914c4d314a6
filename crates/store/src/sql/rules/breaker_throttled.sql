-- alert rule breaker_throttled: seconds for which Meta has said wait.
SELECT c.dataset_id, '' AS group_key, extract(epoch FROM rastro_now() - c.since)::double precision AS value, 'warning' AS severity,
    jsonb_build_object('dataset_name', d.name, 'seconds', extract(epoch FROM rastro_now() - c.since)::bigint) AS facts
FROM circuit_breakers c JOIN datasets d USING (dataset_id)
WHERE c.state <> 'closed' AND c.reason = 'throttled'
