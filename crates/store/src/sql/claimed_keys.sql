-- events::accept, 3 of 4: who has the keys that were taken.
-- $1 dataset ids, $2 event keys
SELECT d.event_key, d.event_number, d.created_at
FROM unnest($1::bigint[], $2::uuid[]) AS t (dataset_id, event_key) JOIN meta_events_dedup d USING (dataset_id, event_key)
