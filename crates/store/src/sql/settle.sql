-- send_batches::settle: a batch of which not everything went well. Each event goes where its fate says, all or none of them.
-- 0: the lease was lost to another owner, and nothing was written
WITH batch AS (
    DELETE FROM send_batches
    WHERE dataset_id = $1 AND batch_id = $2 AND fence = $3
    RETURNING dataset_id, attempt, test_event_code
), o AS MATERIALIZED (
    SELECT batch.dataset_id, batch.attempt, batch.test_event_code, t.*
    FROM batch CROSS JOIN unnest(
        $4::bigint[], $5::date[], $6::text[], $7::text[], $8::uuid[], $9::text[], $10::smallint[], $11::bigint[], $12::text[],
        $20::timestamptz[], $21::text[]
    ) AS t (event_number, day, event_name, event_id, request_id, fate, retries, delay_ms, reason, send_by, payload)
), logged AS (
    INSERT INTO event_outcomes (
        day, dataset_id, event_number, event_name, event_id, request_id, outcome, attempt, http_status, error_code,
        error_subcode, error_message, fbtrace_id, latency_ms, created_at
    )
    SELECT (rastro_now() AT TIME ZONE 'UTC')::date, dataset_id, event_number, event_name, event_id, request_id,
        CASE WHEN fate = 'done' THEN 'success' WHEN reason = 'expired' THEN 'expired' ELSE 'error' END,
        attempt, $13, $14, $15, CASE WHEN fate <> 'done' THEN $16 END, $17, $18, rastro_now()
    FROM o
), released AS (
    INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers, retries)
    SELECT dataset_id, test_event_code, min(event_number), day, count(*), ranges_of(array_agg(event_number)), retries
    FROM o WHERE fate = 'release'
    GROUP BY dataset_id, test_event_code, day, event_number / 1000, retries
), kept AS (
    INSERT INTO meta_retry_queue (
        dataset_id, event_number, day, test_event_code, event_name, event_id, request_id, send_by, payload, retry_count,
        next_retry_at, last_error, error_code, error_subcode, status, reason, failed_at
    )
    SELECT dataset_id, event_number, day, test_event_code, event_name, event_id, request_id, send_by, payload, retries,
        CASE WHEN fate = 'wait' THEN rastro_now() + delay_ms * interval '1 millisecond' END,
        CASE WHEN reason = 'expired' THEN 'too old for Meta when its turn came' ELSE $16 END, $14, $15,
        CASE WHEN fate = 'wait' THEN 'waiting' ELSE 'failed' END, reason, rastro_now()
    FROM o WHERE fate IN ('wait', 'dead')
), evidence AS (
    INSERT INTO send_attempts (dataset_id, attempted_at, failed)
    SELECT dataset_id, rastro_now(), $19 FROM batch WHERE $19 IS NOT NULL
)
SELECT count(*) FROM batch
