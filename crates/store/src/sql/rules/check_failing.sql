-- alert rule check_failing: runs in a row in which a rule could not be evaluated.
SELECT NULL::bigint AS dataset_id, rule AS group_key, failed_runs::double precision AS value, 'warning' AS severity,
    jsonb_build_object('name', rule, 'error', left(last_error, 200)) AS facts
FROM alert_rules
WHERE failed_runs > 0
