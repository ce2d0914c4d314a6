-- revenue::lead_funnel: what became of the leads of a period until now.
-- $1 dataset, $2 first day, $3 last day, $4 time zone
WITH wrote AS (
    SELECT l.lead_id, l.status IN ('qualified', 'scheduled', 'customer') AS qualified,
        (SELECT count(*) FROM purchases p WHERE p.dataset_id = $1 AND p.lead_id = l.lead_id) AS recorded,
        (SELECT count(*) FROM purchases p WHERE p.dataset_id = $1 AND p.lead_id = l.lead_id
            AND p.status IN ('approved', 'refunded')) AS bought,
        pay.*
    FROM leads l
    CROSS JOIN LATERAL (
        SELECT count(*) AS started, count(DISTINCT order_id) FILTER (WHERE approved_at IS NOT NULL) AS paid,
            count(*) FILTER (WHERE approved_at IS NULL AND status = 'pending'
                AND coalesce(expires_at, created_at + interval '7 days') > rastro_now()) AS open
        FROM payments p WHERE p.dataset_id = $1 AND p.lead_id = l.lead_id AND p.books = 'counted'
    ) AS pay
    WHERE l.dataset_id = $1 AND l.created_at >= ($2::date::timestamp AT TIME ZONE $4)
        AND l.created_at < (($3::date + 1)::timestamp AT TIME ZONE $4)
)
SELECT count(*) AS leads, count(*) FILTER (WHERE qualified OR bought > 0 OR paid > 0) AS qualified,
    count(*) FILTER (WHERE recorded > 0 OR started > 0) AS ordered, count(*) FILTER (WHERE bought > 0 OR paid > 0) AS paid,
    count(*) FILTER (WHERE greatest(bought, paid) > 1) AS paid_again, coalesce(sum(open), 0)::bigint AS open_payments
FROM wrote
