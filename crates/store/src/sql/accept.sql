-- events::accept: claims the event keys, and stores and queues the events whose key was free
WITH input AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
        $9::text[], $10::uuid[], $11::text[]
    ) AS t (
        event_key, dataset_id, event_name, event_id, event_seconds, max_age_seconds, window_seconds, test_event_code,
        payload, request_id, traceparent
    )
), fresh AS (
    INSERT INTO meta_events_dedup (event_key, created_at, expires_at)
    SELECT event_key, rastro_now(), rastro_now() + window_seconds * interval '1 second'
    FROM input
    ON CONFLICT DO NOTHING
    RETURNING event_key
), accepted AS (
    INSERT INTO events (
        dataset_id, day, event_name, event_id, event_time, send_by, test_event_code, payload, request_id, traceparent,
        received_at
    )
    SELECT dataset_id, (rastro_now() AT TIME ZONE 'UTC')::date, event_name, event_id, to_timestamp(event_seconds),
        to_timestamp(event_seconds + max_age_seconds), test_event_code, payload, request_id, traceparent, rastro_now()
    FROM input JOIN fresh USING (event_key)
    RETURNING dataset_id, test_event_code, event_number, day
), queued AS (
    INSERT INTO send_queue (dataset_id, test_event_code, event_number, day)
    SELECT dataset_id, test_event_code, event_number, day FROM accepted
)
SELECT coalesce(array_agg(event_key), '{}') FROM fresh
