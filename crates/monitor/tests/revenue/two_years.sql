-- Two years of two shops: 50 campaigns each, seven models, 40 leads and 15 orders a day, and what was compared with Mercado Pago.
-- Made by arithmetic, without chance: each run has the same numbers. $DATASETS is replaced by the shops' numbers.
CREATE TEMP TABLE span AS
SELECT d.dataset_id, day::date AS day, n
FROM unnest(ARRAY[$DATASETS]::bigint[]) AS d (dataset_id)
CROSS JOIN generate_series(0, 729) AS n
CROSS JOIN LATERAL (SELECT (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date - n AS day) AS days;

INSERT INTO ad_spend (dataset_id, channel, account_id, day, campaign_key, campaign_name, name_key, currency, cost_micros, impressions,
    clicks, claimed_purchases, claimed_micros, source, updated_at)
SELECT dataset_id, CASE WHEN c % 5 < 3 THEN 'meta' ELSE 'google' END, '', day, (23850000000 + c)::text, 'Campanha ' || c, '', 'BRL',
    (20 + c * 2 + n % 7) * 1000000::bigint, 4000, 60 + c, 2, (90 + c * 5) * 1000000::bigint, 'csv', rastro_now()
FROM span CROSS JOIN generate_series(1, 50) AS c;

INSERT INTO campaign_daily (dataset_id, day, model, channel, campaign_key, currency, campaign_name, paid, spend_micros, impressions,
    clicks, claimed_purchases, claimed_micros, leads_millionths, qualified_millionths, orders_millionths, new_customers_millionths,
    gross_minor, net_minor, fee_minor)
SELECT dataset_id, day, model, channel, campaign_key, currency, campaign_name, true, cost_micros, impressions, clicks,
    claimed_purchases, claimed_micros, 800000, 500000, 300000, 200000 + m * 1000, 9000 + m * 100 + length(campaign_name), 8600 + m * 100, 420
FROM ad_spend
CROSS JOIN unnest(ARRAY['linear', 'first', 'last', 'last_non_direct', 'time_decay', 'position', 'markov'])
    WITH ORDINALITY AS models (model, m)
ORDER BY dataset_id, day, model;

INSERT INTO campaign_daily
SELECT DISTINCT ON (dataset_id, day, model, other) dataset_id, day, model, other, '', 'BRL', '', false, 0, 0, 0, 0, 0, 2000000, 900000,
    700000, 500000, 21000, 20000, 990
FROM campaign_daily CROSS JOIN unnest(ARRAY['direct', 'unmatched', 'organic_search']) AS other;

INSERT INTO revenue_daily (dataset_id, day, currency, gross_minor, net_minor, fee_minor)
SELECT dataset_id, day, 'BRL', 520000 + n % 7 * 20000, 500000 + n % 7 * 20000, 24000 FROM span;

INSERT INTO leads (dataset_id, lead_id, status, contact, ads_refused, event_day, event_id, request_id, created_at, updated_at)
SELECT dataset_id, n * 40 + i, CASE i % 4 WHEN 0 THEN 'qualified' WHEN 1 THEN 'customer' ELSE 'new' END, '', false, day,
    'l' || n * 40 + i, gen_random_uuid(), day + interval '15 hours', day + interval '15 hours'
FROM span CROSS JOIN generate_series(1, 40) AS i;

INSERT INTO payments (dataset_id, payment_id, account_id, status, status_detail, books, operation_type, currency, amount_minor,
    refunded_minor, payment_method, payment_type, order_id, lead_id, match_method, match_confidence, conversion, created_at, approved_at,
    updated_at, discovered_by, first_seen_at, read_at)
SELECT dataset_id, (n * 15 + i)::text, dataset_id, CASE WHEN i = 15 THEN 'pending' ELSE 'approved' END, '', 'counted', 'regular_payment',
    'BRL', 35000, 0, 'pix', 'bank_transfer', 'o' || n * 15 + i, n * 40 + i, 'lead_id', 100,
    CASE i WHEN 15 THEN 'none' WHEN 14 THEN 'withheld' WHEN 13 THEN CASE WHEN n % 9 = 0 THEN 'too_old' ELSE 'sent' END ELSE 'sent' END,
    day + interval '16 hours', CASE WHEN i < 15 THEN day + interval '17 hours' END, day + interval '17 hours', 'webhook',
    day + interval '17 hours', day + interval '17 hours'
FROM span CROSS JOIN generate_series(1, 15) AS i WHERE day < rastro_now()::date;

INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, lead_id, match_method, ads_refused, event_number,
    event_day, request_id, created_at, updated_at)
SELECT dataset_id, order_id, CASE status WHEN 'pending' THEN 'pending' ELSE 'approved' END, amount_minor, currency, '{}', lead_id,
    'lead_id', false, row_number() OVER (), created_at::date, gen_random_uuid(), created_at, created_at
FROM payments;

INSERT INTO credited_orders (dataset_id, order_id, placed_at, day, currency, gross_minor, net_minor, fee_minor, customer_id, person_known,
    fingerprint, rules_version, credited_at)
SELECT dataset_id, order_id, created_at, created_at::date, currency, amount_minor, amount_minor - 1200, 1700, lead_id % 9001, true, '', 1,
    created_at
FROM payments WHERE approved_at IS NOT NULL;

INSERT INTO attribution_credits (dataset_id, order_id, model, version, position, touched_at, channel, campaign_key, campaign_name, paid,
    order_millionths, gross_minor, net_minor, fee_minor, recorded_at)
SELECT dataset_id, order_id, 'linear', 1, p, placed_at, CASE WHEN (customer_id + p) % 5 < 3 THEN 'meta' ELSE 'google' END,
    (23850000000 + 1 + (customer_id + p) % 50)::text, '', true, 500000, gross_minor / 2, net_minor / 2, fee_minor / 2, placed_at
FROM credited_orders CROSS JOIN generate_series(1, 2) AS p;

INSERT INTO revenue_forecasts (dataset_id, currency, month, made_on, actual_minor, point_minor, lower_minor, upper_minor, interval_basis,
    method, trained_days, back_tests, wape, mape, coverage)
SELECT dataset_id, 'BRL', (date_trunc('month', day) + ahead * interval '1 month')::date, day, 8000000 * (1 - ahead), 15000000, 13000000,
    17000000, 'back_tests', 'holt_winters', 700, 24, 0.08, 0.09, 0.79
FROM span CROSS JOIN generate_series(0, 1) AS ahead;

INSERT INTO payment_accounts (dataset_id, account_id, label, access_token_sealed)
SELECT DISTINCT dataset_id, dataset_id, 'Conta principal', '\x'::bytea FROM span;

INSERT INTO reconciliation_runs (dataset_id, account_id, kind, window_of, window_from, window_to, cursor_at, state, lease_until,
    remote_count, remote_minor, local_count, local_minor, after_minor, difference_minor, started_at, finished_at)
SELECT dataset_id, dataset_id, kind, 'date_created', at - interval '35 days', at, at, 'complete', at, 500, 17500000,
    499, 17465000, 17500000, 35000, at, at
FROM (
    SELECT dataset_id, kind, rastro_now() - h * step AS at
    FROM (SELECT DISTINCT dataset_id FROM span) AS d
    CROSS JOIN (VALUES ('hourly', interval '1 hour', 2200), ('nightly', interval '1 day', 730), ('weekly', interval '7 days', 104))
        AS kinds (kind, step, runs)
    CROSS JOIN LATERAL generate_series(1, runs) AS h
) AS runs;

INSERT INTO reconciliation_findings (dataset_id, run_id, payment_id, finding, remote_minor, local_minor, action, found_at)
SELECT dataset_id, run_id, 'p' || run_id, 'missing_local', 35000, 0, 'applied', finished_at FROM reconciliation_runs;
ANALYZE;
