-- events::record_duplicates: logs events whose key was taken, and says since when
WITH logged AS (
    INSERT INTO event_outcomes (
        day, dataset_id, event_name, event_id, outcome, request_id, created_at
    )
    SELECT (rastro_now() AT TIME ZONE 'UTC')::date, dataset_id, event_name, event_id, 'duplicate', request_id, rastro_now()
    FROM unnest($2::bigint[], $3::text[], $4::text[], $5::uuid[]) AS t (dataset_id, event_name, event_id, request_id)
)
SELECT event_key, created_at FROM meta_events_dedup WHERE event_key = ANY ($1)
