-- alert_messages::revive: a channel that was switched off has another configuration. That alerts are open, which was not said
-- because of it, is said now.
-- $1 channel, $2 its configuration's hash
WITH configured AS (
    DELETE FROM alert_channels WHERE channel = $1 AND config_hash <> $2 RETURNING channel
), revived AS (
    UPDATE alert_messages m SET state = 'waiting', attempts = 0, next_attempt_at = rastro_now()
    FROM configured JOIN alerts a ON a.state = 'firing' AND a.acknowledged_at IS NULL
    WHERE m.alert_id = a.alert_id AND m.channel = configured.channel AND m.kind = 'opened' AND m.sequence = a.openings
        AND m.state = 'failed'
    RETURNING m.message_id
)
DELETE FROM alert_message_recipients r USING revived WHERE r.message_id = revived.message_id AND NOT r.was_sent
