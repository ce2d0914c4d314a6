-- circuit_breakers::watched: every dataset that has a breaker, or sent something lately, with the evidence
-- since its breaker last changed. A refused event proves that Meta is alive; throttled and blocked requests
-- prove nothing.
-- $1 for how many ms a breaker looks back
WITH watched AS (
    SELECT dataset_id FROM circuit_breakers
    UNION
    SELECT d.dataset_id FROM datasets d WHERE EXISTS (
        SELECT FROM send_attempts a
        WHERE a.dataset_id = d.dataset_id AND a.attempted_at > rastro_now() - $1 * interval '1 millisecond'
            AND a.day >= ((rastro_now() - $1 * interval '1 millisecond') AT TIME ZONE 'UTC')::date
    )
)
SELECT w.dataset_id, rastro_now() AS now,
    c.state, c.generation, c.reason, c.since, c.open_until, c.open_count, c.probe_until, c.probe_successes, c.probe_failures,
    c.manual, c.manual_until,
    e.requests, e.failures, e.consecutive
FROM watched w LEFT JOIN circuit_breakers c USING (dataset_id) CROSS JOIN LATERAL (
    SELECT count(*) AS requests, count(*) FILTER (WHERE failed) AS failures,
        count(*) FILTER (WHERE failed AND attempted_at > coalesce(last_alive, '-infinity')) AS consecutive
    FROM (
        SELECT a.attempted_at, a.outcome = 'unavailable' AS failed,
            max(a.attempted_at) FILTER (WHERE a.outcome <> 'unavailable') OVER () AS last_alive
        FROM send_attempts a
        WHERE a.dataset_id = w.dataset_id AND a.outcome IN ('delivered', 'refused', 'unavailable')
            AND a.attempted_at > greatest(rastro_now() - $1 * interval '1 millisecond', coalesce(c.since, '-infinity'))
            AND a.day >= ((rastro_now() - $1 * interval '1 millisecond') AT TIME ZONE 'UTC')::date
    ) AS recent
) AS e
ORDER BY w.dataset_id
