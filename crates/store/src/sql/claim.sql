-- send_batches::claim: the oldest ready events of one lane become one batch that is ours until the lease ends.
-- $6 only shortens the way: where a lane begins, rows may lie that are gone but cannot be cleaned up yet. What came back
-- because the breaker changed ($7) is not claimed by one who has not seen that change
WITH breaker AS MATERIALIZED (
    SELECT coalesce((SELECT generation FROM circuit_breakers WHERE dataset_id = $1), 0) = $7 AS is_known
), wanted AS (
    -- How many of the oldest rows hold as many events as are wanted.
    SELECT count(*) AS row_count FROM (
        SELECT sum(event_count) OVER (ORDER BY first_number) - event_count AS before FROM (
            SELECT first_number, event_count FROM send_queue
            WHERE dataset_id = $1 AND test_event_code = $2 AND first_number >= $6
            ORDER BY first_number LIMIT $3
        ) AS oldest
    ) AS counted
    WHERE before < $3 AND (SELECT is_known FROM breaker)
), locked AS MATERIALIZED (
    SELECT ctid, first_number, day, event_count, event_numbers, retries FROM send_queue
    WHERE dataset_id = $1 AND test_event_code = $2 AND first_number >= $6
    ORDER BY first_number LIMIT (SELECT row_count FROM wanted)
    FOR UPDATE SKIP LOCKED
), counted AS (
    -- Others may have taken the rows that were counted, so these may hold more.
    SELECT *, sum(event_count) OVER (ORDER BY first_number) - event_count AS before FROM locked
), due AS MATERIALIZED (
    SELECT ctid, first_number, day, retries, numbers[:$3 - before] AS numbers, numbers[$3 - before + 1:] AS rest
    FROM counted CROSS JOIN LATERAL (
        -- In place: a function of SQL would be called for each row.
        SELECT array_agg(n ORDER BY n) AS numbers
        FROM unnest(event_numbers) AS r, generate_series(lower(r), upper(r) - 1) AS n
    ) AS listed
    WHERE before < $3
), taken AS (
    -- By position in the table: the rows are locked, so they stay where they are, and no plan can scan the backlog.
    DELETE FROM send_queue WHERE ctid = ANY (ARRAY(SELECT ctid FROM due))
    RETURNING first_number
), ours AS MATERIALIZED (
    SELECT due.* FROM due JOIN taken USING (first_number)
), left_over AS (
    INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers, retries)
    SELECT $1, $2, rest[1], day, cardinality(rest), ranges_of(rest), retries FROM ours WHERE rest <> '{}'
), batch AS (
    INSERT INTO send_batches (
        dataset_id, test_event_code, event_numbers, retries, first_day, last_day, lease_expires_at, owner, claimed_at
    )
    SELECT $1, $2, array_agg(n ORDER BY n), CASE WHEN max(retries) > 0 THEN array_agg(retries ORDER BY n) ELSE '{}' END,
        min(day), max(day), rastro_now() + $4 * interval '1 second', $5, rastro_now()
    FROM ours CROSS JOIN unnest(numbers) AS n HAVING count(*) > 0
    RETURNING dataset_id, batch_id, fence, attempt, test_event_code
)
SELECT batch.dataset_id, batch.batch_id, batch.fence, batch.attempt, batch.test_event_code, rastro_now(),
    s.segment_number, s.day, ours.numbers, array_fill(ours.retries, ARRAY[cardinality(ours.numbers)]), s.heads, s.body
FROM batch CROSS JOIN ours CROSS JOIN LATERAL (
    -- One look-up a segment, whatever the planner thinks of the size of the table.
    SELECT * FROM event_segments
    WHERE dataset_id = $1 AND day = ours.day AND segment_number = ours.first_number / 1000 * 1000 AND test_event_code = $2
    OFFSET 0
) AS s
