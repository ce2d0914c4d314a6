-- send_queue::ready_lanes: the lanes in which something is ready, the number of the oldest event of each, and
-- the dataset's breaker. Of a dataset's lanes with a test code it is the first: the next one comes when that is
-- empty. Two index probes per dataset, whatever the backlog. Queue rows of a dataset that does not exist are not
-- in it
SELECT lane.dataset_id, lane.test_event_code, lane.first_number, rastro_now() AS now,
    c.state, c.generation, c.reason, c.since, c.open_until, c.open_count, c.probe_until, c.probe_successes,
    c.probe_failures, c.manual, c.manual_until
FROM datasets d
CROSS JOIN LATERAL (
    (SELECT q.dataset_id, q.test_event_code, q.first_number FROM send_queue q
     WHERE q.dataset_id = d.dataset_id AND q.test_event_code = ''
     ORDER BY q.first_number LIMIT 1)
    UNION ALL
    (SELECT q.dataset_id, q.test_event_code, q.first_number FROM send_queue q
     WHERE q.dataset_id = d.dataset_id AND q.test_event_code > ''
     ORDER BY q.test_event_code, q.first_number LIMIT 1)
) AS lane
LEFT JOIN circuit_breakers c ON c.dataset_id = lane.dataset_id
ORDER BY lane.dataset_id, lane.test_event_code
