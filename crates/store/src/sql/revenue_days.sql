-- revenue::days: by the day that orders were placed on.
-- $1 dataset, $2 currency, $3 model, $4 first day, $5 last day, $6 channel or NULL, $7 campaign or NULL
SELECT day, sum(spend_micros)::bigint AS spend_micros, sum(net_minor)::bigint AS net_minor, sum(gross_minor)::bigint AS gross_minor
FROM campaign_daily
WHERE dataset_id = $1 AND currency = $2 AND model = $3 AND day BETWEEN $4 AND $5
    AND ($6::text IS NULL OR channel = $6) AND ($7::text IS NULL OR campaign_key = $7)
GROUP BY day
ORDER BY day
