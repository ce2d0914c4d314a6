-- campaign_daily::leads_of_day: the next leads of a day. Qualified: somebody said so, or they bought.
-- $1 dataset, $2 day, $3 time zone, $4 the last lead before, $5 how many
SELECT lead_id, created_at, status IN ('qualified', 'scheduled', 'customer') OR EXISTS (
    SELECT FROM purchases p WHERE p.dataset_id = $1 AND p.lead_id = l.lead_id AND p.status = 'approved'
) AS qualified
FROM leads l
WHERE dataset_id = $1 AND created_at >= ($2::date::timestamp AT TIME ZONE $3) AND created_at < (($2::date + 1)::timestamp AT TIME ZONE $3)
    AND lead_id > $4
ORDER BY lead_id LIMIT $5
