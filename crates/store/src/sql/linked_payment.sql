-- payment_aliases::linked: where a payment with two numbers is booked, and whether it is under the other one as well.
-- $1 dataset, $2 the number in the Payments API, $3 the order's
SELECT a.payment_id, a.booked_as, EXISTS (
        SELECT FROM payments p
        WHERE p.dataset_id = $1 AND p.payment_id = a.payment_id AND p.status_detail <> 'same_as_another'
    ) AS is_booked_twice
FROM payment_aliases a
WHERE a.dataset_id = $1 AND (a.payment_id = $2 AND a.booked_as = $3 OR a.payment_id = $3 AND a.booked_as = $2)
