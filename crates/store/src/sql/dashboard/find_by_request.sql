-- dashboard::find_events of one request to us, received about when its id was made.
-- $1 dataset id or NULL, $2 request id, $3 limit, $4 when it was made
SELECT e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.received_at,
    e.value::double precision AS value, e.currency
FROM events e
WHERE e.day BETWEEN ($4::timestamptz AT TIME ZONE 'UTC')::date - 1 AND ($4::timestamptz AT TIME ZONE 'UTC')::date + 1
    AND e.received_at BETWEEN $4 - interval '5 minutes' AND $4 + interval '5 minutes'
    AND e.request_id = $2 AND ($1::bigint IS NULL OR e.dataset_id = $1)
ORDER BY e.event_number LIMIT $3
