-- settlements::settle_due: payments of which reports told, lately, another fee than is booked.
-- $1 dataset, $2 account
SELECT told.payment_id
FROM (
    SELECT payment_id, sum(gross_minor - net_minor) AS fee_minor
    FROM payment_settlements
    WHERE dataset_id = $1 AND account_id = $2 AND payment_id IN (
        SELECT payment_id FROM payment_settlements
        WHERE dataset_id = $1 AND account_id = $2 AND settled_at > rastro_now() - interval '90 days'
    )
    GROUP BY payment_id
    HAVING bool_or(kind = 'sale')
) AS told
LEFT JOIN payment_aliases a ON a.dataset_id = $1 AND a.payment_id = told.payment_id
JOIN (
    SELECT payment_id, sum(fee_minor) AS fee_minor
    FROM purchase_movements WHERE dataset_id = $1
    GROUP BY payment_id
    HAVING bool_or(kind = 'approval')
) AS booked ON booked.payment_id = coalesce(a.booked_as, told.payment_id) AND booked.fee_minor <> told.fee_minor
ORDER BY told.payment_id LIMIT 5000
