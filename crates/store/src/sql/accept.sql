-- events::accept: claims the event keys, and stores and queues the events whose key was free, as segments. NULL: all were
WITH offered AS MATERIALIZED (
    SELECT $1::uuid[] AS event_keys, $2::integer[] AS segments, $3::integer[] AS lines
), fresh AS (
    INSERT INTO meta_events_dedup (event_key, created_at, expires_at)
    SELECT event_key, rastro_now(), rastro_now() + window_seconds * interval '1 second'
    FROM (SELECT unnest(event_keys) AS event_key, unnest($4::bigint[]) AS window_seconds FROM offered) AS t
    ON CONFLICT DO NOTHING
    RETURNING event_key
), claimed AS MATERIALIZED (
    SELECT coalesce(array_agg(event_key), '{}') AS event_keys,
        count(*) = (SELECT cardinality(event_keys) FROM offered) AS everything
    FROM fresh
), taken AS (
    -- Nothing, and at no cost, when every key was free.
    SELECT segment, count(*)::integer AS event_count, range_agg(int8range(line, line + 1)) AS lines
    FROM (SELECT unnest(event_keys) AS event_key, unnest(segments) AS segment, unnest(lines) AS line FROM offered) AS t
    JOIN fresh USING (event_key)
    WHERE NOT (SELECT everything FROM claimed)
    GROUP BY segment
), accepted AS (
    SELECT dataset_id, test_event_code, heads, body,
        CASE WHEN everything THEN line_count ELSE event_count END AS event_count,
        CASE WHEN everything THEN int8multirange(int8range(0, line_count)) ELSE lines END AS lines
    FROM (
        SELECT t.*, (SELECT everything FROM claimed) AS everything
        FROM unnest($5::bigint[], $6::text[], $7::integer[], $8::text[], $9::bytea[]) WITH ORDINALITY
            AS t (dataset_id, test_event_code, line_count, heads, body, place)
    ) AS segments LEFT JOIN taken ON taken.segment = place - 1
), numbered AS MATERIALIZED (
    SELECT accepted.*, nextval('event_numbers') AS segment_number FROM accepted WHERE lines IS NOT NULL
), stored AS (
    INSERT INTO event_segments (
        dataset_id, day, segment_number, test_event_code, event_count, event_numbers, heads, body, received_at
    )
    SELECT dataset_id, (rastro_now() AT TIME ZONE 'UTC')::date, segment_number, test_event_code, event_count,
        (SELECT range_agg(int8range(segment_number + lower(r), segment_number + upper(r))) FROM unnest(lines) AS r),
        heads::json, body, rastro_now()
    FROM numbered
    RETURNING dataset_id, test_event_code, day, event_count, event_numbers
), queued AS (
    INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers)
    SELECT dataset_id, test_event_code, lower(event_numbers), day, event_count, event_numbers FROM stored
)
SELECT CASE WHEN NOT everything THEN event_keys END FROM claimed
