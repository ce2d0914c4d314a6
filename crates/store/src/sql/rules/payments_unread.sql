-- alert rule payments_unread: seconds up to which an account's payments are known: since the end of the newest hourly comparison
-- that was made in whole, or since the account was entered. One that was blocked says what Mercado Pago said.
SELECT a.dataset_id, a.account_id::text AS group_key, age.seconds::double precision AS value, 'critical' AS severity,
    jsonb_build_object('dataset_name', d.name, 'name', coalesce(nullif(trim(a.label), ''), a.account_id::text),
        'seconds', age.seconds, 'error', a.blocked_reason) AS facts
FROM payment_accounts a JOIN datasets d USING (dataset_id)
CROSS JOIN LATERAL (
    SELECT max(r.window_to) AS until FROM reconciliation_runs r
    WHERE r.dataset_id = a.dataset_id AND r.account_id = a.account_id AND r.kind = 'hourly' AND r.state = 'complete'
) AS known
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM rastro_now() - coalesce(known.until, a.created_at))::bigint AS seconds
) AS age
WHERE age.seconds > 0
