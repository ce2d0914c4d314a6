-- alert rule conservation: events of a closed day that were nowhere, twice in a row.
SELECT NULL::bigint AS dataset_id, to_char(a.day, 'YYYY-MM-DD') AS group_key, abs(a.missing)::double precision AS value,
    'critical' AS severity, jsonb_build_object('day', a.day, 'count', a.missing) AS facts
FROM event_accounts a
WHERE a.missing <> 0 AND a.checks >= 2 AND a.day > (rastro_now() AT TIME ZONE 'UTC')::date - 8
