-- events::accept, 1 of 4: claims event keys. A key that was free becomes a row and gives its event a number;
-- a key that is taken gives no row. Whoever claims the same key at the same time waits here until that
-- transaction ends.
-- $1 dataset ids, $2 event keys (sorted: two groups with the same keys must lock them in the same order),
-- $3 seconds for which each key is remembered. The time is read once, not for each key
INSERT INTO meta_events_dedup (dataset_id, event_key, day, created_at, expires_at)
SELECT dataset_id, event_key, (SELECT (rastro_now() AT TIME ZONE 'UTC')::date), (SELECT rastro_now()),
    (SELECT rastro_now()) + window_seconds * interval '1 second'
FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) AS t (dataset_id, event_key, window_seconds)
ON CONFLICT DO NOTHING
RETURNING event_key, day, event_number, created_at
