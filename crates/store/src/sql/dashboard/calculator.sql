-- dashboard::calculator: leads that were accepted and orders that were approved. $1 dataset id or NULL, $2 since
SELECT (
        SELECT coalesce(sum(events), 0)::bigint FROM event_counts
        WHERE event_name = 'Lead' AND outcome = 'accepted' AND hour >= $2 AND ($1::bigint IS NULL OR dataset_id = $1)
    ) AS leads,
    count(*) AS orders, sum(amount_minor)::double precision / 100 AS revenue,
    count(DISTINCT currency) AS currencies, min(currency) AS currency
FROM purchases WHERE status = 'approved' AND created_at >= $2 AND ($1::bigint IS NULL OR dataset_id = $1)
