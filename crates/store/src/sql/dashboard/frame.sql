-- dashboard::frame_facts: what stands around every page. $1 dataset id or NULL
SELECT rastro_now() AS now,
    (SELECT count(*) FROM meta_retry_queue WHERE status = 'failed' AND ($1::bigint IS NULL OR dataset_id = $1)) AS dead_letters,
    (SELECT max(finished_at) FROM monitor_runs WHERE ok) AS checked_at,
    (SELECT min(hour) FROM counted_hours) AS counted_since,
    last.history_days, last.history_counted,
    silence.silences, silence.silenced_until
FROM (SELECT 1) AS one
LEFT JOIN LATERAL (
    SELECT history_days, history_counted FROM monitor_runs ORDER BY run_id DESC LIMIT 1
) AS last ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS silences, max(ends_at) AS silenced_until FROM alert_silences
    WHERE starts_at <= rastro_now() AND ends_at > rastro_now()
        AND ($1::bigint IS NULL OR dataset_id IS NULL OR dataset_id = $1)
) AS silence
