-- dashboard::calculator: leads that were accepted and orders that were approved, in units of their currency. By dataset, as the
-- index of orders is. $1 dataset id or NULL, $2 since
SELECT (
        SELECT coalesce(sum(events), 0)::bigint FROM event_counts
        WHERE event_name = 'Lead' AND outcome = 'accepted' AND hour >= $2 AND ($1::bigint IS NULL OR dataset_id = $1)
    ) AS leads,
    count(*) AS orders, sum(major_units(o.amount_minor, o.currency))::double precision AS revenue,
    count(DISTINCT o.currency) AS currencies, min(o.currency) AS currency
FROM datasets d JOIN purchases o USING (dataset_id)
WHERE ($1::bigint IS NULL OR d.dataset_id = $1) AND o.status = 'approved' AND o.created_at >= $2
