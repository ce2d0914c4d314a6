-- event_counts::forget: deletes the counts of an hour that are no longer there.
-- $1 the hour; a list per column of those that are: $2 dataset ids, $3 event names, $4 outcomes
DELETE FROM event_counts c USING datasets d
WHERE c.dataset_id = d.dataset_id AND c.hour = $1 AND NOT EXISTS (
    SELECT FROM unnest($2::bigint[], $3::text[], $4::text[]) AS t (dataset_id, event_name, outcome)
    WHERE (t.dataset_id, t.event_name, t.outcome) = (c.dataset_id, c.event_name, c.outcome)
)
