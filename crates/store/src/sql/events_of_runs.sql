-- meta_retry_queue: what is stored of the events of runs of the queue. One look-up for each run, in the
-- partition of its day: a join would read every day.
-- $1 dataset ids, $2 first and $3 last event numbers, $4 days
SELECT t.dataset_id, e.event_number, e.event_name, e.event_id, e.send_by, e.send_by <= rastro_now() AS too_old
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::date[]) AS t (dataset_id, first_number, last_number, day)
CROSS JOIN LATERAL (
    SELECT event_number, event_name, event_id, send_by FROM events
    WHERE dataset_id = t.dataset_id AND event_number BETWEEN t.first_number AND t.last_number AND day = t.day LIMIT 1000
) AS e
