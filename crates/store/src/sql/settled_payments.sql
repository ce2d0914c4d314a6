-- settlements::told: what reports say of payments, and what the books do.
-- $1 dataset, $2 account, $3 payments
WITH told AS (
    SELECT payment_id, sum(gross_minor) FILTER (WHERE kind = 'sale')::bigint AS sold_minor,
        sum(gross_minor - net_minor)::bigint AS fee_minor, max(settled_at) AS settled_at,
        CASE WHEN count(*) = count(currency) AND min(currency) = max(currency) THEN min(currency) END AS currency
    FROM payment_settlements
    WHERE dataset_id = $1 AND account_id = $2 AND payment_id = ANY($3)
    GROUP BY payment_id
), booked AS (
    SELECT payment_id, sum(amount_minor) FILTER (WHERE kind = 'approval')::bigint AS approved_minor,
        sum(fee_minor)::bigint AS fee_minor, count(*) FILTER (WHERE movement_key LIKE 'settled:%') AS settled
    FROM purchase_movements WHERE dataset_id = $1 AND payment_id = ANY($3)
    GROUP BY payment_id
)
SELECT told.payment_id, told.sold_minor, told.fee_minor, told.settled_at, told.currency, p.books, p.currency AS own_currency,
    booked.approved_minor, coalesce(booked.fee_minor, 0) AS booked_fee_minor, coalesce(booked.settled, 0) AS settled
FROM told
LEFT JOIN payments p ON p.dataset_id = $1 AND p.payment_id = told.payment_id
LEFT JOIN booked ON booked.payment_id = told.payment_id
ORDER BY told.payment_id
