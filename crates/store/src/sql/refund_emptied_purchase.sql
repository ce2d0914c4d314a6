-- purchases::refund_emptied: nothing is left of what an order's payments brought.
-- $1 dataset, $2 order
UPDATE purchases SET status = 'refunded', updated_at = rastro_now()
WHERE dataset_id = $1 AND order_id = $2 AND status = 'approved' AND 0 >= (
    SELECT coalesce(sum(m.amount_minor), 0) FROM payments AS p
    JOIN purchase_movements AS m ON m.dataset_id = p.dataset_id AND m.payment_id = p.payment_id
    WHERE p.dataset_id = $1 AND p.order_id = $2
)
