-- attribution_credits::supersede: credits that are replaced by a newer version.
-- $1 dataset, $2 order numbers, $3 models
UPDATE attribution_credits credit SET superseded_at = rastro_now()
FROM unnest($2::text[], $3::text[]) AS old (order_id, model)
WHERE credit.dataset_id = $1 AND credit.order_id = old.order_id AND credit.model = old.model AND credit.superseded_at IS NULL
