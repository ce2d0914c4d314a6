-- alert rule expiring: events that are not delivered after five minutes and that Meta will refuse soon. Critical within six hours.
-- $1 how soon, in seconds
SELECT x.dataset_id, '' AS group_key, x.events::double precision AS value,
    CASE WHEN x.deadline < rastro_now() + interval '6 hours' THEN 'critical' ELSE 'warning' END AS severity,
    jsonb_build_object('dataset_name', d.name, 'count', x.events, 'deadline', x.deadline,
        'money', coalesce(m.money, '[]')) AS facts
FROM (
    SELECT dataset_id, count(*) AS events, min(send_by) AS deadline, array_agg(event_number) AS numbers, array_agg(day) AS days
    FROM (
        SELECT dataset_id, event_number, day, send_by FROM ready_events
        WHERE send_by > rastro_now() AND send_by < rastro_now() + $1 * interval '1 second'
        UNION ALL
        SELECT dataset_id, event_number, day, send_by FROM meta_retry_queue
        WHERE send_by > rastro_now() AND send_by < rastro_now() + $1 * interval '1 second'
    ) AS undelivered
    WHERE EXISTS (
        SELECT FROM events e WHERE e.dataset_id = undelivered.dataset_id AND e.event_number = undelivered.event_number
            AND e.day = undelivered.day AND e.received_at < rastro_now() - interval '5 minutes'
    )
    GROUP BY dataset_id
) AS x JOIN datasets d USING (dataset_id)
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('currency', currency, 'amount', amount::text) ORDER BY amount DESC) AS money
    FROM (
        SELECT e.currency, sum(e.value)::numeric(20, 2) AS amount
        FROM unnest(x.numbers, x.days) AS n (event_number, day)
        JOIN events e ON e.dataset_id = x.dataset_id AND e.event_number = n.event_number AND e.day = n.day
        WHERE e.event_name = 'Purchase' AND e.value IS NOT NULL AND e.currency IS NOT NULL
        GROUP BY e.currency
    ) AS sums
) AS m ON true
