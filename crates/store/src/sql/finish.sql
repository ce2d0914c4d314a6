-- send_batches::finish: Meta took the whole batch. 0: the lease was lost to another owner, and nothing was written
WITH batch AS (
    DELETE FROM send_batches
    WHERE dataset_id = $1 AND batch_id = $2 AND fence = $3
    RETURNING dataset_id, attempt
), logged AS (
    INSERT INTO meta_events_log (
        day, dataset_id, event_number, event_name, event_id, request_id, outcome, attempt, http_status, fbtrace_id,
        latency_ms, created_at
    )
    SELECT (rastro_now() AT TIME ZONE 'UTC')::date, batch.dataset_id, o.event_number, o.event_name, o.event_id,
        o.request_id, 'success', batch.attempt, $8, $9, $10, rastro_now()
    FROM batch CROSS JOIN unnest($4::bigint[], $5::text[], $6::text[], $7::uuid[])
        AS o (event_number, event_name, event_id, request_id)
), evidence AS (
    INSERT INTO send_attempts (dataset_id, attempted_at, failed) SELECT dataset_id, rastro_now(), false FROM batch
)
SELECT count(*) FROM batch
