-- circuit_breakers::watched: every dataset that has a breaker, or sent something lately, with the evidence since its breaker
-- last changed
WITH watched AS (
    SELECT dataset_id FROM circuit_breakers
    UNION SELECT dataset_id FROM send_attempts WHERE attempted_at > rastro_now() - $1 * interval '1 millisecond'
)
SELECT w.dataset_id, rastro_now(),
    c.state, c.generation, c.reason, c.since, c.open_until, c.open_count, c.probe_until, c.probe_successes, c.probe_failures,
    c.manual, c.manual_until,
    e.requests, e.failures, e.consecutive
FROM watched w LEFT JOIN circuit_breakers c USING (dataset_id) CROSS JOIN LATERAL (
    SELECT count(*) AS requests, count(*) FILTER (WHERE failed) AS failures,
        count(*) FILTER (WHERE failed AND attempted_at > coalesce((
            SELECT max(attempted_at) FROM send_attempts s WHERE s.dataset_id = w.dataset_id AND NOT failed
        ), '-infinity')) AS consecutive
    FROM send_attempts a
    WHERE a.dataset_id = w.dataset_id
        AND attempted_at > greatest(rastro_now() - $1 * interval '1 millisecond', coalesce(c.since, '-infinity'))
) AS e
ORDER BY w.dataset_id
