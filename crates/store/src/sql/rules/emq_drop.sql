-- alert rule emq_drop: Meta's newest score of an event name, of the last two days; one that fell half a point below its median of
-- seven days counts as 5.9. Only what two fetches in a row say.
SELECT q.dataset_id, q.event_name AS group_key,
    CASE WHEN worst.score < 6 THEN worst.score WHEN worst.score <= median.score - 0.5 THEN 5.9 ELSE worst.score
    END::double precision AS value,
    CASE WHEN worst.score < 6 THEN 'warning' ELSE 'info' END AS severity,
    jsonb_build_object('dataset_name', d.name, 'event_name', q.event_name, 'score', q.score, 'key', missing.identifier,
        'percent', missing.percent) AS facts
FROM datasets d JOIN dataset_quality q USING (dataset_id)
CROSS JOIN LATERAL (
    -- The better one of the last two: both must be low.
    SELECT max(score) AS score, count(*) AS fetches FROM (
        SELECT p.score FROM dataset_quality p
        WHERE p.dataset_id = q.dataset_id AND p.event_name = q.event_name AND p.day <= q.day AND p.score IS NOT NULL
        ORDER BY p.day DESC LIMIT 2
    ) AS two
) AS worst
LEFT JOIN LATERAL (
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY p.score)::numeric AS score FROM dataset_quality p
    WHERE p.dataset_id = q.dataset_id AND p.event_name = q.event_name AND p.score IS NOT NULL
        AND p.day BETWEEN q.day - 8 AND q.day - 2
) AS median ON true
LEFT JOIN LATERAL (
    SELECT k.identifier, 100 - k.coverage_percent AS percent FROM dataset_quality_keys k
    WHERE k.dataset_id = q.dataset_id AND k.day = q.day AND k.event_name = q.event_name AND k.coverage_percent < 100
    ORDER BY k.gain_percent DESC NULLS LAST, k.coverage_percent LIMIT 1
) AS missing ON true
WHERE q.score IS NOT NULL AND q.fetched_at > rastro_now() - interval '36 hours' AND worst.fetches = 2
    AND NOT EXISTS (
        SELECT FROM dataset_quality n WHERE n.dataset_id = q.dataset_id AND n.event_name = q.event_name AND n.day > q.day
    )
