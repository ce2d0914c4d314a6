-- purchases::note_events: which event each order became. What was claimed of it is in the event now, and not kept twice.
-- $1 dataset ids, $2 order ids, $3 event numbers, $4 the events' days where they are known
UPDATE purchases AS p SET event_number = t.event_number, event_day = t.day, claimed_event = NULL
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::date[]) AS t (dataset_id, order_id, event_number, day)
WHERE p.dataset_id = t.dataset_id AND p.order_id = t.order_id AND p.event_number IS NULL
