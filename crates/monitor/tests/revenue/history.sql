-- A small history whose every figure was reckoned by hand. The clock stands at noon of Monday 15 June 2026 in São Paulo.
CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT timestamptz ''2026-06-15 15:00:00+00''';
UPDATE datasets SET default_currency = 'BRL' WHERE dataset_id = 111111111111111;

INSERT INTO ad_spend (dataset_id, channel, account_id, day, campaign_key, campaign_name, name_key, currency, cost_micros, source, updated_at)
VALUES
    (111111111111111, 'meta', '', '2026-04-10', '120', 'x', '', 'BRL', 400000000, 'csv', rastro_now()),
    (111111111111111, 'meta', '', '2026-05-10', '120', 'x', '', 'BRL', 200000000, 'csv', rastro_now()),
    (111111111111111, 'meta', '', '2026-06-01', '120', 'x', '', 'BRL', 100000000, 'csv', rastro_now()),
    (111111111111111, 'google', '', '2026-06-02', '77', 'x', '', 'BRL', 80000000, 'csv', rastro_now()),
    (111111111111111, 'meta', '', '2026-06-14', '120', 'x', '', 'BRL', 50000000, 'csv', rastro_now()),
    (111111111111111, 'meta', 'usd', '2026-06-03', '120', 'x', '', 'USD', 10000000, 'csv', rastro_now());

INSERT INTO campaign_daily (dataset_id, day, model, channel, campaign_key, currency, campaign_name, paid, spend_micros, impressions,
    clicks, claimed_purchases, claimed_micros, leads_millionths, qualified_millionths, orders_millionths, new_customers_millionths,
    gross_minor, net_minor, fee_minor)
VALUES
    (111111111111111, '2026-05-16', 'linear', 'meta', '120', 'BRL', '<b>Verão</b> & "co"', true, 999000000, 9, 9, 0, 0, 9000000, 9000000,
        9000000, 5000000, 99900, 99900, 900),
    (111111111111111, '2026-06-01', 'linear', 'meta', '120', 'BRL', '<b>Verão</b> & "co"', true, 100000000, 1000, 50, 3, 300000000,
        10000000, 4000000, 3000000, 2000000, 40000, 35000, 2000),
    (111111111111111, '2026-06-01', 'first', 'meta', '120', 'BRL', '<b>Verão</b> & "co"', true, 100000000, 1000, 50, 3, 300000000,
        10000000, 4000000, 4000000, 3000000, 55000, 50000, 2000),
    (111111111111111, '2026-06-14', 'linear', 'meta', '120', 'BRL', '<b>Verão</b> & "co"', true, 50000000, 500, 20, 0, 0,
        2000000, 1000000, 1500000, 10000000, 15000, 15000, 750),
    (111111111111111, '2026-06-02', 'linear', 'google', '77', 'BRL', '=HYPERLINK("http://x")', true, 80000000, 700, 30, 0, 0,
        5000000, 2000000, 1000000, 1000000, 10000, 6400, 500),
    (111111111111111, '2026-06-02', 'linear', 'unmatched', '', 'BRL', '', false, 0, 0, 0, 0, 0, 0, 0, 1000000, 1000000, 5000, 5000, 250),
    (111111111111111, '2026-06-03', 'linear', 'meta', '120', 'USD', '<b>Verão</b> & "co"', true, 10000000, 10, 1, 0, 0,
        0, 0, 1000000, 1000000, 7000, 7000, 0),
    -- Another's.
    (222222222222222, '2026-06-01', 'linear', 'meta', '555', 'USD', 'Segredo', true, 10000000, 10, 1, 0, 0, 0, 0, 1000000, 1000000,
        77700, 77700, 0);

INSERT INTO cohort_monthly (dataset_id, currency, cohort, age, customers, orders, net_minor, fee_minor) VALUES
    (111111111111111, 'BRL', '2026-04-01', 0, 40, 40, 22000, 2000), (111111111111111, 'BRL', '2026-04-01', 1, 40, 9, 13000, 1000),
    (111111111111111, 'BRL', '2026-04-01', 2, 40, 5, 10500, 500), (111111111111111, 'BRL', '2026-05-01', 0, 10, 10, 11000, 1000),
    (111111111111111, 'BRL', '2026-05-01', 1, 10, 2, 4000, 0), (111111111111111, 'BRL', '2026-06-01', 0, 25, 25, 61900, 4000);
INSERT INTO campaign_cohorts (dataset_id, currency, channel, campaign_key, age, customers_millionths, net_minor, fee_minor) VALUES
    (111111111111111, 'BRL', 'meta', '120', 0, 40000000, 30000, 2000), (111111111111111, 'BRL', 'meta', '120', 1, 40000000, 130000, 6000),
    (111111111111111, 'BRL', 'google', '77', 0, 12000000, 99900, 0);
INSERT INTO revenue_daily (dataset_id, day, currency, gross_minor, net_minor, fee_minor) VALUES
    (111111111111111, '2026-05-20', 'BRL', 30000, 28000, 1000), (111111111111111, '2026-06-01', 'BRL', 50000, 45000, 2000),
    (111111111111111, '2026-06-14', 'BRL', 0, -3000, 0), (222222222222222, '2026-06-01', 'USD', 77700, 77700, 0);
INSERT INTO revenue_forecasts (dataset_id, currency, month, made_on, actual_minor, point_minor, lower_minor, upper_minor, interval_basis,
    method, trained_days, back_tests, wape, mape, coverage) VALUES
    (111111111111111, 'BRL', '2026-06-01', '2026-06-14', 1, 2, NULL, NULL, NULL, 'run_rate', 30, 0, NULL, NULL, NULL),
    (111111111111111, 'BRL', '2026-06-01', '2026-06-15', 42000, 80000, 70000, 90000, 'back_tests', 'holt_winters', 120, 12, 0.08, 0.1, 0.83),
    (111111111111111, 'BRL', '2026-07-01', '2026-06-15', 0, 100000, 85000, 120000, 'back_tests', 'holt_winters', 120, 12, 0.08, 0.1, 0.83);

-- The first wrote one minute before the period began in São Paulo. The second bought twice, the third left a Pix open.
INSERT INTO leads (dataset_id, lead_id, status, contact, ads_refused, event_day, event_id, request_id, created_at, updated_at)
SELECT 111111111111111, id, status, '', false, '2026-06-01', id::text, gen_random_uuid(), at::timestamptz, at::timestamptz
FROM (VALUES (1, 'new', '2026-05-17 02:59+00'), (2, 'qualified', '2026-06-01 12:00+00'), (3, 'new', '2026-06-02 12:00+00'),
    (4, 'new', '2026-06-15 02:00+00')) AS l (id, status, at);

INSERT INTO payments (dataset_id, payment_id, account_id, status, status_detail, books, operation_type, currency, amount_minor,
    refunded_minor, payment_method, payment_type, order_id, lead_id, match_method, match_confidence, conversion, created_at, approved_at,
    updated_at, expires_at, discovered_by, first_seen_at, read_at)
SELECT 111111111111111, 'p' || n, 9001, CASE WHEN approved IS NULL THEN 'pending' ELSE 'approved' END, '', books, 'regular_payment', currency,
    amount, 0, 'pix', 'bank_transfer', 'o' || n, lead, CASE WHEN lead IS NOT NULL THEN 'lead_id' END, CASE WHEN lead IS NOT NULL THEN 100 END,
    conversion, coalesce(approved, '2026-06-14 12:00+00')::timestamptz, approved::timestamptz, rastro_now(), '2026-06-20 12:00+00',
    'webhook', rastro_now(), rastro_now()
FROM (VALUES
    (1, 10000, 'BRL', 'counted', 2, 'sent', '2026-06-01 12:00+00'), (2, 5000, 'BRL', 'counted', 2, 'sent', '2026-06-02 12:00+00'),
    (3, 3000, 'BRL', 'counted', NULL, 'withheld', '2026-06-03 12:00+00'), (4, 2000, 'BRL', 'counted', NULL, 'too_old', '2026-06-04 12:00+00'),
    (5, 9900, 'BRL', 'counted', 3, 'none', NULL),
    -- Ten minutes ago; another currency; a test; the minute before the period.
    (6, 1100, 'BRL', 'counted', NULL, 'none', '2026-06-15 14:50+00'), (7, 7000, 'USD', 'counted', NULL, 'other_currency', '2026-06-05 12:00+00'),
    (8, 1300, 'BRL', 'test_mode', NULL, 'none', '2026-06-05 12:00+00'), (9, 1700, 'BRL', 'counted', NULL, 'none', '2026-05-17 02:59+00'),
    (10, 4000, 'BRL', 'counted', NULL, 'duplicate', '2026-06-06 12:00+00')
) AS p (n, amount, currency, books, lead, conversion, approved);
INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, lead_id, match_method, ads_refused, event_number,
    event_day, request_id, created_at, updated_at)
SELECT dataset_id, order_id, status, amount_minor, currency, '{}', lead_id, match_method, false,
    nullif(substr(order_id, 2)::bigint, 5), created_at::date, gen_random_uuid(), created_at, created_at
FROM payments WHERE order_id IN ('o1', 'o2', 'o5', 'o10');
-- The second's event stopped, the tenth's is ready.
INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by, retry_count, last_error,
    status, reason, failed_at)
VALUES (111111111111111, 2, '2026-06-02', '', 'Purchase', 'o2', '2026-06-09 12:00+00', 0, 'x', 'failed', 'refused', rastro_now());
INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
VALUES (111111111111111, '', 9, 11, '2026-06-06', '2026-06-20 12:00+00');

INSERT INTO payment_accounts (dataset_id, account_id, label, access_token_sealed) VALUES (111111111111111, 9001, 'Conta <1>', '');
INSERT INTO reconciliation_runs (dataset_id, run_id, account_id, kind, window_of, window_from, window_to, cursor_at, state, lease_until,
    remote_count, remote_minor, local_count, local_minor, after_minor, difference_minor, started_at, finished_at, problem)
OVERRIDING SYSTEM VALUE VALUES
    (111111111111111, 1, 9001, 'nightly', 'date_created', '2026-05-10 06:00+00', '2026-06-14 06:00+00', '2026-06-14 06:00+00', 'complete',
        rastro_now(), 1, 100, 1, 100, 100, 0, '2026-06-14 06:00+00', '2026-06-14 06:01+00', NULL),
    (111111111111111, 2, 9001, 'nightly', 'date_created', '2026-05-11 06:00+00', '2026-06-15 06:00+00', '2026-06-15 06:00+00', 'complete',
        rastro_now(), 5, 24000, 4, 22000, 24000, 2000, '2026-06-15 06:00+00', '2026-06-15 06:01+00', NULL),
    (111111111111111, 3, 9001, 'hourly', 'date_last_updated', '2026-06-15 12:00+00', '2026-06-15 13:00+00', '2026-06-15 13:00+00',
        'complete', rastro_now(), 2, 9000, 1, 4000, 4000, 5000, '2026-06-15 13:00+00', '2026-06-15 13:01+00', NULL),
    (111111111111111, 4, 9001, 'hourly', 'date_last_updated', '2026-06-15 13:00+00', '2026-06-15 14:00+00', '2026-06-15 13:00+00',
        'running', rastro_now(), 0, 0, 0, 0, 0, 0, '2026-06-15 14:00+00', NULL, 'no answer');
INSERT INTO reconciliation_findings (dataset_id, run_id, payment_id, finding, remote_minor, local_minor, action, found_at) VALUES
    (111111111111111, 2, 'p4', 'missing_local', 2000, 0, 'applied', '2026-06-15 06:01+00'),
    (111111111111111, 2, 'p3', 'unattributed', 3000, 3000, 'listed', '2026-06-15 06:01+00'),
    (111111111111111, 1, 'p3', 'unattributed', 3000, 3000, 'listed', '2026-06-14 06:01+00'),
    (111111111111111, 3, 'p9', 'amount_drift', 5000, 0, 'listed', '2026-06-15 13:01+00');
