-- meta_retry_queue::requeue_for_probe: takes a few events out for each dataset that is being probed and has
-- nothing ready, whenever those are due: without something to send nobody learns that Meta is back. Also
-- events that ran out of retries in this outage, which may be all there is. None of it was their fault: they
-- have all their retries again. But one that failed alone may be what Meta fails on: it keeps what it spent,
-- others go before it, and once it has run out of retries it is not tried where Meta has taken another.
--
-- The next probe takes those that failed longest ago, and half as many each time that the breaker opens
-- again: one on which Meta fails comes to stand alone, and does not keep the others from being tried.
-- $1 how many at most of each dataset, $2 for how many ms before it opened a breaker looked at what failed
WITH probed AS MATERIALIZED (
    SELECT dataset_id, outage_since, open_count, probe_successes FROM circuit_breakers c
    WHERE state = 'half_open' AND manual = 'automatic'
    AND NOT EXISTS (SELECT FROM send_queue s WHERE s.dataset_id = c.dataset_id)
    -- Nor is a probe out, which would come back for another.
    AND (probe_until IS NULL OR probe_until <= rastro_now())
), chosen AS MATERIALIZED (
    SELECT r.dataset_id, r.event_number FROM probed CROSS JOIN LATERAL (
        -- A backlog of a million is not sorted for each probe.
        SELECT candidate.dataset_id, candidate.event_number FROM (
            SELECT dataset_id, event_number, failed_alone, failed_at FROM meta_retry_queue
            WHERE dataset_id = probed.dataset_id AND send_by > rastro_now() AND (
                status = 'waiting'
                OR reason = 'exhausted' AND failed_at >= probed.outage_since - $2 * interval '1 millisecond'
                    AND NOT (failed_alone AND probed.probe_successes > 0)
            )
            ORDER BY event_number LIMIT 1000
        ) AS candidate
        ORDER BY failed_alone, failed_at, event_number
        LIMIT greatest(1, $1 / (1 << least(greatest(probed.open_count, 1) - 1, 20)))
    ) AS r
), locked AS MATERIALIZED (
    SELECT dataset_id, event_number FROM meta_retry_queue
    WHERE (dataset_id, event_number) IN (SELECT dataset_id, event_number FROM chosen)
    FOR UPDATE SKIP LOCKED
)
DELETE FROM meta_retry_queue r USING locked
WHERE r.dataset_id = locked.dataset_id AND r.event_number = locked.event_number
RETURNING r.dataset_id, r.test_event_code, r.event_number, r.day,
    CASE WHEN r.failed_alone THEN r.retry_count ELSE 0 END::smallint AS retries, r.send_by
