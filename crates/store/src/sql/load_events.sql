-- send_batches: what is sent of the events of a batch. One look-up for each run of consecutive numbers; the limit, which no run
-- reaches, keeps it one.
-- $1 dataset id, $2 first and $3 last number of each run, $4 and $5 first and last day of receipt
SELECT e.* FROM unnest($2::bigint[], $3::bigint[]) AS run (first_number, last_number)
CROSS JOIN LATERAL (
    SELECT event_number, day, event_name, event_id, send_by, send_by <= rastro_now() AS too_old, request_id, trace_id, span_id, payload
    FROM events
    WHERE dataset_id = $1 AND event_number BETWEEN run.first_number AND run.last_number AND day BETWEEN $4 AND $5
    LIMIT 1000
) AS e
