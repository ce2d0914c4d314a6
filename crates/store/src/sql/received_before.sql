-- meta_retry_queue::set_aside: of events of runs of the queue, those that were received before a time.
-- $1 dataset id, $2 received before, $3 first and $4 last event numbers, $5 days
SELECT e.event_number FROM unnest($3::bigint[], $4::bigint[], $5::date[]) AS t (first_number, last_number, day)
CROSS JOIN LATERAL (
    SELECT event_number FROM events
    WHERE dataset_id = $1 AND event_number BETWEEN t.first_number AND t.last_number AND day = t.day AND received_at < $2
    LIMIT 1000
) AS e
