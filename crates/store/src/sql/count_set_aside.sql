-- meta_retry_queue::set_aside, 1 of 4: the ready and waiting events of a dataset that were received before a time, by the place where they are. The
-- rows of a day are looked up in its partition.
-- $1 dataset id, $2 received before
SELECT (
    SELECT count(*) FROM send_queue q CROSS JOIN LATERAL (
        SELECT FROM events e WHERE e.dataset_id = q.dataset_id AND e.day = q.day AND e.received_at < $2
            AND e.event_number BETWEEN q.first_number AND q.last_number
    ) AS e
    WHERE q.dataset_id = $1 AND q.day <= ($2 AT TIME ZONE 'UTC')::date
) AS ready, (
    SELECT count(*) FROM meta_retry_queue r WHERE r.dataset_id = $1 AND r.status = 'waiting'
        AND EXISTS (SELECT FROM events e WHERE e.dataset_id = r.dataset_id AND e.day = r.day AND e.event_number = r.event_number
            AND e.received_at < $2)
) AS waiting
