-- attribution_credits::page_of_orders: the next numbers of orders, of payments and of what was recorded.
-- $1 dataset, $2 the last one before, $3 how many
SELECT order_id FROM (
    (SELECT DISTINCT order_id FROM payments WHERE dataset_id = $1 AND order_id > $2 ORDER BY order_id LIMIT $3)
    UNION
    (SELECT order_id FROM purchases WHERE dataset_id = $1 AND order_id > $2 ORDER BY order_id LIMIT $3)
) AS orders
ORDER BY order_id LIMIT $3
