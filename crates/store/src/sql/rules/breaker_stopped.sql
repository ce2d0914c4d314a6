-- alert rules breaker_errors, breaker_blocked and breaker_refused: the breaker is not closed, for this reason. Waiting events are
-- counted up to a million.
-- $3 reason
SELECT c.dataset_id, '' AS group_key, 1::double precision AS value, 'critical' AS severity,
    jsonb_build_object('dataset_name', d.name, 'count', w.events, 'deadline', w.deadline,
        'seconds', extract(epoch FROM rastro_now() - coalesce(c.outage_since, c.since))::bigint,
        'code', last.error_code, 'subcode', last.error_subcode) AS facts
FROM circuit_breakers c JOIN datasets d USING (dataset_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS events, min(send_by) AS deadline FROM (
        (SELECT send_by FROM ready_events q WHERE q.dataset_id = c.dataset_id LIMIT 1000000)
        UNION ALL
        (SELECT send_by FROM meta_retry_queue r WHERE r.dataset_id = c.dataset_id AND r.status = 'waiting' LIMIT 1000000)
    ) AS undelivered
) AS w
LEFT JOIN LATERAL (
    SELECT a.error_code, a.error_subcode FROM send_attempts a
    WHERE a.dataset_id = c.dataset_id AND a.outcome <> 'delivered'
        AND a.day >= ((rastro_now() - interval '1 day') AT TIME ZONE 'UTC')::date
        AND a.attempted_at > rastro_now() - interval '1 day'
    ORDER BY a.attempted_at DESC LIMIT 1
) AS last ON true
WHERE c.state <> 'closed' AND c.reason = $3
