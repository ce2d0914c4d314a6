-- revenue::purchase_accuracy. $1 dataset, $2 first day, $3 last day, $4 time zone
SELECT count(*) AS approved, count(*) FILTER (WHERE conversion IN ('sent', 'duplicate')) AS sent,
    count(*) FILTER (WHERE conversion = 'withheld') AS withheld
FROM payments
WHERE dataset_id = $1 AND books = 'counted' AND approved_at >= ($2::date::timestamp AT TIME ZONE $4)
    AND approved_at < (($3::date + 1)::timestamp AT TIME ZONE $4) AND approved_at < rastro_now() - interval '30 minutes'
