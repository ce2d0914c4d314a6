-- dashboard::find_events of one request to Meta. $1 dataset id or NULL, $2 fbtrace_id, $3 limit
SELECT e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.received_at,
    e.value::double precision AS value, e.currency
FROM send_attempts a CROSS JOIN LATERAL unnest(a.event_numbers) AS n
JOIN events e ON e.dataset_id = a.dataset_id AND e.event_number = n AND e.day BETWEEN a.first_day AND a.last_day
WHERE a.fbtrace_id = $2 AND ($1::bigint IS NULL OR a.dataset_id = $1)
ORDER BY e.event_number LIMIT $3
