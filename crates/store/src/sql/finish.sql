-- send_batches::finish: the batch is done. 0: the lease was lost to another owner, and nothing was written
WITH batch AS (
    DELETE FROM send_batches
    WHERE dataset_id = $1 AND batch_id = $2 AND fence = $3
    RETURNING dataset_id, attempt
), logged AS (
    INSERT INTO meta_events_log (
        day, dataset_id, event_number, event_name, event_id, request_id, outcome, attempt, http_status, error_code,
        error_subcode, error_message, fbtrace_id, latency_ms, created_at
    )
    SELECT (rastro_now() AT TIME ZONE 'UTC')::date, batch.dataset_id, o.event_number, o.event_name, o.event_id,
        o.request_id, o.outcome, batch.attempt, $9, $10, $11, $12, $13, $14, rastro_now()
    FROM batch CROSS JOIN unnest($4::bigint[], $5::text[], $6::text[], $7::uuid[], $8::text[])
        AS o (event_number, event_name, event_id, request_id, outcome)
)
SELECT count(*) FROM batch
