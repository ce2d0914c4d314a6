-- dashboard::quality: scores by day. $1 dataset id or NULL, $2 days
SELECT dataset_id, day, event_name, score::double precision AS score, estimate::double precision AS estimate,
    dedupe_coverage::double precision AS dedupe_coverage, event_coverage::double precision AS event_coverage, freshness,
    fetched_at
FROM dataset_quality
WHERE day > (rastro_now() - $2 * interval '1 day')::date AND ($1::bigint IS NULL OR dataset_id = $1)
ORDER BY dataset_id, event_name, day DESC LIMIT 5000
