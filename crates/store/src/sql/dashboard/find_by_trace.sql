-- dashboard::find_events by trace id. $1 dataset id or NULL, $2 id, $3 limit
SELECT e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.received_at,
    e.value::double precision AS value, e.currency
FROM events e WHERE e.trace_id = $2 AND ($1::bigint IS NULL OR e.dataset_id = $1)
ORDER BY e.received_at DESC LIMIT $3
