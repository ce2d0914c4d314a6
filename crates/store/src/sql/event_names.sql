-- meta_retry_queue: names and ids of events. One look-up for each, in the partition of its day: a join would read every day.
-- $1 dataset ids, $2 event numbers, $3 days
SELECT t.dataset_id, t.event_number, e.event_name, e.event_id
FROM unnest($1::bigint[], $2::bigint[], $3::date[]) AS t (dataset_id, event_number, day) CROSS JOIN LATERAL (
    SELECT event_name, event_id FROM events
    WHERE dataset_id = t.dataset_id AND event_number = t.event_number AND day = t.day LIMIT 1
) AS e
