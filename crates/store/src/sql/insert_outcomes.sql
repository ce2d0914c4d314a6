-- event_outcomes: logs what happened to events, now.
-- A list per column, in their order
INSERT INTO event_outcomes (
    dataset_id, outcome, event_number, event_name, event_id, key_id, request_id, detail, event_count, day, created_at
)
SELECT t.*, (rastro_now() AT TIME ZONE 'UTC')::date, rastro_now()
FROM unnest(
    $1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::uuid[], $8::text[], $9::integer[]
) AS t (dataset_id, outcome, event_number, event_name, event_id, key_id, request_id, detail, event_count)
