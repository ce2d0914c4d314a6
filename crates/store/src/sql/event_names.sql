-- meta_retry_queue: names and ids of events.
-- $1 dataset ids, $2 event numbers, $3 days
SELECT e.dataset_id, e.event_number, e.event_name, e.event_id
FROM unnest($1::bigint[], $2::bigint[], $3::date[]) AS t (dataset_id, event_number, day)
JOIN events e USING (dataset_id, event_number, day)
