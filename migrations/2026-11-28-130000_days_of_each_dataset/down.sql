SET LOCAL lock_timeout = '5s';

DROP INDEX ad_spend_by_currency, campaign_daily_spent;

CREATE FUNCTION provisional_from() RETURNS date LANGUAGE sql STABLE PARALLEL SAFE RETURN
    (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - 4;

DO $bi$
BEGIN
    EXECUTE replace($views$
CREATE OR REPLACE VIEW bi.leads_by_day AS
SELECT dataset_id::text AS dataset, day, model, channel, campaign_key AS campaign, max(campaign_name) AS campaign_name,
    currency, (sum(leads_millionths) / 1000000.0)::numeric(14, 6) AS leads,
    (sum(qualified_millionths) / 1000000.0)::numeric(14, 6) AS qualified, day >= provisional_from() AS provisional
FROM campaign_daily
GROUP BY dataset_id, day, model, channel, campaign_key, currency
HAVING sum(leads_millionths) > 0;
CREATE OR REPLACE VIEW bi.funnel_by_week AS
SELECT dataset_id::text AS dataset, date_trunc('week', day)::date AS week, model, currency,
    round(sum(leads_millionths) / 1000000.0)::bigint AS leads, round(sum(qualified_millionths) / 1000000.0)::bigint AS qualified,
    round(sum(orders_millionths) / 1000000.0)::bigint AS orders,
    round(sum(new_customers_millionths) / 1000000.0)::bigint AS new_customers,
    bool_or(day >= provisional_from()) AS provisional
FROM campaign_daily
GROUP BY 1, 2, 3, 4;
CREATE OR REPLACE VIEW bi.roas_by_channel_day AS
SELECT dataset_id::text AS dataset, day, model, channel, currency,
    major_units(sum(gross_minor), currency) AS gross_revenue, major_units(sum(net_minor), currency) AS net_revenue,
    (sum(spend_micros) / 1000000.0)::numeric(18, 6) AS spend,
    (major_units(sum(net_minor), currency) / nullif(sum(spend_micros) / 1000000.0, 0))::double precision AS roas,
    (sum(claimed_micros) / 1000000.0)::numeric(18, 6) AS claimed_revenue,
    (sum(claimed_micros)::numeric / nullif(sum(spend_micros), 0))::double precision AS claimed_roas,
    (sum(orders_millionths) / 1000000.0)::numeric(14, 6) AS orders, bool_or(paid) AS paid, day >= provisional_from() AS provisional
FROM campaign_daily
GROUP BY dataset_id, day, model, channel, currency;
CREATE OR REPLACE VIEW bi.cac_by_campaign_week AS
SELECT dataset_id::text AS dataset, date_trunc('week', day)::date AS week, model, channel, campaign_key AS campaign,
    max(campaign_name) AS campaign_name, currency, (sum(spend_micros) / 1000000.0)::numeric(18, 6) AS spend,
    (sum(new_customers_millionths) / 1000000.0)::numeric(14, 6) AS new_customers,
    round(sum(spend_micros) / nullif(sum(new_customers_millionths), 0), currency_decimals(currency)) AS cac,
    bool_or(day >= provisional_from()) AS provisional
FROM campaign_daily
WHERE paid
GROUP BY 1, 2, 3, 4, 5, currency;
CREATE OR REPLACE VIEW bi.cohorts_by_month AS
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
CREATE OR REPLACE VIEW bi.revenue_by_day AS
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
$views$, ' bi.', format(' %I.', CASE current_schema() WHEN 'public' THEN 'bi' ELSE current_schema() || '_bi' END));
END $bi$;

DROP FUNCTION provisional_from(text);
