-- campaign_daily::unconverted_paths: the next leads that did not become an order. None of whose ways nothing is known any more: who
-- was erased, and who wrote when touches that may have brought them are deleted for their age. They would be taken to have come
-- directly.
-- $1 dataset, $2 the last lead before, $3 how many, $4 how many days touches are looked back for
SELECT lead_id, created_at, false AS qualified
FROM leads l
WHERE dataset_id = $1 AND lead_id > $2 AND NOT erased
    AND NOT EXISTS (SELECT FROM purchases p WHERE p.dataset_id = $1 AND p.lead_id = l.lead_id AND p.status IN ('approved', 'refunded'))
    AND NOT EXISTS (SELECT FROM payments p WHERE p.dataset_id = $1 AND p.lead_id = l.lead_id AND p.approved_at IS NOT NULL)
    AND NOT EXISTS (
        SELECT FROM retention_marks WHERE what = 'touchpoints' AND gone_before > l.created_at - make_interval(hours => $4 * 24)
    )
ORDER BY lead_id LIMIT $3
