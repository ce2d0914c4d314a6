-- meta_retry_queue::revive_after_outage: a step of making due again what failed only because Meta was away, spread over a
-- while and with all its retries. Nothing left of a dataset, and its outage is over
WITH ended AS MATERIALIZED (
    SELECT dataset_id, outage_since, since FROM circuit_breakers
    WHERE outage_since IS NOT NULL AND state = 'closed'
    FOR UPDATE SKIP LOCKED
), chosen AS MATERIALIZED (
    SELECT q.dataset_id, q.event_number FROM ended CROSS JOIN LATERAL (
        SELECT dataset_id, event_number FROM meta_retry_queue
        -- What fails after the closing waits as it was told to.
        WHERE dataset_id = ended.dataset_id AND failed_at <= ended.since AND send_by > rastro_now() AND (
            status = 'waiting' AND (retry_count > 0 OR next_retry_at > rastro_now() + $2 * interval '1 millisecond')
            -- The failures that opened the breaker belong to the outage.
            OR reason = 'exhausted' AND failed_at >= ended.outage_since - $1 * interval '1 millisecond'
        )
        LIMIT $3
        -- Waited for, not skipped: whoever has them may yet let go of them.
        FOR UPDATE
    ) AS q
), revived AS (
    UPDATE meta_retry_queue q
    SET status = 'waiting', reason = NULL, retry_count = 0,
        next_retry_at = rastro_now() + random() * $2 * interval '1 millisecond'
    FROM chosen
    WHERE q.dataset_id = chosen.dataset_id AND q.event_number = chosen.event_number
    RETURNING 1
), done AS (
    UPDATE circuit_breakers c SET outage_since = NULL, updated_at = rastro_now()
    FROM ended
    WHERE c.dataset_id = ended.dataset_id AND NOT EXISTS (SELECT FROM chosen WHERE chosen.dataset_id = c.dataset_id)
        -- An outcome from before the closing may still be on its way into the table.
        AND ended.since < rastro_now() - $2 * interval '1 millisecond'
)
SELECT count(*) FROM revived
