-- dashboard::hour_counts: counts by hour. $1 dataset id or NULL, $2 since
SELECT hour, outcome, sum(events)::bigint AS events FROM event_counts
WHERE hour >= $2 AND outcome IN ('accepted', 'duplicate', 'success', 'error') AND ($1::bigint IS NULL OR dataset_id = $1)
GROUP BY hour, outcome ORDER BY hour
