-- events::accept: claims the event keys, and stores and queues the events whose key was free, as segments. NULL: all were
WITH fresh AS (
    INSERT INTO meta_events_dedup (event_key, created_at, expires_at)
    SELECT event_key, rastro_now(), rastro_now() + window_seconds * interval '1 second'
    FROM unnest($1::uuid[], $4::bigint[]) AS t (event_key, window_seconds)
    ON CONFLICT DO NOTHING
    RETURNING event_key
), claimed AS MATERIALIZED (
    SELECT coalesce(array_agg(event_key), '{}') AS event_keys, count(*) = cardinality($1) AS everything FROM fresh
), taken AS MATERIALIZED (
    -- Looked at only if a key was not free.
    SELECT segment, range_agg(int8range(line, line + 1)) AS lines
    FROM unnest($1::uuid[], $2::integer[], $3::integer[]) AS t (event_key, segment, line) JOIN fresh USING (event_key)
    GROUP BY segment
), numbered AS MATERIALIZED (
    SELECT t.*, everything, nextval('event_numbers') AS segment_number
    FROM claimed CROSS JOIN unnest($5::bigint[], $6::text[], $7::integer[], $8::text[], $9::bytea[]) WITH ORDINALITY
        AS t (dataset_id, test_event_code, line_count, heads, body, place)
), accepted AS (
    SELECT numbered.*, CASE
        WHEN everything THEN int8multirange(int8range(segment_number, segment_number + line_count))
        ELSE (
            SELECT range_agg(int8range(segment_number + lower(r), segment_number + upper(r)))
            FROM taken CROSS JOIN unnest(lines) AS r WHERE segment = place - 1
        ) END AS event_numbers
    FROM numbered
), stored AS (
    INSERT INTO event_segments (
        dataset_id, day, segment_number, test_event_code, event_count, event_numbers, heads, body, received_at
    )
    SELECT dataset_id, (rastro_now() AT TIME ZONE 'UTC')::date, segment_number, test_event_code,
        CASE WHEN everything THEN line_count ELSE cardinality(numbers_in(event_numbers)) END, event_numbers, heads::json, body,
        rastro_now()
    FROM accepted WHERE event_numbers IS NOT NULL
    RETURNING dataset_id, test_event_code, day, event_count, event_numbers
), queued AS (
    INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers)
    SELECT dataset_id, test_event_code, lower(event_numbers), day, event_count, event_numbers FROM stored
)
SELECT CASE WHEN NOT everything THEN event_keys END FROM claimed
