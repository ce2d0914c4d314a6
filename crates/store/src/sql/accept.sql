-- events::accept: claims the event keys, and stores and queues the events whose key was free, as segments
WITH input AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::integer[], $3::integer[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::uuid[], $9::text[]
    ) AS t (event_key, segment, line, window_seconds, event_name, event_id, send_by_seconds, request_id, traceparent)
), fresh AS (
    INSERT INTO meta_events_dedup (event_key, created_at, expires_at)
    SELECT event_key, rastro_now(), rastro_now() + window_seconds * interval '1 second'
    FROM input
    ON CONFLICT DO NOTHING
    RETURNING event_key
), taken AS (
    -- Each array in the order of the lines: the rows come sorted, and aggregates keep that.
    SELECT segment, count(*) AS event_count, range_agg(int8range(line, line + 1)) AS lines,
        array_agg(event_name) AS event_names, array_agg(event_id) AS event_ids,
        array_agg(to_timestamp(send_by_seconds)) AS send_by, array_agg(request_id) AS request_ids,
        CASE WHEN count(traceparent) > 0 THEN array_agg(traceparent) END AS traceparents
    FROM (SELECT input.* FROM input JOIN fresh USING (event_key) ORDER BY segment, line) AS ordered
    GROUP BY segment
), numbered AS MATERIALIZED (
    SELECT taken.*, t.dataset_id, t.test_event_code, t.body, nextval('event_numbers') AS segment_number
    FROM taken JOIN unnest($10::bigint[], $11::text[], $12::bytea[]) WITH ORDINALITY
        AS t (dataset_id, test_event_code, body, place) ON t.place = taken.segment + 1
), stored AS (
    INSERT INTO event_segments (
        dataset_id, day, segment_number, test_event_code, event_count, event_numbers, event_names, event_ids, send_by,
        request_ids, traceparents, body, received_at
    )
    SELECT dataset_id, (rastro_now() AT TIME ZONE 'UTC')::date, segment_number, test_event_code, event_count,
        (SELECT range_agg(int8range(segment_number + lower(r), segment_number + upper(r))) FROM unnest(lines) AS r),
        event_names, event_ids, send_by, request_ids, traceparents, body, rastro_now()
    FROM numbered
    RETURNING dataset_id, test_event_code, day, event_count, event_numbers
), queued AS (
    INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers)
    SELECT dataset_id, test_event_code, lower(event_numbers), day, event_count, event_numbers FROM stored
)
SELECT coalesce(array_agg(event_key), '{}') FROM fresh
