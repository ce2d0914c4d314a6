-- send_queue::ready_lanes: the lanes in which something is ready, the number of the oldest event of each, and the dataset's
-- breaker. One index probe per dataset, whatever the backlog. Queue rows of a dataset that does not exist are not in it
SELECT d.dataset_id, lane.test_event_code, lane.first_number, rastro_now() AS now,
    c.state, c.generation, c.reason, c.since, c.open_until, c.open_count, c.probe_until, c.probe_successes, c.probe_failures,
    c.manual, c.manual_until
FROM datasets d LEFT JOIN circuit_breakers c USING (dataset_id) CROSS JOIN LATERAL (
    (
        SELECT q.test_event_code, q.event_number AS first_number FROM send_queue q
        WHERE q.dataset_id = d.dataset_id AND q.test_event_code = ''
        ORDER BY q.event_number LIMIT 1
    )
    UNION ALL
    -- Test events are few.
    SELECT q.test_event_code, min(q.event_number) FROM send_queue q
    WHERE q.dataset_id = d.dataset_id AND q.test_event_code > ''
    GROUP BY q.test_event_code
) AS lane
ORDER BY d.dataset_id, lane.test_event_code
