-- revenue::months: as the money came and went, and the newest forecast of this month and later ones. $1 dataset, $2 currency, $3 today
WITH came AS (
    SELECT date_trunc('month', day)::date AS month, sum(net_minor)::bigint AS net_minor
    FROM revenue_daily
    WHERE dataset_id = $1 AND currency = $2 AND day >= (date_trunc('month', $3::date) - interval '12 months')::date AND day <= $3
    GROUP BY 1
), expected AS (
    SELECT DISTINCT ON (month) month, actual_minor, point_minor, lower_minor, upper_minor, interval_basis, method, trained_days,
        back_tests, wape, coverage, made_on
    FROM revenue_forecasts
    WHERE dataset_id = $1 AND currency = $2 AND month >= date_trunc('month', $3::date)::date AND made_on <= $3
    ORDER BY month, made_on DESC
)
SELECT month, coalesce(net_minor, 0) AS net_minor, actual_minor, point_minor AS forecast_minor, lower_minor, upper_minor,
    interval_basis, method, trained_days, back_tests, wape, coverage, made_on
FROM came FULL JOIN expected USING (month)
ORDER BY month
