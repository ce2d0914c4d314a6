-- alert rule cac_high: what a new customer cost in the last 7 days that no longer move, in major units of each currency: all spend
-- over all new customers, wherever they came from. Nothing is concluded from fewer than $2 of them, nor before spend of those days
-- is told.
-- $2 least number of new customers
SELECT d.dataset_id, week.currency AS group_key, cost.value::double precision AS value, 'info' AS severity,
    jsonb_build_object('dataset_name', d.name, 'count', round(week.new_customers), 'day', week.last_day,
        'money', jsonb_build_array(jsonb_build_object('currency', week.currency, 'amount', cost.value::text))) AS facts
FROM datasets d CROSS JOIN LATERAL (
    -- As in the bi views: the day itself and the four before it still move, in the dataset's own zone.
    SELECT (rastro_now() AT TIME ZONE d.time_zone)::date - 5 AS last_day
) AS days
CROSS JOIN LATERAL (
    SELECT c.currency, days.last_day, sum(c.spend_micros) AS spend_micros,
        sum(c.new_customers_millionths) / 1000000.0 AS new_customers
    FROM campaign_daily c
    WHERE c.dataset_id = d.dataset_id AND c.day BETWEEN days.last_day - 6 AND days.last_day AND c.model = 'linear'
    GROUP BY c.currency HAVING sum(c.spend_micros) > 0
) AS week
CROSS JOIN LATERAL (
    SELECT (week.spend_micros / 1000000.0 / nullif(week.new_customers, 0))::numeric(20, 2) AS value
) AS cost
WHERE round(week.new_customers) >= greatest($2, 1) AND EXISTS (
    SELECT FROM ad_spend a WHERE a.dataset_id = d.dataset_id AND a.day >= week.last_day AND a.currency = week.currency
)
