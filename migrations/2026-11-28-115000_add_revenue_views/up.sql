-- Revenue for BI tools, in schema bi: names are a contract, a column is added and never changed. No personal data; money in major
-- units of its currency, which is in every row; days of the reporting zone. provisional: still moving, because Pix and boleto are
-- paid days after the order, and platforms correct their spend.
SET LOCAL lock_timeout = '5s';

-- The functions find what they call when they are made, so that readers need no search path.
-- ISO 4217: how many decimals amounts have.
CREATE FUNCTION currency_decimals(currency text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF',
            'XPF') THEN 0
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
        ELSE 2 END;
CREATE FUNCTION major_units(minor numeric, currency text) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (minor / 10::numeric ^ currency_decimals(currency))::numeric(18, 3);
-- The first day whose figures still move.
CREATE FUNCTION provisional_from() RETURNS date LANGUAGE sql STABLE PARALLEL SAFE RETURN
    (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - 4;

-- Two sets of tables in one database have two sets of views.
DO $bi$
BEGIN
    EXECUTE replace($views$
CREATE VIEW bi.leads_by_day AS
SELECT dataset_id::text AS dataset, day, model, channel, campaign_key AS campaign, max(campaign_name) AS campaign_name,
    currency, (sum(leads_millionths) / 1000000.0)::numeric(14, 6) AS leads,
    (sum(qualified_millionths) / 1000000.0)::numeric(14, 6) AS qualified, day >= provisional_from() AS provisional
FROM campaign_daily
GROUP BY dataset_id, day, model, channel, campaign_key, currency
HAVING sum(leads_millionths) > 0;
COMMENT ON VIEW bi.leads_by_day IS 'Leads by the day they wrote, credited to the touches before. Qualified: somebody said so, or they bought since.';

CREATE VIEW bi.funnel_by_week AS
SELECT dataset_id::text AS dataset, date_trunc('week', day)::date AS week, model, currency,
    round(sum(leads_millionths) / 1000000.0)::bigint AS leads, round(sum(qualified_millionths) / 1000000.0)::bigint AS qualified,
    round(sum(orders_millionths) / 1000000.0)::bigint AS orders,
    round(sum(new_customers_millionths) / 1000000.0)::bigint AS new_customers,
    bool_or(day >= provisional_from()) AS provisional
FROM campaign_daily
GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW bi.funnel_by_week IS 'Period funnel: what happened in the week, not what became of its leads; a step can exceed the one before.';

CREATE VIEW bi.roas_by_channel_day AS
SELECT dataset_id::text AS dataset, day, model, channel, currency,
    major_units(sum(gross_minor), currency) AS gross_revenue, major_units(sum(net_minor), currency) AS net_revenue,
    (sum(spend_micros) / 1000000.0)::numeric(18, 6) AS spend,
    (major_units(sum(net_minor), currency) / nullif(sum(spend_micros) / 1000000.0, 0))::double precision AS roas,
    (sum(claimed_micros) / 1000000.0)::numeric(18, 6) AS claimed_revenue,
    (sum(claimed_micros)::numeric / nullif(sum(spend_micros), 0))::double precision AS claimed_roas,
    (sum(orders_millionths) / 1000000.0)::numeric(14, 6) AS orders, bool_or(paid) AS paid, day >= provisional_from() AS provisional
FROM campaign_daily
GROUP BY dataset_id, day, model, channel, currency;
COMMENT ON VIEW bi.roas_by_channel_day IS 'Attributed net revenue of the orders placed on the day over spend of the day; claimed: what the platform says. Sum numerator and denominator over days, never the ratios.';

CREATE VIEW bi.cac_by_campaign_week AS
SELECT dataset_id::text AS dataset, date_trunc('week', day)::date AS week, model, channel, campaign_key AS campaign,
    max(campaign_name) AS campaign_name, currency, (sum(spend_micros) / 1000000.0)::numeric(18, 6) AS spend,
    (sum(new_customers_millionths) / 1000000.0)::numeric(14, 6) AS new_customers,
    round(sum(spend_micros) / nullif(sum(new_customers_millionths), 0), currency_decimals(currency)) AS cac,
    bool_or(day >= provisional_from()) AS provisional
FROM campaign_daily
WHERE paid
GROUP BY 1, 2, 3, 4, 5, currency;
COMMENT ON VIEW bi.cac_by_campaign_week IS 'Spend over new customers, those whose first paid order is credited to the campaign. Empty where there are none.';

CREATE VIEW bi.payback_by_campaign AS
WITH spend AS (
    SELECT dataset_id, currency, channel, campaign_key, max(campaign_name) AS campaign_name, sum(spend_micros) AS micros
    FROM campaign_daily WHERE model = 'linear' AND paid GROUP BY 1, 2, 3, 4
), aged AS (
    SELECT dataset_id, currency, channel, campaign_key, age, customers_millionths,
        sum(net_minor - fee_minor) OVER (PARTITION BY dataset_id, currency, channel, campaign_key ORDER BY age) AS profit_minor
    FROM campaign_cohorts
)
SELECT aged.dataset_id::text AS dataset, 'linear' AS model, aged.channel, aged.campaign_key AS campaign, spend.campaign_name,
    aged.currency, aged.age AS age_months, (aged.customers_millionths / 1000000.0)::numeric(14, 6) AS customers,
    (spend.micros / 1000000.0)::numeric(18, 6) AS spend, major_units(aged.profit_minor, aged.currency) AS cumulative_profit,
    (major_units(aged.profit_minor, aged.currency) / nullif(spend.micros / 1000000.0, 0))::double precision AS paid_back_share,
    aged.age = 0 AS provisional
FROM aged
JOIN spend ON spend.dataset_id = aged.dataset_id AND spend.currency = aged.currency AND spend.channel = aged.channel
    AND spend.campaign_key = aged.campaign_key;
COMMENT ON VIEW bi.payback_by_campaign IS 'Cumulative gross profit, by months since the first order, of the customers a campaign brought, over its spend: paid back in the first month at 1 or more.';

CREATE VIEW bi.cohorts_by_month AS
SELECT c.dataset_id::text AS dataset, 'linear' AS model, c.currency, c.cohort, c.age AS age_months, c.customers, c.orders,
    (cost.micros / 1000000.0)::numeric(18, 6) AS acquisition_spend,
    major_units(c.net_minor - c.fee_minor, c.currency) AS profit,
    major_units(sum(c.net_minor - c.fee_minor) OVER ages, c.currency) AS cumulative_profit,
    round(sum(c.net_minor - c.fee_minor) OVER ages / c.customers / 10::numeric ^ currency_decimals(c.currency),
        currency_decimals(c.currency)) AS lifetime_value,
    c.cohort + make_interval(months => c.age + 1) > rastro_now() AT TIME ZONE 'America/Sao_Paulo' AS provisional
FROM cohort_monthly c
LEFT JOIN LATERAL (
    SELECT sum(spend_micros) AS micros FROM campaign_daily d
    WHERE d.dataset_id = c.dataset_id AND d.currency = c.currency AND d.model = 'linear' AND d.day >= c.cohort
        AND d.day < c.cohort + make_interval(months => 1)
) AS cost ON true
WINDOW ages AS (PARTITION BY c.dataset_id, c.currency, c.cohort ORDER BY c.age);
COMMENT ON VIEW bi.cohorts_by_month IS 'Customers by the month of their first paid order. Profit is net revenue less payment fees; lifetime value is cumulative profit over the customers of the first month, a number that never changes.';

CREATE VIEW bi.revenue_by_day AS
SELECT coalesce(r.dataset_id, s.dataset_id)::text AS dataset, coalesce(r.day, s.day) AS day, coalesce(r.currency, s.currency) AS currency,
    'linear' AS model, major_units(coalesce(r.gross_minor, 0), coalesce(r.currency, s.currency)) AS gross_revenue,
    major_units(coalesce(r.net_minor, 0), coalesce(r.currency, s.currency)) AS net_revenue,
    major_units(coalesce(r.fee_minor, 0), coalesce(r.currency, s.currency)) AS fees,
    (coalesce(s.micros, 0) / 1000000.0)::numeric(18, 6) AS spend,
    (major_units(coalesce(r.net_minor, 0), coalesce(r.currency, s.currency)) / nullif(s.micros / 1000000.0, 0))::double precision AS mer,
    coalesce(r.day, s.day) >= provisional_from() AS provisional
FROM revenue_daily r
FULL JOIN (
    SELECT dataset_id, day, currency, sum(cost_micros) AS micros FROM ad_spend GROUP BY 1, 2, 3
) AS s ON s.dataset_id = r.dataset_id AND s.day = r.day AND s.currency = r.currency;
COMMENT ON VIEW bi.revenue_by_day IS 'Money as it came and went on the day: approvals less refunds and chargebacks, and spend. Not by campaign.';

CREATE VIEW bi.revenue_forecast AS
SELECT DISTINCT ON (dataset_id, currency, month) dataset_id::text AS dataset, 'linear' AS model, currency, month, made_on,
    major_units(actual_minor, currency) AS actual, major_units(point_minor, currency) AS forecast,
    major_units(lower_minor, currency) AS lower_80, major_units(upper_minor, currency) AS upper_80, interval_basis, method,
    trained_days, back_tests, wape, mape, coverage, true AS provisional
FROM revenue_forecasts
ORDER BY dataset_id, currency, month, made_on DESC;
COMMENT ON VIEW bi.revenue_forecast IS 'The newest forecast of each month: what was there already and what is expected of the rest, with an interval of 80 % and how the method did in back-tests.';
$views$, ' bi.', format(' %I.', CASE current_schema() WHEN 'public' THEN 'bi' ELSE current_schema() || '_bi' END));
END $bi$;
