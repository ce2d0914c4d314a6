-- meta_retry_queue: events that wait for their next attempt (with a delay) or are not tried again (with a
-- reason).
-- $1 dataset id, $2 test event code, $3 last error, $4 code, $5 subcode; a list each, by event: $6 event
-- numbers, $7 days, $8 names, $9 ids, $10 send_by (NULL: nobody knows any more, so now), $11 retries behind
-- it, $12 delay in ms, $13 reason, $14 whether Meta failed on it alone
INSERT INTO meta_retry_queue (
    dataset_id, test_event_code, last_error, error_code, error_subcode, event_number, day, event_name, event_id, send_by,
    retry_count, next_retry_at, reason, status, failed_at, failed_alone
)
SELECT $1, $2, $3, $4, $5, event_number, day, event_name, event_id, coalesce(send_by, rastro_now()), retry_count,
    rastro_now() + delay_ms * interval '1 millisecond', reason, CASE WHEN reason IS NULL THEN 'waiting' ELSE 'failed' END,
    rastro_now(), failed_alone
FROM unnest(
    $6::bigint[], $7::date[], $8::text[], $9::text[], $10::timestamptz[], $11::smallint[], $12::bigint[], $13::text[],
    $14::boolean[]
) AS t (event_number, day, event_name, event_id, send_by, retry_count, delay_ms, reason, failed_alone)
