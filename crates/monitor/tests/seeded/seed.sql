-- One of everything that a page shows of a dataset. Whoever runs it puts the values in: of the dataset, its first number, a word that
-- is in every text which is no id, the ids of a request and of a trace, a person's fingerprint and address.

-- A minute and a half ago may be yesterday.
SELECT create_day_partition(parent, ((rastro_now() - interval '90 seconds') AT TIME ZONE 'UTC')::date) FROM unnest(day_tables()) AS parent;

INSERT INTO api_keys (dataset_id, kind, key_hash, label, shown, created_at)
VALUES (:dataset, 'secret', sha256('key of :dataset'), ':word chave', 'sk_...:word', rastro_now() - interval '9 days');

-- Delivered, two dead letters of one cause, and one that is ready.
INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source, value,
    currency, order_id, page_host, page_path, test_event_code, request_id, trace_id, span_id, payload)
SELECT :dataset, (t.at AT TIME ZONE 'UTC')::date, :first + n, 'Purchase', 'pedido-' || :first + n, t.at, t.at, t.at + interval '7 days', 'website',
    777.77, 'BRL', 'pedido-' || :first + n, ':word.exemplo.com.br', '/:word', '', ':request', ':trace', 'a3ce929d0e0e4736',
    json_build_object('event_name', 'Purchase', 'event_time', extract(epoch FROM t.at)::bigint, 'event_id', 'pedido-' || :first + n,
        'action_source', 'website', 'event_source_url', 'https://:word.exemplo.com.br/:word',
        'user_data', json_build_object('em', json_build_array(':hash'), 'client_ip_address', ':ip', 'client_user_agent', 'Mozilla/5.0 (X11)'),
        'custom_data', json_build_object('value', 777.77, 'currency', 'BRL', 'order_id', 'pedido-' || :first + n))::text
FROM generate_series(1, 4) AS n CROSS JOIN (SELECT rastro_now() - interval '90 seconds' AS at) AS t;
INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, ads_refused, request_id, event_number, event_day,
    created_at, updated_at)
SELECT :dataset, order_id, 'approved', 77777, 'BRL', '{}', false, request_id, event_number, day, received_at, received_at
FROM events WHERE dataset_id = :dataset AND event_number = :first + 1;
INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome, http_status,
    error_code, error_subcode, error_message, fbtrace_id, events_received, event_count, event_numbers, first_number, last_number,
    first_day, last_day)
SELECT :dataset, day, event_number, 1, '', received_at + interval '1 second', 200, CASE event_number - :first WHEN 1 THEN 'delivered' ELSE 'refused' END,
    CASE event_number - :first WHEN 1 THEN 200 ELSE 400 END, CASE event_number - :first WHEN 1 THEN NULL ELSE 100 END,
    CASE event_number - :first WHEN 1 THEN NULL ELSE 2804019 END, CASE event_number - :first WHEN 1 THEN NULL ELSE ':word: id is missing' END,
    'Ax' || event_number || 'fbtrace', CASE event_number - :first WHEN 1 THEN 1 END, 1, ARRAY[event_number], event_number, event_number, day, day
FROM events WHERE dataset_id = :dataset AND event_number <= :first + 3;
INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by, retry_count, last_error,
    error_code, error_subcode, status, reason, failed_at)
SELECT :dataset, event_number, day, '', event_name, event_id, send_by, 0, 'HTTP 400, code 100: :word: id is missing', 100, 2804019, 'failed',
    'refused', received_at + interval '1 second'
FROM events WHERE dataset_id = :dataset AND event_number BETWEEN :first + 2 AND :first + 3;
INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
SELECT :dataset, '', event_number, event_number, day, send_by FROM events WHERE dataset_id = :dataset AND event_number = :first + 4;
INSERT INTO event_outcomes (dataset_id, day, outcome, event_number, event_name, event_id, request_id, detail, created_at)
SELECT :dataset, day, outcome, number, 'Purchase', CASE outcome WHEN 'refused' THEN NULL ELSE event_id END, ':request', detail, received_at
FROM events CROSS JOIN (VALUES ('duplicate', :first + 1, NULL), ('refused', NULL, '/:word'), ('retried', :first + 1, 'retried by :word'))
    AS o (outcome, number, detail)
WHERE dataset_id = :dataset AND event_number = :first + 1;

INSERT INTO alerts (rule, dataset_id, state, severity, pending_since, fired_at, resolved_at, last_true_at, value, worst_value,
    threshold, facts)
SELECT 'dead_letters', :dataset, state, 'critical', rastro_now() - interval '2 hours', rastro_now() - interval '2 hours',
    CASE state WHEN 'resolved' THEN rastro_now() END, rastro_now() - interval '1 minute', 2, 2, 0,
    json_build_object('dataset_name', ':word loja', 'count', 2, 'reason', 'refused', 'code', 100)
FROM unnest(ARRAY['firing', 'resolved']) AS state;
INSERT INTO alert_messages (alert_id, kind, sequence, channel, severity, facts, state, created_at, next_attempt_at, last_error)
SELECT alert_id, 'opened', 1, 'slack', severity, facts, 'failed', fired_at, fired_at, ':word was not reached' FROM alerts WHERE dataset_id = :dataset;
INSERT INTO alert_silences (rule, dataset_id, starts_at, ends_at, created_at, created_by, reason)
VALUES ('latency', :dataset, rastro_now() - interval '1 hour', rastro_now() + interval '1 hour', rastro_now(), ':word', ':word mudança');

INSERT INTO circuit_breakers (dataset_id, state, generation, since, open_count, probe_successes, probe_failures, manual, manual_until,
    note, updated_at)
VALUES (:dataset, 'closed', 3, rastro_now() - interval '1 day', 0, 0, 0, 'forced_closed', rastro_now() + interval '1 hour', ':word: nota', rastro_now());
INSERT INTO breaker_transitions (dataset_id, changed_at, generation, state, reason, manual, note)
VALUES (:dataset, rastro_now() - interval '2 days', 1, 'open', 'errors', 'automatic', ''),
    (:dataset, rastro_now() - interval '47 hours', 2, 'closed', NULL, 'automatic', ''),
    (:dataset, rastro_now() - interval '1 hour', 3, 'closed', NULL, 'forced_closed', ':word: nota');

INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
SELECT :dataset, date_trunc('hour', rastro_now()) - interval '30 hours', 'Purchase', outcome, 7770 FROM unnest(ARRAY['accepted', 'success', 'error']) AS outcome;
INSERT INTO request_counts (dataset_id, hour, bucket, requests, latency_ms)
VALUES (:dataset, date_trunc('hour', rastro_now()) - interval '30 hours', 5, 7770, 7770 * 220);
INSERT INTO event_counts_daily (dataset_id, day, event_name, outcome, events)
SELECT dataset_id, (hour AT TIME ZONE 'America/Sao_Paulo')::date, event_name, outcome, events FROM event_counts WHERE dataset_id = :dataset;

INSERT INTO dataset_quality (dataset_id, day, event_name, score, estimate, freshness, fetched_at)
VALUES (:dataset, (rastro_now() AT TIME ZONE 'America/Sao_Paulo')::date, ':wordEvent', 5.1, 5.3, 'real_time', rastro_now() - interval '2 hours');
INSERT INTO dataset_quality_keys (dataset_id, day, event_name, identifier, coverage_percent)
SELECT dataset_id, day, event_name, 'phone', 40 FROM dataset_quality WHERE dataset_id = :dataset;
INSERT INTO dataset_quality_fetches (dataset_id, state, since, asked_at, next_at)
VALUES (:dataset, 'readable', rastro_now() - interval '9 days', rastro_now() - interval '2 hours', rastro_now() + interval '22 hours');

INSERT INTO ad_spend (dataset_id, channel, account_id, day, campaign_key, campaign_name, name_key, currency, cost_micros, source, updated_at)
VALUES (:dataset, 'meta', '', current_date - 9, '120', ':word campanha', '', 'BRL', 777000000, 'csv', rastro_now());
INSERT INTO campaign_daily (dataset_id, day, model, channel, campaign_key, currency, campaign_name, paid, spend_micros, impressions,
    clicks, claimed_purchases, claimed_micros, leads_millionths, qualified_millionths, orders_millionths, new_customers_millionths,
    gross_minor, net_minor, fee_minor)
VALUES (:dataset, current_date - 9, 'linear', 'meta', '120', 'BRL', ':word campanha', true, 777000000, 1000, 50, 3, 300000000, 10000000, 4000000,
    3000000, 2000000, 77700, 77700, 2000);
