-- revenue::datasets: those of which there is something to show.
SELECT dataset_id FROM datasets d
WHERE EXISTS (SELECT FROM revenue_daily r WHERE r.dataset_id = d.dataset_id)
    OR EXISTS (SELECT FROM ad_spend s WHERE s.dataset_id = d.dataset_id)
ORDER BY dataset_id
