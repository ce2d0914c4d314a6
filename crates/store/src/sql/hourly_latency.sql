-- request_counts::hourly_latency: of the requests of an hour, how many took 2 s or more or were not answered, by dataset and hour.
-- $1 days back
SELECT d.dataset_id, d.name, c.hour, coalesce(sum(c.requests) FILTER (WHERE c.bucket >= 14), 0)::bigint AS bad,
    sum(c.requests)::bigint AS total
FROM datasets d JOIN request_counts c USING (dataset_id)
WHERE c.hour > rastro_now() - $1 * interval '1 day' AND $2 IS NOT NULL AND $3 IS NOT NULL
GROUP BY d.dataset_id, d.name, c.hour
ORDER BY d.dataset_id, c.hour
