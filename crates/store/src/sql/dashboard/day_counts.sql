-- dashboard::day_counts: counts by day of the reporting zone. $1 dataset id or NULL, $2 first day, $3 last day
SELECT day, outcome, sum(events)::bigint AS events FROM event_counts_daily
WHERE day BETWEEN $2 AND $3 AND outcome IN ('accepted', 'duplicate', 'success', 'error')
    AND ($1::bigint IS NULL OR dataset_id = $1)
GROUP BY day, outcome
