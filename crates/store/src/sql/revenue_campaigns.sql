-- revenue::campaigns: those that cost or brought most first.
-- $1 dataset, $2 currency, $3 model, $4 first day, $5 last day, $6 channel or NULL, $7 campaign or NULL, $8 at most so many
SELECT channel, campaign_key, max(campaign_name) AS campaign_name, bool_or(paid) AS paid, sum(spend_micros)::bigint AS spend_micros,
    sum(impressions)::bigint AS impressions, sum(clicks)::bigint AS clicks, sum(leads_millionths)::bigint AS leads_millionths,
    sum(qualified_millionths)::bigint AS qualified_millionths, sum(orders_millionths)::bigint AS orders_millionths,
    sum(new_customers_millionths)::bigint AS new_customers_millionths, sum(gross_minor)::bigint AS gross_minor,
    sum(net_minor)::bigint AS net_minor, sum(fee_minor)::bigint AS fee_minor, sum(claimed_micros)::bigint AS claimed_micros
FROM campaign_daily
WHERE dataset_id = $1 AND currency = $2 AND model = $3 AND day BETWEEN $4 AND $5
    AND ($6::text IS NULL OR channel = $6) AND ($7::text IS NULL OR campaign_key = $7)
GROUP BY channel, campaign_key
ORDER BY sum(spend_micros) DESC, sum(net_minor) DESC, channel, campaign_key
LIMIT $8
