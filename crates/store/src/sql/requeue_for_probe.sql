-- meta_retry_queue::requeue_for_probe: takes a few events out for each dataset that is being probed and has
-- nothing ready, whenever those are due: without something to send nobody learns that Meta is back. Also
-- events that ran out of retries in this outage, which may be all there is. None of it was their fault: they
-- have all their retries again.
-- $1 how many at most of each dataset, $2 for how many ms before it opened a breaker looked at what failed
WITH probed AS MATERIALIZED (
    SELECT dataset_id, outage_since FROM circuit_breakers c
    WHERE state = 'half_open' AND manual = 'automatic'
    AND NOT EXISTS (SELECT FROM send_queue s WHERE s.dataset_id = c.dataset_id)
    -- Nor is a probe out, which would come back for another.
    AND (probe_until IS NULL OR probe_until <= rastro_now())
), chosen AS MATERIALIZED (
    SELECT r.dataset_id, r.event_number FROM probed CROSS JOIN LATERAL (
        SELECT dataset_id, event_number FROM meta_retry_queue
        WHERE dataset_id = probed.dataset_id AND send_by > rastro_now() AND (
            status = 'waiting'
            OR reason = 'exhausted' AND failed_at >= probed.outage_since - $2 * interval '1 millisecond'
        )
        ORDER BY event_number LIMIT $1
        FOR UPDATE SKIP LOCKED
    ) AS r
)
DELETE FROM meta_retry_queue r USING chosen
WHERE r.dataset_id = chosen.dataset_id AND r.event_number = chosen.event_number
RETURNING r.dataset_id, r.test_event_code, r.event_number, r.day, 0::smallint AS retries, r.send_by
