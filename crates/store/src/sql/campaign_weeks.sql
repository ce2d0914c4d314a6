-- revenue::campaign_weeks. $1 dataset, $2 currency, $3 model, $4 first day, $5 last day,
-- $6 channel or NULL, $7 campaign or NULL
WITH top AS (
    SELECT channel, campaign_key FROM campaign_daily
    WHERE dataset_id = $1 AND currency = $2 AND model = $3 AND day BETWEEN $4 AND $5 AND paid
        AND ($6::text IS NULL OR channel = $6) AND ($7::text IS NULL OR campaign_key = $7)
    GROUP BY channel, campaign_key HAVING sum(spend_micros) > 0
    ORDER BY sum(spend_micros) DESC, channel, campaign_key LIMIT 8
)
SELECT date_trunc('week', day)::date AS week, channel, campaign_key, max(campaign_name) AS campaign_name,
    sum(spend_micros)::bigint AS spend_micros, sum(new_customers_millionths)::bigint AS new_customers_millionths
FROM campaign_daily
JOIN top USING (channel, campaign_key)
WHERE dataset_id = $1 AND currency = $2 AND model = $3 AND day BETWEEN $4 AND $5
GROUP BY 1, channel, campaign_key
ORDER BY channel, campaign_key, week
