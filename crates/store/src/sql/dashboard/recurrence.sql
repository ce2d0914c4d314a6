-- dashboard::recurrence: attempts of the last hour that failed in the same way. $1 dataset id, $2 code, $3 subcode, $4 reason
SELECT coalesce(sum(event_count) FILTER (
        WHERE outcome = CASE $4 WHEN 'refused' THEN 'refused' ELSE 'unavailable' END
            AND error_code IS NOT DISTINCT FROM $2 AND error_subcode IS NOT DISTINCT FROM $3
    ), 0)::bigint AS recent,
    coalesce(sum(event_count) FILTER (WHERE outcome = 'delivered'), 0)::bigint AS succeeded
FROM send_attempts
WHERE dataset_id = $1 AND day >= ((rastro_now() - interval '1 hour') AT TIME ZONE 'UTC')::date
    AND attempted_at >= rastro_now() - interval '1 hour'
