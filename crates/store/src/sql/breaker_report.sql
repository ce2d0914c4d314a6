-- circuit_breakers::report: one dataset's breaker with the evidence since it last changed. No row: no such
-- dataset.
-- $1 dataset id, $2 for how many ms a breaker looks back
SELECT rastro_now() AS now,
    c.state, c.generation, c.reason, c.since, c.open_until, c.open_count, c.probe_until, c.probe_successes, c.probe_failures,
    c.manual, c.manual_until, coalesce(c.note, '') AS note,
    e.requests, e.failures, e.consecutive
FROM datasets d LEFT JOIN circuit_breakers c USING (dataset_id) CROSS JOIN LATERAL (
    SELECT count(*) AS requests, count(*) FILTER (WHERE failed) AS failures,
        count(*) FILTER (WHERE failed AND attempted_at > coalesce(last_alive, '-infinity')) AS consecutive
    FROM (
        SELECT a.attempted_at, a.outcome = 'unavailable' AS failed,
            max(a.attempted_at) FILTER (WHERE a.outcome <> 'unavailable') OVER () AS last_alive
        FROM send_attempts a
        WHERE a.dataset_id = d.dataset_id AND a.outcome IN ('delivered', 'refused', 'unavailable')
            AND a.attempted_at > greatest(rastro_now() - $2 * interval '1 millisecond', coalesce(c.since, '-infinity'))
            AND a.day >= ((rastro_now() - $2 * interval '1 millisecond') AT TIME ZONE 'UTC')::date
    ) AS recent
) AS e
WHERE d.dataset_id = $1
