-- revenue::scope: what a page about a dataset's revenue has to know first. Currencies one after the other by their index: spend has
-- many rows and few of them. $1 dataset
WITH RECURSIVE spent AS (
    SELECT min(currency) AS currency FROM ad_spend WHERE dataset_id = $1
    UNION ALL
    SELECT (SELECT min(a.currency) FROM ad_spend a WHERE a.dataset_id = $1 AND a.currency > spent.currency)
    FROM spent WHERE spent.currency IS NOT NULL
)
SELECT d.time_zone, d.default_currency, (rastro_now() AT TIME ZONE d.time_zone)::date AS today,
    ARRAY(
        SELECT currency FROM revenue_daily WHERE dataset_id = $1
        UNION SELECT currency FROM cohort_monthly WHERE dataset_id = $1
        UNION SELECT currency FROM spent WHERE currency IS NOT NULL
        ORDER BY currency
    ) AS currencies,
    (SELECT max(day) FROM ad_spend WHERE dataset_id = $1) AS spent_until,
    EXISTS (SELECT FROM payment_accounts WHERE dataset_id = $1) AS has_account,
    EXISTS (SELECT FROM attribution_state WHERE dataset_id = $1 AND removal_effects IS NOT NULL) AS has_effects
FROM datasets d WHERE d.dataset_id = $1
