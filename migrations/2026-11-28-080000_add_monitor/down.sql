DROP TABLE dashboard_sessions, dataset_quality_keys, dataset_quality, dataset_quality_fetches, monitor_runs, event_accounts, alert_rules,
    alert_silences, alert_channels, alert_messages, alerts, event_counts_daily, counted_hours, request_counts, event_counts,
    monitor_settings;
DROP FUNCTION latency_limits();
-- The schema of before knows no such keys.
DELETE FROM api_keys WHERE kind = 'viewer';
ALTER TABLE api_keys DROP CONSTRAINT api_keys_kind_check,
    ADD CONSTRAINT api_keys_kind_check CHECK (kind IN ('publishable', 'secret', 'admin'));
ALTER TABLE api_keys DROP CONSTRAINT api_keys_scope,
    ADD CONSTRAINT api_keys_scope CHECK ((kind = 'admin') = (dataset_id IS NULL));
