SET LOCAL lock_timeout = '5s';

LOCK TABLE event_segments IN ACCESS EXCLUSIVE MODE;
ALTER TABLE event_segments ADD COLUMN event_names text[], ADD COLUMN event_ids text[], ADD COLUMN send_by timestamptz[],
    ADD COLUMN request_ids uuid[], ADD COLUMN traceparents text[];
UPDATE event_segments s SET event_names = e.event_names, event_ids = e.event_ids, send_by = e.send_by,
    request_ids = e.request_ids, traceparents = e.traceparents
FROM (
    SELECT dataset_id, day, event_number / 1000 * 1000 AS segment_number, test_event_code,
        array_agg(event_name ORDER BY event_number) AS event_names, array_agg(event_id ORDER BY event_number) AS event_ids,
        array_agg(send_by ORDER BY event_number) AS send_by, array_agg(request_id ORDER BY event_number) AS request_ids,
        CASE WHEN count(traceparent) > 0 THEN array_agg(traceparent ORDER BY event_number) END AS traceparents
    FROM events GROUP BY 1, 2, 3, 4
) AS e
WHERE (s.dataset_id, s.day, s.segment_number, s.test_event_code)
    = (e.dataset_id, e.day, e.segment_number, e.test_event_code);
DROP VIEW events;
ALTER TABLE event_segments ALTER event_names SET NOT NULL, ALTER event_ids SET NOT NULL, ALTER send_by SET NOT NULL,
    ALTER request_ids SET NOT NULL, DROP COLUMN heads;

CREATE VIEW events AS
SELECT s.dataset_id, s.day, e.event_number, e.event_name, e.event_id, s.test_event_code, e.send_by, e.request_id, e.traceparent,
    s.received_at
FROM event_segments s CROSS JOIN LATERAL
    unnest(numbers_in(s.event_numbers), s.event_names, s.event_ids, s.send_by, s.request_ids, s.traceparents)
    AS e (event_number, event_name, event_id, send_by, request_id, traceparent);
