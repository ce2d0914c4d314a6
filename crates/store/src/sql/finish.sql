-- send_batches::finish: Meta took the whole batch. 0: the lease was lost to another owner, and nothing was written
WITH batch AS (
    DELETE FROM send_batches
    WHERE dataset_id = $1 AND batch_id = $2 AND fence = $3
    RETURNING dataset_id, attempt
), logged AS (
    INSERT INTO delivered_batches (
        day, dataset_id, event_numbers, event_names, event_ids, request_ids, attempt, http_status, fbtrace_id,
        latency_ms, created_at
    )
    SELECT (rastro_now() AT TIME ZONE 'UTC')::date, batch.dataset_id, event_numbers, event_names,
        event_ids, request_ids, batch.attempt, $8, $9, $10, rastro_now()
    FROM batch CROSS JOIN (
        SELECT $4::bigint[] AS event_numbers, $5::text[] AS event_names, $6::text[] AS event_ids, $7::uuid[] AS request_ids
    ) AS sent
), evidence AS (
    INSERT INTO send_attempts (dataset_id, attempted_at, failed) SELECT dataset_id, rastro_now(), false FROM batch
)
SELECT count(*) FROM batch
