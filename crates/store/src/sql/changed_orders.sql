-- attribution_credits::changed_orders: orders that were recorded, or of which money was booked, since a time.
-- $1 dataset, $2 since
SELECT order_id FROM purchases WHERE dataset_id = $1 AND updated_at >= $2
UNION
SELECT p.order_id FROM purchase_movements m
JOIN payments p ON p.dataset_id = m.dataset_id AND p.payment_id = m.payment_id
WHERE m.dataset_id = $1 AND m.recorded_at >= $2
ORDER BY order_id
