-- revenue_forecasts::daily_revenue: net revenue of days without a gap, from the first that brought any.
-- $1 dataset, $2 the day after the last, $3 at most so many days
SELECT span.currency, days.day::date AS day, coalesce(sums.net_minor, 0)::bigint AS net_minor
FROM (
    SELECT currency, min(day) AS first_day FROM revenue_daily
    WHERE dataset_id = $1 AND day < $2 AND day >= $2::date - $3::integer
    GROUP BY currency
) AS span
CROSS JOIN LATERAL generate_series(span.first_day::timestamp, ($2::date - 1)::timestamp, '1 day') AS days (day)
LEFT JOIN revenue_daily sums ON sums.dataset_id = $1 AND sums.currency = span.currency AND sums.day = days.day::date
ORDER BY span.currency, day
