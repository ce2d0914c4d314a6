-- revenue::purchase_places: where the Purchase of each approved payment of a period is, or why there is none. What was accepted here
-- and is in no queue any more has been delivered. Where the site tells of its orders itself (not_verified), its order says so.
-- A payment whose order's event was made of another payment is told of by none.
-- $1 dataset, $2 currency, $3 first day, $4 last day, $5 time zone
WITH RECURSIVE lanes AS (
    -- Of the queue, one after the other by its key: there are few, and runs of events may be many.
    SELECT min(test_event_code) AS code FROM send_queue WHERE dataset_id = $1
    UNION ALL
    SELECT (SELECT min(q.test_event_code) FROM send_queue q WHERE q.dataset_id = $1 AND q.test_event_code > lanes.code)
    FROM lanes WHERE lanes.code IS NOT NULL
), flying AS (
    SELECT n AS event_number FROM send_batches s CROSS JOIN LATERAL unnest(s.event_numbers) AS n WHERE s.dataset_id = $1
), paid AS (
    SELECT p.amount_minor, b.event_number, CASE
            WHEN p.conversion = 'duplicate' AND EXISTS (
                SELECT FROM payments o
                WHERE o.dataset_id = $1 AND o.order_id = p.order_id AND o.payment_id <> p.payment_id AND o.conversion = 'sent'
                    AND o.status_detail <> 'same_as_another'
            ) THEN 'other_payment'
            WHEN p.conversion IN ('sent', 'duplicate') THEN 'accepted'
            WHEN p.conversion = 'not_verified' AND b.event_number IS NOT NULL THEN 'accepted'
            WHEN p.conversion = 'not_verified' AND b.status <> 'pending' AND b.ads_refused THEN 'withheld'
            ELSE p.conversion END AS place
    FROM payments p
    LEFT JOIN purchases b ON b.dataset_id = $1 AND b.order_id = p.order_id
    WHERE p.dataset_id = $1 AND p.currency = $2 AND p.books = 'counted' AND p.status_detail <> 'same_as_another'
        AND p.approved_at >= ($3::date::timestamp AT TIME ZONE $5) AND p.approved_at < (($4::date + 1)::timestamp AT TIME ZONE $5)
        AND p.approved_at < rastro_now() - interval '30 minutes'
)
SELECT CASE
        WHEN paid.place <> 'accepted' THEN paid.place
        WHEN retry.status = 'failed' THEN 'stopped'
        WHEN retry.status IS NOT NULL OR flying.event_number IS NOT NULL OR queued.is_there THEN 'on_its_way'
        ELSE 'accepted' END AS place,
    count(*) AS payments, sum(paid.amount_minor)::bigint AS amount_minor
FROM paid
LEFT JOIN meta_retry_queue retry ON retry.dataset_id = $1 AND retry.event_number = paid.event_number
LEFT JOIN flying ON flying.event_number = paid.event_number
-- Runs do not overlap: of each lane the last one that begins at the number or before may have it.
LEFT JOIN LATERAL (
    SELECT true AS is_there
    FROM lanes CROSS JOIN LATERAL (
        SELECT q.last_number FROM send_queue q
        WHERE q.dataset_id = $1 AND q.test_event_code = lanes.code AND q.first_number <= paid.event_number
        ORDER BY q.first_number DESC LIMIT 1
    ) AS run
    WHERE run.last_number >= paid.event_number LIMIT 1
) AS queued ON paid.place = 'accepted'
GROUP BY 1
ORDER BY payments DESC, place
