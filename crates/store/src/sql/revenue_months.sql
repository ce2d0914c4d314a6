-- revenue::months. $1 dataset, $2 currency, $3 model (not used), $4 first day (not used), $5 last day
WITH came AS (
    SELECT date_trunc('month', day)::date AS month, sum(net_minor)::bigint AS net_minor
    FROM revenue_daily
    WHERE dataset_id = $1 AND currency = $2 AND day > date_trunc('month', $5::date)::date - interval '13 months'
        AND num_nulls($3::text, $4::date) = 0
    GROUP BY 1
), expected AS (
    SELECT DISTINCT ON (month) month, point_minor, lower_minor, upper_minor, method, trained_days, back_tests, wape, coverage, made_on
    FROM revenue_forecasts
    WHERE dataset_id = $1 AND currency = $2 AND month >= date_trunc('month', $5::date)::date
    ORDER BY month, made_on DESC
)
SELECT month, coalesce(net_minor, 0) AS net_minor, point_minor AS forecast_minor, lower_minor, upper_minor, method, trained_days,
    back_tests, wape, coverage, made_on
FROM came FULL JOIN expected USING (month)
ORDER BY month
