-- attribution_credits::insert: new versions of credits.
-- $1 dataset, then a list per column
INSERT INTO attribution_credits (dataset_id, order_id, model, version, position, touched_at, channel, campaign_key, campaign_name,
    paid, order_millionths, gross_minor, net_minor, fee_minor, recorded_at)
SELECT $1, order_id, model, version, position, to_timestamp(touched_ms / 1000.0), channel, campaign_key, campaign_name,
    paid, order_millionths, gross_minor, net_minor, fee_minor, rastro_now()
FROM unnest($2::text[], $3::text[], $4::integer[], $5::smallint[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::boolean[],
    $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[])
    AS credit (order_id, model, version, position, touched_ms, channel, campaign_key, campaign_name, paid, order_millionths,
        gross_minor, net_minor, fee_minor)
