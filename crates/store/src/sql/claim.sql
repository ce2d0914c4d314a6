-- send_batches::claim: the oldest ready events of one lane become one batch that is ours until the lease ends
WITH due AS MATERIALIZED (
    SELECT ctid, event_number, day, retries FROM send_queue
    WHERE dataset_id = $1 AND test_event_code = $2
    ORDER BY event_number LIMIT $3
    FOR UPDATE SKIP LOCKED
), taken AS (
    -- By position in the table: the rows are locked, so they stay where they are, and no plan can scan the backlog.
    DELETE FROM send_queue WHERE ctid = ANY (ARRAY(SELECT ctid FROM due))
    RETURNING event_number, day, retries
), batch AS (
    INSERT INTO send_batches (
        dataset_id, test_event_code, event_numbers, retries, first_day, last_day, lease_expires_at, owner, claimed_at
    )
    SELECT $1, $2, array_agg(event_number ORDER BY event_number), array_agg(retries ORDER BY event_number),
        min(day), max(day), rastro_now() + $4 * interval '1 second', $5, rastro_now()
    FROM taken HAVING count(*) > 0
    RETURNING dataset_id, batch_id, fence, attempt, test_event_code
)
SELECT batch.dataset_id, batch.batch_id, batch.fence, batch.attempt, batch.test_event_code,
    e.event_number, e.day, due.retries, e.event_name, e.event_id, e.send_by <= rastro_now() AS too_old, e.request_id,
    e.traceparent, e.payload
FROM batch CROSS JOIN due JOIN events e
    ON e.dataset_id = $1 AND e.day = due.day AND e.event_number = due.event_number
ORDER BY e.event_number
