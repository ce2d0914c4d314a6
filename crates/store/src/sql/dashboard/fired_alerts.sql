-- dashboard::fired_alerts: alerts that fired, open ones first. $1 dataset id or NULL, $2 one alert or NULL, $3 limit
SELECT a.alert_id, a.rule, a.dataset_id, a.group_key, a.state, a.severity, a.fired_at, a.resolved_at, a.value, a.worst_value,
    a.threshold, a.facts, a.reopened, a.muted_by, a.acknowledged_at, a.acknowledged_by, a.snoozed_until, a.snoozed_by,
    (SELECT count(*) FROM alert_messages m WHERE m.alert_id = a.alert_id AND m.state = 'sent') AS messages
FROM alerts a
WHERE a.state IN ('firing', 'resolved') AND ($2::bigint IS NULL OR a.alert_id = $2)
    AND ($1::bigint IS NULL OR a.dataset_id IS NULL OR a.dataset_id = $1)
ORDER BY (a.state = 'firing') DESC,
    CASE a.severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END * (a.state = 'firing')::int, a.fired_at DESC
LIMIT $3
