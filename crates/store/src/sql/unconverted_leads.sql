-- campaign_daily::unconverted_paths: the next leads that did not become an order.
-- $1 dataset, $2 the last lead before, $3 how many
SELECT lead_id, created_at, false AS qualified
FROM leads l
WHERE dataset_id = $1 AND lead_id > $2
    AND NOT EXISTS (SELECT FROM purchases p WHERE p.dataset_id = $1 AND p.lead_id = l.lead_id AND p.status IN ('approved', 'refunded'))
    AND NOT EXISTS (SELECT FROM payments p WHERE p.dataset_id = $1 AND p.lead_id = l.lead_id AND p.approved_at IS NOT NULL)
ORDER BY lead_id LIMIT $3
