-- settlements::told: what reports say of payments, and what the books do, under the numbers that they are booked under.
-- $1 dataset, $2 account, $3 payments, by their numbers in reports
WITH rows AS (
    SELECT coalesce(a.booked_as, s.payment_id) AS payment_id, s.kind, s.gross_minor, s.net_minor, s.settled_at, s.currency
    FROM payment_settlements s
    LEFT JOIN payment_aliases a ON a.dataset_id = $1 AND a.payment_id = s.payment_id
    WHERE s.dataset_id = $1 AND s.account_id = $2 AND s.payment_id = ANY($3)
), told AS (
    SELECT payment_id, sum(gross_minor) FILTER (WHERE kind = 'sale')::bigint AS sold_minor,
        sum(gross_minor - net_minor)::bigint AS fee_minor, max(settled_at) AS settled_at,
        CASE WHEN count(*) = count(currency) AND min(currency) = max(currency) THEN min(currency) END AS currency
    FROM rows
    GROUP BY payment_id
), booked AS (
    SELECT payment_id, sum(amount_minor) FILTER (WHERE kind = 'approval')::bigint AS approved_minor,
        sum(fee_minor)::bigint AS fee_minor, count(*) FILTER (WHERE movement_key LIKE 'settled:%') AS settled
    FROM purchase_movements WHERE dataset_id = $1 AND payment_id = ANY(ARRAY(SELECT payment_id FROM told))
    GROUP BY payment_id
)
SELECT told.payment_id, told.sold_minor, told.fee_minor, told.settled_at, told.currency, p.books, p.currency AS own_currency,
    booked.approved_minor, coalesce(booked.fee_minor, 0) AS booked_fee_minor, coalesce(booked.settled, 0) AS settled
FROM told
LEFT JOIN payments p ON p.dataset_id = $1 AND p.payment_id = told.payment_id
LEFT JOIN booked ON booked.payment_id = told.payment_id
ORDER BY told.payment_id
