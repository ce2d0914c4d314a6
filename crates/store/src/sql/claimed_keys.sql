-- events::accept, 3 of 4: who has the keys that were taken. One look-up for each: a plan that was made while
-- the table was empty is kept, and must not read all of it.
-- $1 dataset ids, $2 event keys
SELECT t.event_key, d.event_number, d.day, d.created_at
FROM unnest($1::bigint[], $2::uuid[]) AS t (dataset_id, event_key) CROSS JOIN LATERAL (
    SELECT event_number, day, created_at FROM meta_events_dedup
    WHERE dataset_id = t.dataset_id AND event_key = t.event_key LIMIT 1
) AS d
