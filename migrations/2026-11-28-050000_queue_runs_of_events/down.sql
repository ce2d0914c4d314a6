SET LOCAL lock_timeout = '5s';

DROP VIEW ready_events;
ALTER SEQUENCE event_numbers CACHE 1;
ALTER TABLE send_queue DROP CONSTRAINT send_queue_run_check;
INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, retries, send_by)
SELECT q.dataset_id, q.test_event_code, n, n, q.day, q.retries, coalesce(e.send_by, q.send_by)
FROM send_queue q CROSS JOIN LATERAL generate_series(q.first_number + 1, q.last_number) AS n
LEFT JOIN events e ON e.dataset_id = q.dataset_id AND e.event_number = n AND e.day = q.day;
UPDATE send_queue q SET send_by = e.send_by FROM events e
WHERE q.last_number > q.first_number
    AND e.dataset_id = q.dataset_id AND e.event_number = q.first_number AND e.day = q.day;
ALTER TABLE send_queue DROP COLUMN last_number;
ALTER TABLE send_queue RENAME COLUMN first_number TO event_number;
