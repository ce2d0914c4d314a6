-- alert rule breaker_forced: seconds for which an operator's order has been in force.
SELECT c.dataset_id, '' AS group_key, s.seconds::double precision AS value,
    CASE WHEN s.seconds > 86400 THEN 'warning' ELSE 'info' END AS severity,
    jsonb_build_object('dataset_name', d.name, 'order', c.manual, 'note', left(c.note, 200), 'seconds', s.seconds) AS facts
FROM circuit_breakers c JOIN datasets d USING (dataset_id)
CROSS JOIN LATERAL (
    -- Since the first change after the last one under another order.
    SELECT extract(epoch FROM rastro_now() - coalesce(min(t.changed_at), c.updated_at))::bigint AS seconds
    FROM breaker_transitions t
    WHERE t.dataset_id = c.dataset_id AND t.transition_id > coalesce((
        SELECT max(o.transition_id) FROM breaker_transitions o WHERE o.dataset_id = c.dataset_id AND o.manual <> c.manual
    ), 0)
) AS s
WHERE c.manual <> 'automatic' AND (c.manual_until IS NULL OR c.manual_until > rastro_now())
