-- send_attempts: logs a request to Meta and what came of it.
-- $1 dataset id, $2 batch id, $3 attempt, $4 test event code, $5 latency in ms, $6 outcome, $7 HTTP status,
-- $8 code, $9 subcode, $10 message, $11 fbtrace_id, $12 events received by Meta's account, $13 event numbers
-- (sorted), $14 and $15 their first and last day of receipt
INSERT INTO send_attempts (
    dataset_id, batch_id, attempt, test_event_code, latency_ms, outcome, http_status, error_code, error_subcode, error_message,
    fbtrace_id, events_received, event_numbers, first_day, last_day, event_count, first_number, last_number, day, attempted_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, cardinality($13), $13[1], $13[cardinality($13)],
    (rastro_now() AT TIME ZONE 'UTC')::date, rastro_now())
