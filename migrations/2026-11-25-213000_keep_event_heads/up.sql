-- What a segment says of each event beside its payload becomes one JSON array, as it was offered, instead of five arrays of
-- what was accepted: to store an event, PostgreSQL need not take it out of arrays and put it into others.
-- proto-docs/performance.md has the figures.
--
-- The gateway and the forwarder of before cannot work with this table: until they are replaced they answer 503, or wait.
SET LOCAL lock_timeout = '5s';

LOCK TABLE event_segments IN ACCESS EXCLUSIVE MODE;
DROP VIEW events;

-- A list with a head for each line of the body: [send_by in seconds since 1970, request_id, traceparent, event_name, event_id],
-- or null where an older segment has no event.
--   send_by: from then on Meta would refuse it, and the whole request with it
--   request_id: the request to us that brought it
--   traceparent: W3C trace context of that request, null if it was not traced
ALTER TABLE event_segments ADD COLUMN heads json;
UPDATE event_segments s SET heads = (
    SELECT json_agg(
        CASE WHEN e.event_number IS NOT NULL THEN json_build_array(
            extract(epoch FROM e.send_by)::bigint, e.request_id, e.traceparent, e.event_name, e.event_id
        ) END ORDER BY n)
    FROM generate_series(s.segment_number, upper(s.event_numbers) - 1) AS n
    LEFT JOIN unnest(numbers_in(s.event_numbers), s.event_names, s.event_ids, s.send_by, s.request_ids, s.traceparents)
        AS e (event_number, event_name, event_id, send_by, request_id, traceparent) ON e.event_number = n
);
-- Compressing it costs more than the disk that it saves.
ALTER TABLE event_segments ALTER heads SET NOT NULL, ALTER heads SET STORAGE EXTERNAL,
    DROP COLUMN event_names, DROP COLUMN event_ids, DROP COLUMN send_by, DROP COLUMN request_ids, DROP COLUMN traceparents;

-- Accepted events one by one, for people. What an event says is in the body of its segment.
CREATE VIEW events AS
SELECT s.dataset_id, s.day, line.event_number, line.head ->> 3 AS event_name, line.head ->> 4 AS event_id, s.test_event_code,
    to_timestamp((line.head ->> 0)::bigint) AS send_by, (line.head ->> 1)::uuid AS request_id, line.head ->> 2 AS traceparent,
    s.received_at
FROM event_segments s CROSS JOIN LATERAL (
    SELECT head, s.segment_number + place - 1 AS event_number
    FROM json_array_elements(s.heads) WITH ORDINALITY AS t (head, place)
) AS line
WHERE s.event_numbers @> line.event_number;
