-- dashboard::rule_histories: thirty days of each rule. $1 dataset id or NULL
SELECT rule, count(*) AS opened,
    count(*) FILTER (
        WHERE resolved_at < fired_at + interval '15 minutes' AND acknowledged_at IS NULL AND snoozed_until IS NULL
    ) AS closed_alone,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM coalesce(resolved_at, rastro_now()) - fired_at))
        AS median_seconds
FROM alerts
WHERE fired_at >= rastro_now() - interval '30 days' AND ($1::bigint IS NULL OR dataset_id IS NULL OR dataset_id = $1)
GROUP BY rule ORDER BY opened DESC, rule
