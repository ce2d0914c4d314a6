-- circuit_breakers::report: one dataset's breaker with the evidence since it last changed. No row: no such dataset
SELECT rastro_now(),
    c.state, c.generation, c.reason, c.since, c.open_until, c.open_count, c.probe_until, c.probe_successes, c.probe_failures,
    c.manual, c.manual_until, coalesce(c.note, ''),
    e.requests, e.failures, e.consecutive
FROM datasets d LEFT JOIN circuit_breakers c USING (dataset_id) CROSS JOIN LATERAL (
    SELECT count(*) AS requests, count(*) FILTER (WHERE failed) AS failures,
        count(*) FILTER (WHERE failed AND attempted_at > coalesce((
            SELECT max(attempted_at) FROM send_attempts s WHERE s.dataset_id = d.dataset_id AND NOT failed
        ), '-infinity')) AS consecutive
    FROM send_attempts a
    WHERE a.dataset_id = d.dataset_id
        AND attempted_at > greatest(rastro_now() - $2 * interval '1 millisecond', coalesce(c.since, '-infinity'))
) AS e
WHERE d.dataset_id = $1
