-- request_counts::count: requests to Meta that ended within an hour, by how long they took. Bucket 99: Meta did not answer.
-- $1 the hour, $2 its day in UTC
SELECT dataset_id, bucket::smallint AS bucket, count(*) AS requests,
    coalesce(sum(latency_ms) FILTER (WHERE bucket <> 99), 0)::bigint AS latency_ms
FROM (
    SELECT dataset_id, latency_ms, CASE
        WHEN latency_ms IS NULL OR (outcome = 'unavailable' AND http_status IS NULL) THEN 99
        ELSE width_bucket(latency_ms, latency_limits())
    END AS bucket
    FROM send_attempts
    WHERE day = $2 AND attempted_at >= $1 AND attempted_at < $1 + interval '1 hour'
) AS requests
GROUP BY dataset_id, bucket
