-- dashboard::error_causes: attempts that failed, by cause. $1 dataset id or NULL, $2 since
SELECT outcome, http_status, error_code, error_subcode, sum(event_count)::bigint AS events FROM send_attempts
WHERE day >= ($2::timestamptz AT TIME ZONE 'UTC')::date AND attempted_at >= $2 AND outcome <> 'delivered'
    AND ($1::bigint IS NULL OR dataset_id = $1)
GROUP BY outcome, http_status, error_code, error_subcode ORDER BY events DESC LIMIT 12
