-- revenue::lead_funnel: what became of the leads of a period until now.
-- $1 dataset, $2 first day, $3 last day, $4 time zone
WITH wrote AS (
    SELECT lead_id, status IN ('qualified', 'scheduled', 'customer') AS qualified
    FROM leads
    WHERE dataset_id = $1 AND created_at >= ($2::date::timestamp AT TIME ZONE $4)
        AND created_at < (($3::date + 1)::timestamp AT TIME ZONE $4)
), recorded AS (
    SELECT lead_id, count(*) AS recorded, count(*) FILTER (WHERE p.status IN ('approved', 'refunded')) AS bought
    FROM wrote JOIN purchases p USING (lead_id) WHERE p.dataset_id = $1
    GROUP BY lead_id
), paying AS (
    SELECT lead_id, count(*) AS started, count(DISTINCT p.order_id) FILTER (WHERE p.approved_at IS NOT NULL) AS paid,
        count(*) FILTER (WHERE p.approved_at IS NULL AND p.status = 'pending'
            AND coalesce(p.expires_at, p.created_at + interval '7 days') > rastro_now()) AS open
    FROM wrote JOIN payments p USING (lead_id) WHERE p.dataset_id = $1 AND p.books = 'counted'
    GROUP BY lead_id
)
SELECT count(*) AS leads, count(*) FILTER (WHERE qualified OR bought > 0 OR paid > 0) AS qualified,
    count(*) FILTER (WHERE recorded > 0 OR started > 0) AS ordered, count(*) FILTER (WHERE bought > 0 OR paid > 0) AS paid,
    count(*) FILTER (WHERE greatest(bought, paid) > 1) AS paid_again, coalesce(sum(open), 0)::bigint AS open_payments
FROM wrote LEFT JOIN recorded USING (lead_id) LEFT JOIN paying USING (lead_id)
