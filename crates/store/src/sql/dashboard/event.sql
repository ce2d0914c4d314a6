-- dashboard::event_passport, what the event says. $1 dataset id, $2 day, $3 number
SELECT e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.event_time, e.received_at, e.send_by, e.action_source,
    e.value::double precision AS value, e.currency, e.order_id, e.page_host, e.page_path, e.test_event_code,
    k.label AS key_label, e.request_id, e.trace_id, e.payload, rastro_now() AS now
FROM events e LEFT JOIN api_keys k ON k.key_id = e.key_id
WHERE e.dataset_id = $1 AND e.day = $2 AND e.event_number = $3
