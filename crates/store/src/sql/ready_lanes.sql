-- send_queue::ready_lanes: the lanes in which something is ready, the number of the oldest event of each, and
-- the dataset's breaker. One index probe per dataset and one per lane, whatever the backlog. Queue rows of a
-- dataset that does not exist are not in it
WITH RECURSIVE lane AS (
    SELECT first.* FROM datasets d CROSS JOIN LATERAL (
        SELECT q.dataset_id, q.test_event_code, q.first_number FROM send_queue q
        WHERE q.dataset_id = d.dataset_id
        ORDER BY q.test_event_code, q.first_number LIMIT 1
    ) AS first
    UNION ALL
    SELECT following.* FROM lane CROSS JOIN LATERAL (
        SELECT q.dataset_id, q.test_event_code, q.first_number FROM send_queue q
        WHERE q.dataset_id = lane.dataset_id AND q.test_event_code > lane.test_event_code
        ORDER BY q.test_event_code, q.first_number LIMIT 1
    ) AS following
)
SELECT lane.dataset_id, lane.test_event_code, lane.first_number, rastro_now() AS now,
    c.state, c.generation, c.reason, c.since, c.open_until, c.open_count, c.probe_until, c.probe_successes, c.probe_failures,
    c.manual, c.manual_until
FROM lane LEFT JOIN circuit_breakers c USING (dataset_id)
ORDER BY lane.dataset_id, lane.test_event_code
