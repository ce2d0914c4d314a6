-- payments::convert: whether an order has its event, or awaits it because nothing could be made of it when it was approved.
-- $1 dataset, $2 the order's number
SELECT event_number IS NOT NULL AS has_event,
    event_number IS NULL AND status = 'approved' AND became.anything_invalid AND NOT became.anything_final AS awaits_event
FROM purchases AS order_of
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(conversion = 'invalid'), false) AS anything_invalid,
        coalesce(bool_or(conversion IN ('sent', 'duplicate', 'withheld')), false) AS anything_final
    FROM payments WHERE dataset_id = $1 AND order_id = order_of.order_id
) AS became
WHERE dataset_id = $1 AND purchase_id = $2
