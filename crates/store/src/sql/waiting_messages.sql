-- alert_messages::waiting: what may be sent now, oldest first. That an alert is open is said with what is true of it now: it may
-- have waited for hours.
-- $1 channel
SELECT m.message_id, m.alert_id, m.kind, m.sequence, m.severity,
    CASE WHEN m.kind = 'opened' AND a.state = 'firing' THEN a.facts ELSE m.facts END AS facts, m.created_at, m.attempts, a.rule,
    a.dataset_id, a.fired_at, a.resolved_at, a.worst_value, (
        -- From a little before it was noticed until it was over.
        SELECT count(*) FROM datasets d JOIN meta_retry_queue r USING (dataset_id)
        WHERE m.kind = 'resolved' AND (a.dataset_id IS NULL OR d.dataset_id = a.dataset_id) AND r.status = 'failed'
            AND r.reason <> 'set_aside' AND r.failed_at BETWEEN a.pending_since - interval '10 minutes' AND a.resolved_at
    ) AS stopped, coalesce(a.reopened >= 2, false) AS is_unstable,
    o.bundle_id AS opened_bundle, o.provider_id AS opened_provider_id,
    ARRAY(SELECT r.recipient FROM alert_message_recipients r WHERE r.message_id = m.message_id AND r.was_sent ORDER BY 1) AS served,
    ARRAY(SELECT r.recipient FROM alert_message_recipients r WHERE r.message_id = m.message_id AND NOT r.was_sent ORDER BY 1) AS refused
FROM alert_messages m LEFT JOIN alerts a USING (alert_id)
LEFT JOIN LATERAL (
    SELECT s.bundle_id, s.provider_id FROM alert_messages s
    WHERE s.alert_id = m.alert_id AND s.channel = m.channel AND s.kind = 'opened' AND s.state = 'sent'
    ORDER BY s.sequence DESC LIMIT 1
) AS o ON true
WHERE m.channel = $1 AND m.state = 'waiting' AND m.next_attempt_at <= rastro_now()
ORDER BY m.message_id LIMIT 1000
