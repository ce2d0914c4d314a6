-- event_counts::put: writes the counts of an hour that are new or differ.
-- $1 the hour; a list per column: $2 dataset ids, $3 event names, $4 outcomes, $5 events
INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
SELECT dataset_id, $1, event_name, outcome, events
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[]) AS t (dataset_id, event_name, outcome, events)
ON CONFLICT (dataset_id, hour, event_name, outcome) DO UPDATE SET events = excluded.events
WHERE event_counts.events <> excluded.events
