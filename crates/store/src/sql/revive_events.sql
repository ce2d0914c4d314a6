-- meta_retry_queue::revive_after_outage, 3 of 4: makes due again what failed only because Meta was away,
-- spread over a while and with all its retries. What failed alone keeps those that it spent: Meta may fail on
-- it, outage or not, and then it must come to its end.
-- $1 dataset id, $2 for how many ms before it opened the breaker looked at what failed, $3 spread in ms, $4
-- how many at most
WITH outage AS MATERIALIZED (
    SELECT outage_since, since FROM circuit_breakers WHERE dataset_id = $1
), chosen AS MATERIALIZED (
    SELECT event_number FROM meta_retry_queue
    -- What fails after the closing waits as it was told to.
    WHERE dataset_id = $1 AND failed_at <= (SELECT since FROM outage) AND send_by > rastro_now() AND (
        status = 'waiting' AND (retry_count > 0 AND NOT failed_alone OR next_retry_at > rastro_now() + $3 * interval '1 millisecond')
        -- The failures that opened the breaker belong to the outage.
        OR reason = 'exhausted' AND failed_at >= (SELECT outage_since FROM outage) - $2 * interval '1 millisecond'
    )
    LIMIT $4
    -- Waited for, not skipped: whoever has them may yet let go of them.
    FOR UPDATE
)
UPDATE meta_retry_queue r
SET status = 'waiting', reason = NULL, retry_count = CASE WHEN r.failed_alone THEN r.retry_count ELSE 0 END,
    next_retry_at = rastro_now() + r.event_number % 1000 / 1000.0 * $3 * interval '1 millisecond'
FROM chosen WHERE r.dataset_id = $1 AND r.event_number = chosen.event_number
