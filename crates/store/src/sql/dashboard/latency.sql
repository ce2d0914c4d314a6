-- dashboard::latency: requests to Meta by hour and bucket. $1 dataset id or NULL, $2 since
SELECT hour, bucket, sum(requests)::bigint AS requests, sum(latency_ms)::bigint AS latency_ms FROM request_counts
WHERE hour >= $2 AND ($1::bigint IS NULL OR dataset_id = $1)
GROUP BY hour, bucket ORDER BY hour, bucket
