-- attribution_credits::current: what orders are credited to now.
-- $1 dataset, $2 order numbers
SELECT order_id, model, version, position, (extract(epoch FROM touched_at) * 1000)::bigint AS touched_ms, channel, campaign_key,
    campaign_name, paid, order_millionths, gross_minor, net_minor, fee_minor
FROM attribution_credits
WHERE dataset_id = $1 AND order_id = ANY($2) AND superseded_at IS NULL
ORDER BY order_id, model, position
