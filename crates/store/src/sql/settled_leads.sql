-- lead_values::campaigns: the next leads that have had the time to buy, and what they bought. An order is of one lead: the one
-- that its payments are surest of, else the one that it was recorded with.
-- $1 dataset, $2 currency, $3 the last lead before, $4 how many
SELECT l.lead_id, l.created_at, count(bought.order_id) AS orders, coalesce(sum(bought.net_minor), 0)::bigint AS net_minor
FROM leads l
LEFT JOIN LATERAL (
    SELECT credited.order_id, credited.net_minor
    FROM (
        SELECT order_id FROM purchases WHERE dataset_id = $1 AND lead_id = l.lead_id
        UNION
        SELECT order_id FROM payments WHERE dataset_id = $1 AND lead_id = l.lead_id AND books = 'counted'
    ) AS own
    JOIN credited_orders credited ON credited.dataset_id = $1 AND credited.order_id = own.order_id
    WHERE credited.gross_minor > 0 AND credited.currency = $2 AND l.lead_id = coalesce(
        (SELECT p.lead_id FROM payments p
            WHERE p.dataset_id = $1 AND p.order_id = own.order_id AND p.books = 'counted' AND p.lead_id IS NOT NULL
            ORDER BY p.match_confidence DESC, p.payment_id LIMIT 1),
        l.lead_id
    )
) AS bought ON true
WHERE l.dataset_id = $1 AND l.lead_id > $3
    AND l.created_at >= rastro_now() - interval '180 days' AND l.created_at < rastro_now() - interval '14 days'
GROUP BY l.lead_id, l.created_at
ORDER BY l.lead_id LIMIT $4
