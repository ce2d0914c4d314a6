-- alert rule roas_low: what each unit of spend brought back in the last 7 days that no longer move, by currency: net revenue that is
-- credited to paid touches (linear) over spend. Nothing is concluded from fewer customers than $2, nor before spend of those days is
-- told.
-- $2 least number of customers
SELECT d.dataset_id, week.currency AS group_key, ratio.value, 'info' AS severity,
    jsonb_build_object('dataset_name', d.name, 'score', round(ratio.value::numeric, 2), 'name', week.currency,
        'count', people.customers, 'day', week.last_day) AS facts
FROM datasets d CROSS JOIN LATERAL (
    -- As in the bi views: the day itself and the four before it still move, in the dataset's own zone.
    SELECT (rastro_now() AT TIME ZONE d.time_zone)::date - 11 AS first_day,
        (rastro_now() AT TIME ZONE d.time_zone)::date - 5 AS last_day
) AS days
CROSS JOIN LATERAL (
    SELECT c.currency, days.first_day, days.last_day, sum(c.spend_micros) AS spend_micros,
        coalesce(sum(c.net_minor) FILTER (WHERE c.paid), 0) AS net_minor
    FROM campaign_daily c
    WHERE c.dataset_id = d.dataset_id AND c.day BETWEEN days.first_day AND days.last_day AND c.model = 'linear'
    GROUP BY c.currency HAVING sum(c.spend_micros) > 0
) AS week
CROSS JOIN LATERAL (
    -- Of orders without a known person each is one.
    SELECT count(DISTINCT o.customer_id) + count(*) FILTER (WHERE o.customer_id IS NULL) AS customers
    FROM credited_orders o
    WHERE o.dataset_id = d.dataset_id AND o.day BETWEEN week.first_day AND week.last_day AND o.currency = week.currency
        AND o.gross_minor > 0
) AS people
CROSS JOIN LATERAL (
    SELECT (major_units(week.net_minor, week.currency) / (week.spend_micros / 1000000.0))::double precision AS value
) AS ratio
WHERE people.customers >= $2 AND EXISTS (
    SELECT FROM ad_spend a WHERE a.dataset_id = d.dataset_id AND a.day >= week.last_day AND a.currency = week.currency
)
