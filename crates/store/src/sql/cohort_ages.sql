-- revenue::cohort_ages. $1 dataset, $2 currency, $3 model (each has the same), $4 first day (not used), $5 last day
WITH spent AS (
    SELECT date_trunc('month', day)::date AS cohort, sum(spend_micros)::bigint AS spend_micros
    FROM campaign_daily
    WHERE dataset_id = $1 AND currency = $2 AND model = $3 AND day >= date_trunc('month', $5::date)::date - interval '24 months'
        AND $4::date IS NOT NULL
    GROUP BY 1
)
SELECT cohort, age AS age_months, customers, coalesce(spent.spend_micros, 0) AS spend_micros, net_minor - fee_minor AS profit_minor
FROM cohort_monthly LEFT JOIN spent USING (cohort)
WHERE dataset_id = $1 AND currency = $2 AND cohort > date_trunc('month', $5::date)::date - interval '24 months' AND cohort <= $5
ORDER BY cohort, age
