-- A row of the queue is a run: consecutive events of one lane that became ready together. What one commit
-- accepts for a dataset is one row instead of a row for each event, and so is its deletion at the claim. Each
-- event of before becomes a run of one.
--
-- Stop the old programs first: they know only rows of one event. The first column has a new name so that they
-- fail and lose nothing, should they still run.
SET LOCAL lock_timeout = '5s';

ALTER TABLE send_queue RENAME COLUMN event_number TO first_number;
ALTER TABLE send_queue ADD COLUMN last_number bigint;
UPDATE send_queue SET last_number = first_number;
-- Each number from the first to the last is an event that is ready. No more than go into one request to Meta.
-- send_by is that of the event which is too old first.
ALTER TABLE send_queue ALTER last_number SET NOT NULL,
    ADD CONSTRAINT send_queue_run_check CHECK (last_number BETWEEN first_number AND first_number + 999);

-- A row for each event that is ready: for people and reports, not for claims. send_by is that of its run.
CREATE VIEW ready_events AS
SELECT q.dataset_id, q.test_event_code, n.event_number, q.day, q.retries, q.send_by
FROM send_queue q CROSS JOIN LATERAL generate_series(q.first_number, q.last_number) AS n (event_number);

-- Each writer takes its numbers a thousand at a time, so that those of one commit are consecutive also while
-- others commit. Numbers are opaque: they grow with acceptance, roughly, and have gaps.
ALTER SEQUENCE event_numbers CACHE 1000;
