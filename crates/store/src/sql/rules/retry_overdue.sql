-- alert rule retry_overdue: seconds by which the oldest retry is late, of datasets whose breaker lets events flow.
SELECT NULL::bigint AS dataset_id, '' AS group_key, s.seconds::double precision AS value, 'critical' AS severity,
    jsonb_build_object('seconds', s.seconds) AS facts
FROM (
    SELECT extract(epoch FROM rastro_now() - min(r.next_retry_at))::bigint AS seconds
    FROM datasets d CROSS JOIN LATERAL (
        SELECT r.next_retry_at FROM meta_retry_queue r
        WHERE r.status = 'waiting' AND r.dataset_id = d.dataset_id AND r.next_retry_at < rastro_now()
        ORDER BY r.next_retry_at LIMIT 1
    ) AS r
    WHERE NOT EXISTS (SELECT FROM circuit_breakers c WHERE c.dataset_id = d.dataset_id AND c.state <> 'closed')
) AS s
WHERE s.seconds > 0
