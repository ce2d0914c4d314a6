-- request_counts::put: writes the counts of an hour that are new or differ.
-- $1 the hour; a list per column: $2 dataset ids, $3 buckets, $4 requests, $5 latencies in ms together
INSERT INTO request_counts (dataset_id, hour, bucket, requests, latency_ms)
SELECT dataset_id, $1, bucket, requests, latency_ms
FROM unnest($2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[]) AS t (dataset_id, bucket, requests, latency_ms)
ON CONFLICT (dataset_id, hour, bucket) DO UPDATE SET requests = excluded.requests, latency_ms = excluded.latency_ms
WHERE (request_counts.requests, request_counts.latency_ms) IS DISTINCT FROM (excluded.requests, excluded.latency_ms)
