-- dashboard::event_passport, what else happened to it. $1 dataset id, $2 day of receipt, $3 number
SELECT o.outcome, o.detail, k.label AS key_label, o.created_at, o.event_count
FROM event_outcomes o LEFT JOIN api_keys k ON k.key_id = o.key_id
WHERE o.dataset_id = $1 AND o.day >= $2 AND o.event_number = $3
ORDER BY o.created_at, o.outcome_id LIMIT 200
