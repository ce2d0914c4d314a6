-- campaign_daily::make_cohorts: the same by the campaigns that brought the customers, whatever the month. A share of a customer has
-- that share of all that the customer's orders are worth; shares are summed before they are rounded to cents.
-- $1 dataset, $2 today: ages after it are not there yet
INSERT INTO campaign_cohorts (dataset_id, currency, channel, campaign_key, age, customers_millionths, net_minor, fee_minor)
WITH bought AS (
    SELECT order_id, coalesce(customer_id::text, 'order ' || order_id) AS customer, currency, placed_at,
        date_trunc('month', day)::date AS month, net_minor, fee_minor
    FROM credited_orders WHERE dataset_id = $1 AND gross_minor > 0 AND day <= $2
), customer AS (
    SELECT DISTINCT ON (customer, currency) customer, currency, order_id, month AS cohort
    FROM bought ORDER BY customer, currency, placed_at, order_id
), aged AS (
    SELECT customer.order_id,
        ((extract(year FROM month) - extract(year FROM customer.cohort)) * 12
            + extract(month FROM month) - extract(month FROM customer.cohort))::integer AS age,
        sum(net_minor) AS net_minor, sum(fee_minor) AS fee_minor
    FROM bought JOIN customer ON customer.customer = bought.customer AND customer.currency = bought.currency
    GROUP BY 1, 2
), named AS (
    SELECT channel, name_key, min(campaign_key) AS campaign_key
    FROM ad_spend WHERE dataset_id = $1 AND name_key NOT IN ('', campaign_key)
    GROUP BY channel, name_key
    HAVING count(DISTINCT campaign_key) = 1
), brought AS (
    SELECT customer.order_id, customer.currency, credit.channel, coalesce(named.campaign_key, credit.campaign_key) AS campaign_key,
        sum(credit.order_millionths) AS millionths
    FROM customer
    JOIN attribution_credits credit ON credit.dataset_id = $1 AND credit.order_id = customer.order_id
        AND credit.model = 'linear' AND credit.superseded_at IS NULL
    LEFT JOIN named ON named.channel = credit.channel AND named.name_key = credit.campaign_key
    WHERE credit.paid
    GROUP BY 1, 2, 3, 4
), campaign AS (
    SELECT currency, channel, campaign_key, sum(millionths)::bigint AS customers FROM brought GROUP BY 1, 2, 3
)
SELECT $1, campaign.currency, campaign.channel, campaign.campaign_key, aged.age, max(campaign.customers),
    round(sum(brought.millionths * aged.net_minor) / 1000000)::bigint, round(sum(brought.millionths * aged.fee_minor) / 1000000)::bigint
FROM campaign
JOIN brought ON brought.currency = campaign.currency AND brought.channel = campaign.channel
    AND brought.campaign_key = campaign.campaign_key
JOIN aged ON aged.order_id = brought.order_id
GROUP BY campaign.currency, campaign.channel, campaign.campaign_key, aged.age
