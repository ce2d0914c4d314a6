-- alert_messages::waiting: what could not be sent for an hour is not sent any more, except that an alert is open of which nobody has
-- said that they know. Whoever of several recipients has it, has it.
-- $1 channel
UPDATE alert_messages m SET state = CASE WHEN old.was_sent THEN 'sent' ELSE 'failed' END,
    sent_at = CASE WHEN old.was_sent THEN rastro_now() END, bundle_id = CASE WHEN old.was_sent THEN m.message_id END
FROM (
    SELECT w.message_id, EXISTS (
        SELECT FROM alert_message_recipients r WHERE r.message_id = w.message_id AND r.was_sent
    ) AS was_sent
    FROM alert_messages w LEFT JOIN alerts a USING (alert_id)
    WHERE w.channel = $1 AND w.state = 'waiting' AND w.attempts > 0 AND w.created_at < rastro_now() - interval '1 hour'
        AND NOT (w.kind = 'opened' AND a.state = 'firing' AND a.acknowledged_at IS NULL)
) AS old
WHERE m.message_id = old.message_id
