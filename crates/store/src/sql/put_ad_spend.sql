-- ad_spend::put: rows that are new, or replace what was stored of the same campaign and day.
-- $1 dataset, $2 source, then a list per column
INSERT INTO ad_spend (dataset_id, channel, account_id, day, campaign_key, campaign_name, name_key, currency, cost_micros, impressions,
    clicks, claimed_purchases, claimed_micros, account_time_zone, source, updated_at)
SELECT $1, channel, account_id, day, campaign_key, campaign_name, name_key, currency, cost_micros, impressions, clicks,
    claimed_purchases, claimed_micros, account_time_zone, $2, rastro_now()
FROM unnest($3::text[], $4::text[], $5::date[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[],
    $12::bigint[], $13::bigint[], $14::bigint[], $15::text[])
    AS row (channel, account_id, day, campaign_key, campaign_name, name_key, currency, cost_micros, impressions, clicks,
        claimed_purchases, claimed_micros, account_time_zone)
ON CONFLICT (dataset_id, channel, account_id, day, campaign_key) DO UPDATE SET campaign_name = excluded.campaign_name,
    name_key = excluded.name_key, currency = excluded.currency, cost_micros = excluded.cost_micros,
    impressions = excluded.impressions, clicks = excluded.clicks, claimed_purchases = excluded.claimed_purchases,
    claimed_micros = excluded.claimed_micros, account_time_zone = excluded.account_time_zone, source = excluded.source,
    updated_at = excluded.updated_at
