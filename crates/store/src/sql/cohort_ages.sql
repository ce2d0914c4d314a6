-- revenue::cohort_ages: of the last so many months. Profit by age; spend of the month that they first bought in.
-- $1 dataset, $2 currency, $3 today, $4 months
WITH daily AS MATERIALIZED (
    SELECT day, sum(cost_micros) AS spend_micros
    FROM ad_spend
    WHERE dataset_id = $1 AND currency = $2 AND day > date_trunc('month', $3::date)::date - make_interval(months => $4)
    GROUP BY day
), spent AS (
    SELECT date_trunc('month', day)::date AS cohort, sum(spend_micros)::bigint AS spend_micros FROM daily GROUP BY 1
)
SELECT cohort, age AS age_months, customers, coalesce(spent.spend_micros, 0) AS spend_micros, net_minor - fee_minor AS profit_minor
FROM cohort_monthly LEFT JOIN spent USING (cohort)
WHERE dataset_id = $1 AND currency = $2 AND cohort > date_trunc('month', $3::date)::date - make_interval(months => $4) AND cohort <= $3
ORDER BY cohort, age
