-- alert rule payments_odd: payments that a person has to look at, by what is odd about them and by the day of the dataset's zone on
-- which it became so: each day's are told, also while those of another day still are.
-- chargeback: booked within the window. mediation: a dispute that is still open. paid_twice: approved though another one had paid its
-- order. fraud_alert: Mercado Pago says not to deliver. missing_local: no webhook told of it, though it was made after its account was
-- entered here; a few of these are no trouble.
-- $1 window in seconds, $2 how many of missing_local a day are no trouble
WITH odd AS (
    SELECT p.dataset_id, 'chargeback' AS what, p.payment_id, p.currency, -m.amount_minor AS amount_minor, m.recorded_at AS at
    FROM payments p JOIN purchase_movements m ON m.dataset_id = p.dataset_id AND m.payment_id = p.payment_id
    WHERE p.status = 'charged_back' AND p.books = 'counted' AND p.updated_at > rastro_now() - $1 * interval '1 second' - interval '60 days'
        AND m.kind = 'chargeback' AND m.recorded_at > rastro_now() - $1 * interval '1 second'
    UNION ALL
    SELECT p.dataset_id, 'mediation', p.payment_id, p.currency, p.amount_minor - p.refunded_minor, p.updated_at
    FROM payments p
    WHERE p.status = 'in_mediation' AND p.books = 'counted' AND p.updated_at > rastro_now() - interval '60 days'
    UNION ALL
    SELECT p.dataset_id, 'paid_twice', p.payment_id, p.currency, p.amount_minor - p.refunded_minor,
        greatest(p.approved_at, p.first_seen_at)
    FROM payment_accounts a JOIN payments p ON p.dataset_id = a.dataset_id AND p.account_id = a.account_id
        -- By its index; a boleto is paid weeks after it was made.
        AND p.created_at > rastro_now() - $1 * interval '1 second' - interval '60 days'
    WHERE p.books = 'counted' AND p.status IN ('approved', 'in_mediation')
        AND greatest(p.approved_at, p.first_seen_at) > rastro_now() - $1 * interval '1 second'
        AND EXISTS (
            SELECT FROM payments o
            WHERE o.dataset_id = p.dataset_id AND o.order_id = p.order_id AND o.books = 'counted'
                AND o.status IN ('approved', 'in_mediation') AND (o.approved_at, o.payment_id) < (p.approved_at, p.payment_id)
        )
    UNION ALL
    SELECT DISTINCT ON (n.dataset_id, n.resource_id) n.dataset_id, 'fraud_alert', n.resource_id, p.currency,
        p.amount_minor - p.refunded_minor, n.received_at
    FROM payment_notifications n LEFT JOIN payments p ON p.dataset_id = n.dataset_id AND p.payment_id = n.resource_id
    WHERE n.topic = 'fraud_alert' AND n.source = 'webhook' AND n.received_at > rastro_now() - $1 * interval '1 second'
    UNION ALL
    SELECT p.dataset_id, 'missing_local', p.payment_id, p.currency, p.amount_minor, p.first_seen_at
    FROM payment_accounts a JOIN payments p ON p.dataset_id = a.dataset_id AND p.account_id = a.account_id
        AND p.created_at > rastro_now() - $1 * interval '1 second' - interval '60 days' AND p.created_at > a.created_at
    WHERE p.books = 'counted' AND p.discovered_by = 'sweep' AND p.first_seen_at > rastro_now() - $1 * interval '1 second'
), sums AS (
    SELECT o.dataset_id, d.name, o.what, (o.at AT TIME ZONE d.time_zone)::date AS day, o.currency, count(*) AS payments,
        major_units(sum(o.amount_minor), o.currency)::numeric(20, 2) AS amount
    FROM odd o JOIN datasets d USING (dataset_id)
    GROUP BY o.dataset_id, d.name, o.what, day, o.currency
)
SELECT dataset_id, what || '/' || day AS group_key, sum(payments)::double precision AS value, 'warning' AS severity,
    jsonb_build_object('dataset_name', name, 'reason', what, 'day', day, 'count', sum(payments), 'window_seconds', $1,
        'money', coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'amount', amount::text) ORDER BY amount DESC)
            FILTER (WHERE currency IS NOT NULL), '[]')) AS facts
FROM sums
GROUP BY dataset_id, name, what, day
HAVING what <> 'missing_local' OR sum(payments) > $2
