-- alert rule dead_letters: dead letters of one cause that became so lately, or that Meta would still take: those are looked after
-- until somebody did. What somebody set aside on purpose is none of them. Critical if an order is among them.
-- $1 window in seconds
SELECT g.dataset_id, g.group_key, g.events::double precision AS value,
    CASE WHEN g.purchases > 0 THEN 'critical' ELSE 'warning' END AS severity,
    jsonb_build_object('dataset_name', d.name, 'count', g.events, 'reason', g.reason, 'code', g.error_code,
        'subcode', g.error_subcode, 'deadline', g.deadline, 'money', coalesce(m.money, '[]')) AS facts
FROM (
    SELECT r.dataset_id, r.reason, r.error_code, r.error_subcode,
        concat_ws('/', r.reason, coalesce(r.error_code, 0), coalesce(r.error_subcode, 0)) AS group_key,
        count(*) AS events, count(*) FILTER (WHERE r.event_name = 'Purchase') AS purchases,
        min(r.send_by) FILTER (WHERE r.send_by > rastro_now()) AS deadline
    FROM datasets JOIN meta_retry_queue r USING (dataset_id)
    WHERE r.status = 'failed' AND (r.failed_at > rastro_now() - $1 * interval '1 second' OR r.send_by > rastro_now())
        AND r.reason <> 'set_aside'
    GROUP BY r.dataset_id, r.reason, r.error_code, r.error_subcode
) AS g JOIN datasets d USING (dataset_id)
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('currency', currency, 'amount', amount::text) ORDER BY amount DESC) AS money
    FROM (
        SELECT e.currency, sum(e.value)::numeric(20, 2) AS amount
        FROM meta_retry_queue r JOIN events e ON e.dataset_id = r.dataset_id AND e.event_number = r.event_number AND e.day = r.day
        WHERE r.dataset_id = g.dataset_id AND r.status = 'failed'
            AND (r.failed_at > rastro_now() - $1 * interval '1 second' OR r.send_by > rastro_now())
            AND r.reason = g.reason AND r.error_code IS NOT DISTINCT FROM g.error_code
            AND r.error_subcode IS NOT DISTINCT FROM g.error_subcode
            AND r.event_name = 'Purchase' AND e.value IS NOT NULL AND e.currency IS NOT NULL
        GROUP BY e.currency
    ) AS sums
) AS m ON g.purchases > 0
