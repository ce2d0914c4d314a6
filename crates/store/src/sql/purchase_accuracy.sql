-- revenue::purchase_accuracy. A payment whose order's event was made of another payment is not sent. $1 dataset, $2 first day, $3 last day, $4 time zone
SELECT count(*) AS approved, count(*) FILTER (WHERE conversion = 'sent' OR conversion = 'duplicate' AND NOT EXISTS (
        SELECT FROM payments o
        WHERE o.dataset_id = $1 AND o.order_id = p.order_id AND o.payment_id <> p.payment_id AND o.conversion = 'sent'
            AND o.status_detail <> 'same_as_another'
    )) AS sent,
    count(*) FILTER (WHERE conversion = 'withheld') AS withheld
FROM payments p
WHERE dataset_id = $1 AND books = 'counted' AND status_detail <> 'same_as_another' AND approved_at >= ($2::date::timestamp AT TIME ZONE $4)
    AND approved_at < (($3::date + 1)::timestamp AT TIME ZONE $4) AND approved_at < rastro_now() - interval '30 minutes'
