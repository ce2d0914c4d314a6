-- dashboard::newest_events. $1 dataset ids, $2 since, $3 limit
SELECT e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.received_at,
    e.value::double precision AS value, e.currency
FROM events e
WHERE e.day >= ($2::timestamptz AT TIME ZONE 'UTC')::date AND e.received_at >= $2 AND e.dataset_id = ANY ($1)
ORDER BY e.event_number DESC LIMIT $3
