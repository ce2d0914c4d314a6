-- attribution_credits::days_due: days of which a sum may have changed: those of the orders, of their money, and of every other order
-- of the same people, since which of them is the first may be another now.
-- $1 dataset, $2 days, $3 customers, $4 orders, $5 time zone
INSERT INTO campaign_days_due (dataset_id, day)
SELECT $1, day FROM (
    SELECT unnest($2::date[]) AS day
    UNION
    SELECT day FROM credited_orders WHERE dataset_id = $1 AND customer_id = ANY($3)
    UNION
    SELECT (m.occurred_at AT TIME ZONE $5)::date
    FROM payments p
    JOIN purchase_movements m ON m.dataset_id = p.dataset_id AND m.payment_id = p.payment_id
    WHERE p.dataset_id = $1 AND p.order_id = ANY($4)
) AS days
ORDER BY day
-- Locks the row that is there: whoever makes the day now waits for us, and sees what we changed.
ON CONFLICT (dataset_id, day) DO UPDATE SET day = excluded.day
