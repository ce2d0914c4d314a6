-- dashboard::find_events by the client's id, or an order's. $1 dataset id or NULL, $2 id, $3 limit
SELECT e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.received_at,
    e.value::double precision AS value, e.currency
FROM datasets d JOIN events e ON e.dataset_id = d.dataset_id AND e.event_id = $2
WHERE $1::bigint IS NULL OR d.dataset_id = $1
UNION
SELECT e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.received_at,
    e.value::double precision AS value, e.currency
FROM datasets d JOIN purchases p ON p.dataset_id = d.dataset_id AND p.order_id = $2
JOIN events e ON e.dataset_id = p.dataset_id AND e.event_number = p.event_number AND e.day = p.event_day
WHERE $1::bigint IS NULL OR d.dataset_id = $1
ORDER BY received_at DESC LIMIT $3
