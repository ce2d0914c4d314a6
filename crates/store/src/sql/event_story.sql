-- event_story: all that the log has of the events of one id, as it happened. What meta_events_log says, asked
-- for by the event: the view would read every attempt of the dataset.
-- $1 dataset id, $2 the client's event id
WITH event AS MATERIALIZED (
    SELECT day, event_number, event_name, event_id, request_id, key_id, received_at FROM events
    WHERE dataset_id = $1 AND event_id = $2
)
SELECT event_number, event_name, 'accepted' AS outcome, request_id, key_id, NULL::integer AS attempt,
    NULL::smallint AS http_status, NULL::integer AS error_code, NULL::integer AS error_subcode, NULL::text AS error_message,
    NULL::text AS fbtrace_id, NULL::integer AS latency_ms, received_at AS created_at
FROM event
UNION ALL
SELECT e.event_number, e.event_name,
    CASE a.outcome WHEN 'delivered' THEN 'success' WHEN 'throttled' THEN 'parked' WHEN 'blocked' THEN 'parked' ELSE 'error' END,
    e.request_id, e.key_id, a.attempt, a.http_status, a.error_code, a.error_subcode, a.error_message, a.fbtrace_id,
    a.latency_ms, a.attempted_at
FROM event e CROSS JOIN LATERAL (
    -- Few attempts have a range of numbers that holds this one, and there is an index for it. OFFSET keeps
    -- the planner from reading all attempts of the dataset instead.
    SELECT * FROM send_attempts s
    WHERE int8range(s.first_number, s.last_number, '[]') @> e.event_number AND s.day >= e.day OFFSET 0
) AS a
WHERE a.dataset_id = $1 AND e.event_number = ANY (a.event_numbers)
UNION ALL
SELECT e.event_number, o.event_name, o.outcome, o.request_id, o.key_id, NULL, NULL, NULL, NULL, o.detail, NULL, NULL, o.created_at
FROM event e CROSS JOIN LATERAL (
    SELECT * FROM event_outcomes s WHERE s.dataset_id = $1 AND s.event_number = e.event_number AND s.day >= e.day OFFSET 0
) AS o
ORDER BY created_at, event_number
