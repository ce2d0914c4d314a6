-- revenue::purchase_places: where the Purchase of each approved payment of a period is, or why there is none. What was accepted here
-- and is in no queue any more has been delivered. A payment whose order's event was made of another payment is told of by none.
-- $1 dataset, $2 currency, $3 first day, $4 last day, $5 time zone
WITH paid AS (
    SELECT p.amount_minor, b.event_number, CASE WHEN p.conversion = 'duplicate' AND EXISTS (
            SELECT FROM payments o
            WHERE o.dataset_id = $1 AND o.order_id = p.order_id AND o.payment_id <> p.payment_id AND o.conversion = 'sent'
                AND o.status_detail <> 'same_as_another'
        ) THEN 'other_payment' ELSE p.conversion END AS conversion
    FROM payments p
    LEFT JOIN purchases b ON b.dataset_id = $1 AND b.order_id = p.order_id
    WHERE p.dataset_id = $1 AND p.currency = $2 AND p.books = 'counted' AND p.status_detail <> 'same_as_another'
        AND p.approved_at >= ($3::date::timestamp AT TIME ZONE $5) AND p.approved_at < (($4::date + 1)::timestamp AT TIME ZONE $5)
        AND p.approved_at < rastro_now() - interval '30 minutes'
), waiting AS MATERIALIZED (
    SELECT event_number, CASE status WHEN 'failed' THEN 'stopped' ELSE 'on_its_way' END AS place
    FROM meta_retry_queue WHERE dataset_id = $1
    UNION ALL
    SELECT n, 'on_its_way' FROM send_queue q CROSS JOIN LATERAL generate_series(q.first_number, q.last_number) AS n
    WHERE q.dataset_id = $1
    UNION ALL
    SELECT n, 'on_its_way' FROM send_batches s CROSS JOIN LATERAL unnest(s.event_numbers) AS n WHERE s.dataset_id = $1
)
SELECT CASE WHEN paid.conversion IN ('sent', 'duplicate') THEN coalesce(waiting.place, 'accepted') ELSE paid.conversion END AS place,
    count(*) AS payments, sum(paid.amount_minor)::bigint AS amount_minor
FROM paid LEFT JOIN waiting USING (event_number)
GROUP BY 1
ORDER BY payments DESC, place
