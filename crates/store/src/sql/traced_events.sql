-- meta_retry_queue::requeue_due_traced: of these events those whose requests were traced. One look-up for each, in the partition of
-- its day: a join would read every day.
-- $1 dataset ids, $2 event numbers, $3 days
SELECT e.event_number, e.request_id::text AS request_id, e.trace_id, e.span_id
FROM unnest($1::bigint[], $2::bigint[], $3::date[]) AS t (dataset_id, event_number, day)
CROSS JOIN LATERAL (
    SELECT event_number, request_id, trace_id, span_id FROM events
    WHERE dataset_id = t.dataset_id AND event_number = t.event_number AND day = t.day LIMIT 1
) AS e
-- Not within: the index of traced events would be read from end to end.
WHERE e.trace_id IS NOT NULL
