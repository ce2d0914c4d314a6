-- alert rule reconciliation: approved payments of more than an hour ago whose order has no purchase, by the same reasons as the
-- finding conversion_gap of a comparison. Where the site records its orders itself, the order has to be among them. A person who
-- refused, a sale that was undone first and a payment in another currency are no gap.
-- $1 window in seconds
SELECT d.dataset_id, '' AS group_key, sum(gap.payments)::double precision AS value, 'critical' AS severity,
    jsonb_build_object('dataset_name', d.name, 'count', sum(gap.payments), 'window_seconds', $1,
        'money', jsonb_agg(jsonb_build_object('currency', gap.currency, 'amount', gap.amount::text) ORDER BY gap.amount DESC)) AS facts
FROM datasets d JOIN (
    SELECT a.dataset_id, p.currency, count(*) AS payments,
        major_units(sum(p.amount_minor), p.currency)::numeric(20, 2) AS amount
    FROM payment_accounts a JOIN payments p ON p.dataset_id = a.dataset_id AND p.account_id = a.account_id
        -- By its index; a boleto is paid weeks after it was made.
        AND p.created_at > rastro_now() - $1 * interval '1 second' - interval '60 days'
    WHERE p.books = 'counted' AND p.status IN ('approved', 'in_mediation')
        AND p.approved_at > rastro_now() - $1 * interval '1 second' AND p.approved_at < rastro_now() - interval '1 hour'
        AND (p.conversion IN ('none', 'too_old', 'invalid') OR (p.conversion = 'not_verified' AND NOT EXISTS (
            SELECT FROM purchases o WHERE o.dataset_id = p.dataset_id AND o.order_id = p.order_id
        )))
    GROUP BY a.dataset_id, p.currency
) AS gap USING (dataset_id)
GROUP BY d.dataset_id, d.name
