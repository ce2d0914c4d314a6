-- meta_retry_queue::set_aside, 4 of 4: the events of a dataset that are in flight and were received before a time.
-- $1 dataset id, $2 received before
SELECT count(*) AS in_flight FROM send_batches b CROSS JOIN LATERAL unnest(b.event_numbers) AS n (event_number)
WHERE b.dataset_id = $1
    AND EXISTS (SELECT FROM events e WHERE e.dataset_id = b.dataset_id AND e.event_number = n.event_number
        AND e.day BETWEEN b.first_day AND b.last_day AND e.received_at < $2)
