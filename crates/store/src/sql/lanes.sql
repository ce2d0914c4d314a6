-- send_queue::lanes: the distinct first columns of the key and the first row of each, one index probe each,
-- whatever the backlog. Rows that are gone but cannot be cleaned up yet are passed by one by one
WITH RECURSIVE lane AS (
    (
        SELECT dataset_id, test_event_code, first_number FROM send_queue
        ORDER BY dataset_id, test_event_code, first_number LIMIT 1
    )
    UNION ALL
    SELECT following.*
    FROM lane CROSS JOIN LATERAL (
        SELECT dataset_id, test_event_code, first_number FROM send_queue
        WHERE (dataset_id, test_event_code) > (lane.dataset_id, lane.test_event_code)
        ORDER BY dataset_id, test_event_code, first_number LIMIT 1
    ) AS following
)
SELECT lane.dataset_id, lane.test_event_code, lane.first_number, rastro_now(),
    c.state, c.generation, c.reason, c.since, c.open_until, c.open_count, c.probe_until, c.probe_successes, c.probe_failures,
    c.manual, c.manual_until
FROM lane LEFT JOIN circuit_breakers c ON c.dataset_id = lane.dataset_id
ORDER BY lane.dataset_id, lane.test_event_code
