-- dashboard::refusals: what was refused at the door, by cause: event name, field and key. No values were kept.
-- $1 dataset ids, $2 since, $3 request id or NULL, $4 limit
SELECT o.dataset_id, o.event_name, coalesce(o.detail, '') AS field, k.label AS key_label,
    sum(o.event_count)::bigint AS events, (array_agg(o.request_id ORDER BY o.created_at DESC))[1] AS request_id,
    max(o.created_at) AS last_at
FROM event_outcomes o LEFT JOIN api_keys k ON k.key_id = o.key_id
WHERE o.outcome = 'refused' AND o.dataset_id = ANY ($1) AND o.created_at >= $2 AND o.day >= ($2 AT TIME ZONE 'UTC')::date
    AND ($3::uuid IS NULL OR o.request_id = $3)
GROUP BY o.dataset_id, o.event_name, o.detail, k.label
ORDER BY last_at DESC LIMIT $4
