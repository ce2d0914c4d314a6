-- meta_retry_queue::requeue_for_probe: datasets that are being probed and have nothing ready get a few of their events back,
-- whenever those are due: without something to send nobody learns that Meta is back. Also events that ran out of retries
-- in this outage, which may be all there is. None of it was their fault: they have all their retries again
WITH probed AS MATERIALIZED (
    SELECT dataset_id, outage_since FROM circuit_breakers c
    WHERE state = 'half_open' AND manual = 'automatic'
    AND NOT EXISTS (SELECT FROM send_queue s WHERE s.dataset_id = c.dataset_id)
    -- Nor is a probe out, which would come back for another.
    AND (probe_until IS NULL OR probe_until <= rastro_now())
), chosen AS MATERIALIZED (
    SELECT q.dataset_id, q.event_number FROM probed CROSS JOIN LATERAL (
        SELECT dataset_id, event_number FROM meta_retry_queue
        WHERE dataset_id = probed.dataset_id AND send_by > rastro_now() AND (
            status = 'waiting'
            OR reason = 'exhausted' AND failed_at >= probed.outage_since - $2 * interval '1 millisecond'
        )
        ORDER BY event_number LIMIT $1
        FOR UPDATE SKIP LOCKED
    ) AS q
), moved AS (
    DELETE FROM meta_retry_queue q USING chosen
    WHERE q.dataset_id = chosen.dataset_id AND q.event_number = chosen.event_number
    RETURNING q.dataset_id, q.test_event_code, q.event_number, q.day
), ready AS (
    INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers)
    SELECT dataset_id, test_event_code, min(event_number), day, count(*), ranges_of(array_agg(event_number)) FROM moved
    GROUP BY dataset_id, test_event_code, day, event_number / 1000
)
SELECT count(*) FROM moved
