-- dataset_quality::recent_payloads: a dataset's newest web events of 48 hours, as they go to Meta.
-- $1 dataset id, $2 at most so many
SELECT event_name, payload FROM events
WHERE dataset_id = $1 AND day >= ((rastro_now() - interval '48 hours') AT TIME ZONE 'UTC')::date
    AND received_at > rastro_now() - interval '48 hours' AND action_source = 'website' AND payload <> ''
ORDER BY event_number DESC LIMIT $2
