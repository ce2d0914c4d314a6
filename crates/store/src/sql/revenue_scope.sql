-- revenue::scope: what a page about a dataset's revenue has to know first. $1 dataset
SELECT d.time_zone, d.default_currency, (rastro_now() AT TIME ZONE d.time_zone)::date AS today,
    ARRAY(
        SELECT currency FROM revenue_daily WHERE dataset_id = $1
        UNION SELECT currency FROM cohort_monthly WHERE dataset_id = $1
        UNION SELECT currency FROM ad_spend WHERE dataset_id = $1
        ORDER BY currency
    ) AS currencies,
    (SELECT max(day) FROM ad_spend WHERE dataset_id = $1) AS spent_until,
    EXISTS (SELECT FROM payment_accounts WHERE dataset_id = $1) AS has_account
FROM datasets d WHERE d.dataset_id = $1
