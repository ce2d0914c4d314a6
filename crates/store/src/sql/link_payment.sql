-- payment_aliases::link: notes which of a payment's two numbers it is booked under, once for good. The other one then leads to it.
-- $1 dataset, $2 the number in the Payments API, $3 the order's, $4 whether the first is preferred where neither is booked
INSERT INTO payment_aliases (dataset_id, payment_id, booked_as, created_at)
SELECT $1, CASE WHEN by_number THEN $3 ELSE $2 END, CASE WHEN by_number THEN $2 ELSE $3 END, rastro_now()
FROM (
    SELECT CASE
        WHEN EXISTS (SELECT FROM payments WHERE dataset_id = $1 AND payment_id = $2) THEN true
        WHEN EXISTS (SELECT FROM payments WHERE dataset_id = $1 AND payment_id = $3) THEN false
        ELSE $4
    END AS by_number
) AS decided
-- An order's payment that is tried again may have another number each time: the later ones are payments of their own.
WHERE NOT EXISTS (
    SELECT FROM payment_aliases WHERE dataset_id = $1 AND (payment_id IN ($2, $3) OR booked_as IN ($2, $3))
)
