-- campaign_daily::make_day: the money of a day as it came and went; of orders for which none moved, on the day they were
-- placed. A payment that was booked under two numbers by mistake came once.
-- $1 dataset, $2 day, $3 time zone
INSERT INTO revenue_daily (dataset_id, day, currency, gross_minor, net_minor, fee_minor)
SELECT $1, $2, currency, sum(gross_minor)::bigint, sum(net_minor)::bigint, sum(fee_minor)::bigint
FROM (
    SELECT m.currency,
        CASE WHEN m.kind = 'approval' AND p.status_detail <> 'same_as_another' THEN m.amount_minor ELSE 0 END AS gross_minor,
        m.amount_minor AS net_minor, m.fee_minor
    FROM purchase_movements m
    JOIN payments p ON p.dataset_id = m.dataset_id AND p.payment_id = m.payment_id
    WHERE m.dataset_id = $1 AND p.books = 'counted'
        AND m.occurred_at >= ($2::date::timestamp AT TIME ZONE $3) AND m.occurred_at < (($2::date + 1)::timestamp AT TIME ZONE $3)
    UNION ALL
    SELECT o.currency, o.gross_minor, o.net_minor, o.fee_minor
    FROM credited_orders o
    WHERE o.dataset_id = $1 AND o.day = $2 AND NOT EXISTS (
        SELECT FROM payments p JOIN purchase_movements m ON m.dataset_id = p.dataset_id AND m.payment_id = p.payment_id
        WHERE p.dataset_id = $1 AND p.order_id = o.order_id AND p.books = 'counted'
    )
) AS money
GROUP BY currency
HAVING sum(gross_minor) <> 0 OR sum(net_minor) <> 0 OR sum(fee_minor) <> 0
