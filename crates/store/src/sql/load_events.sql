-- send_batches: what is sent of the events of a batch.
-- $1 dataset id, $2 event numbers, $3 and $4 the lowest and the highest of them (they bound the work of a
-- plan that was made without statistics of a new day), $5 and $6 first and last day of receipt
SELECT event_number, day, event_name, event_id, send_by, send_by <= rastro_now() AS too_old, request_id, trace_id, span_id, payload
FROM events
WHERE dataset_id = $1 AND event_number = ANY ($2) AND event_number BETWEEN $3 AND $4 AND day BETWEEN $5 AND $6
