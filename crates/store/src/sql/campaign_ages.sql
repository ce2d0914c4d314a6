-- revenue::campaign_ages. $1 dataset, $2 currency, $3 model, $4 first day, $5 last day,
-- $6 channel or NULL, $7 campaign or NULL
WITH top AS (
    SELECT channel, campaign_key, max(campaign_name) AS campaign_name FROM campaign_daily
    WHERE dataset_id = $1 AND currency = $2 AND model = $3 AND day BETWEEN $4 AND $5 AND paid
        AND ($6::text IS NULL OR channel = $6) AND ($7::text IS NULL OR campaign_key = $7)
    GROUP BY channel, campaign_key HAVING sum(spend_micros) > 0
    ORDER BY sum(spend_micros) DESC, channel, campaign_key LIMIT 8
), spent AS (
    SELECT top.*, (
        SELECT coalesce(sum(d.spend_micros), 0)::bigint FROM campaign_daily d
        WHERE d.dataset_id = $1 AND d.currency = $2 AND d.model = 'linear' AND d.spend_micros > 0
            AND d.channel = top.channel AND d.campaign_key = top.campaign_key
    ) AS spend_micros
    FROM top
)
SELECT channel, campaign_key, campaign_name, age AS age_months, customers_millionths, spend_micros,
    sum(net_minor - fee_minor) OVER (PARTITION BY channel, campaign_key ORDER BY age)::bigint AS profit_minor
FROM campaign_cohorts JOIN spent USING (channel, campaign_key)
WHERE dataset_id = $1 AND currency = $2
ORDER BY channel, campaign_key, age
