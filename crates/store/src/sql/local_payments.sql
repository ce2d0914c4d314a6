-- reconciliation::local_payments: what we have of payments, and what is booked of them.
-- $1 dataset, $2 payment ids
SELECT p.payment_id, p.status, p.status_detail, p.books, p.currency, p.amount_minor, p.refunded_minor, p.net_minor, p.fee_minor,
    p.updated_at, p.told_by_order, p.conversion, p.lead_id IS NOT NULL AS has_lead,
    coalesce(
        (SELECT sum(m.amount_minor) FROM purchase_movements AS m
            WHERE m.dataset_id = p.dataset_id AND m.payment_id = p.payment_id), 0
    )::bigint AS booked_minor,
    (SELECT count(*) FROM payments AS o
        WHERE o.dataset_id = p.dataset_id AND o.order_id = p.order_id AND o.books = 'counted'
            AND o.status IN ('approved', 'in_mediation')) AS paid_of_order,
    (SELECT string_agg(DISTINCT o.currency, ', ' ORDER BY o.currency) FROM payments AS o
        JOIN purchase_movements AS m ON m.dataset_id = o.dataset_id AND m.payment_id = o.payment_id
        WHERE o.dataset_id = p.dataset_id AND o.order_id = p.order_id AND o.books = 'counted'
            AND o.currency <> p.currency) AS other_currencies,
    q.reason AS dead_letter
FROM payments AS p
LEFT JOIN purchases AS o ON o.dataset_id = p.dataset_id AND o.order_id = p.order_id
LEFT JOIN meta_retry_queue AS q ON q.dataset_id = p.dataset_id AND q.event_number = o.event_number AND q.status = 'failed'
WHERE p.dataset_id = $1 AND p.payment_id = ANY($2)
