-- payment_aliases::link: the order's number of a payment is the one it is booked under, where only that one is.
-- $1 dataset, $2 the number in the Payments API, $3 the order's
INSERT INTO payment_aliases (dataset_id, payment_id, booked_as, created_at)
SELECT $1, $2, $3, rastro_now()
WHERE EXISTS (SELECT FROM payments WHERE dataset_id = $1 AND payment_id = $3)
    AND NOT EXISTS (SELECT FROM payments WHERE dataset_id = $1 AND payment_id = $2)
ON CONFLICT DO NOTHING
