-- dashboard::find_events by number. $1 dataset id or NULL, $2 number, $3 limit
SELECT e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.received_at,
    e.value::double precision AS value, e.currency
FROM datasets d JOIN events e ON e.dataset_id = d.dataset_id AND e.event_number = $2
WHERE $1::bigint IS NULL OR d.dataset_id = $1
LIMIT $3
