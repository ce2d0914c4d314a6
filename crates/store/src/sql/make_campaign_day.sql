-- campaign_daily::make_day: the sums of a day by model, channel, campaign and currency. A touch that names its campaign only by a
-- name belongs to the campaign of spend that alone has this name. A customer is new once in each currency, as in cohorts.
-- $1 dataset, $2 day, $3 models, $4 the currency of leads, then their sums, a list per column
INSERT INTO campaign_daily (dataset_id, day, model, channel, campaign_key, currency, campaign_name, paid, spend_micros, impressions,
    clicks, claimed_purchases, claimed_micros, leads_millionths, qualified_millionths, orders_millionths, new_customers_millionths,
    gross_minor, net_minor, fee_minor)
WITH named AS (
    SELECT channel, name_key, min(campaign_key) AS campaign_key
    FROM ad_spend
    WHERE dataset_id = $1 AND day BETWEEN $2::date - 90 AND $2::date + 90 AND name_key NOT IN ('', campaign_key)
    GROUP BY channel, name_key
    HAVING count(DISTINCT campaign_key) = 1
), parts AS (
    SELECT credit.model, credit.channel, credit.campaign_key, placed.currency, credit.campaign_name, credit.paid, false AS of_spend,
        0::bigint AS spend_micros, 0::bigint AS impressions, 0::bigint AS clicks, 0::bigint AS claimed_purchases,
        0::bigint AS claimed_micros, 0::bigint AS leads, 0::bigint AS qualified,
        CASE WHEN placed.gross_minor > 0 THEN credit.order_millionths ELSE 0 END AS orders,
        CASE WHEN placed.is_first THEN credit.order_millionths ELSE 0 END AS new_customers,
        credit.gross_minor, credit.net_minor, credit.fee_minor
    FROM (
        SELECT own.order_id, own.currency, own.gross_minor, own.gross_minor > 0 AND NOT EXISTS (
            SELECT FROM credited_orders earlier
            WHERE earlier.dataset_id = $1 AND earlier.customer_id = own.customer_id AND earlier.currency = own.currency
                AND earlier.gross_minor > 0
                AND (earlier.placed_at, earlier.order_id) < (own.placed_at, own.order_id)
        ) AS is_first
        FROM credited_orders own WHERE own.dataset_id = $1 AND own.day = $2
    ) AS placed
    JOIN attribution_credits credit
        ON credit.dataset_id = $1 AND credit.order_id = placed.order_id AND credit.superseded_at IS NULL
    UNION ALL
    SELECT model, channel, campaign_key, $4, campaign_name, paid, false, 0, 0, 0, 0, 0, leads, qualified, 0, 0, 0, 0, 0
    FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[], $10::bigint[], $11::bigint[])
        AS lead (model, channel, campaign_key, campaign_name, paid, leads, qualified)
    UNION ALL
    SELECT model, channel, campaign_key, currency, campaign_name, true, true, cost_micros, coalesce(impressions, 0),
        coalesce(clicks, 0), coalesce(claimed_purchases, 0), coalesce(claimed_micros, 0), 0, 0, 0, 0, 0, 0, 0
    FROM ad_spend CROSS JOIN unnest($3::text[]) AS models (model)
    WHERE dataset_id = $1 AND day = $2
)
SELECT $1, $2, parts.model, parts.channel, coalesce(named.campaign_key, parts.campaign_key), parts.currency,
    (array_agg(parts.campaign_name ORDER BY parts.of_spend DESC, parts.campaign_name DESC))[1], bool_or(parts.paid),
    sum(parts.spend_micros)::bigint, sum(parts.impressions)::bigint, sum(parts.clicks)::bigint,
    sum(parts.claimed_purchases)::bigint, sum(parts.claimed_micros)::bigint, sum(parts.leads)::bigint, sum(parts.qualified)::bigint,
    sum(parts.orders)::bigint, sum(parts.new_customers)::bigint, sum(parts.gross_minor)::bigint, sum(parts.net_minor)::bigint,
    sum(parts.fee_minor)::bigint
FROM parts
LEFT JOIN named ON named.channel = parts.channel AND named.name_key = parts.campaign_key
GROUP BY parts.model, parts.channel, coalesce(named.campaign_key, parts.campaign_key), parts.currency
