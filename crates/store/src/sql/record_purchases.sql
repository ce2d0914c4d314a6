-- purchases::record: stores orders, or moves those that are there on. One that would move back, or stays,
-- gives no row.
-- A list per column, in their order; no order twice
INSERT INTO purchases AS p (
    dataset_id, order_id, status, amount_minor, currency, details, lead_id, match_method, claimed_event, consent, ads_refused,
    key_id, request_id, created_at, updated_at
)
SELECT dataset_id, order_id, status, amount_minor, currency, details::jsonb, lead_id, match_method, claimed_event, consent::jsonb,
    ads_refused, key_id, request_id, rastro_now(), rastro_now()
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[],
    $10::text[], $11::boolean[], $12::bigint[], $13::uuid[]
) AS t (
    dataset_id, order_id, status, amount_minor, currency, details, lead_id, match_method, claimed_event, consent, ads_refused,
    key_id, request_id
)
ON CONFLICT (dataset_id, order_id) DO UPDATE SET
    status = excluded.status,
    -- What was claimed is not yet what was paid; what was paid stays.
    amount_minor = CASE p.status WHEN 'pending' THEN excluded.amount_minor ELSE p.amount_minor END,
    currency = CASE p.status WHEN 'pending' THEN excluded.currency ELSE p.currency END,
    details = p.details || excluded.details,
    lead_id = coalesce(p.lead_id, excluded.lead_id),
    match_method = CASE WHEN p.lead_id IS NULL THEN excluded.match_method ELSE p.match_method END,
    claimed_event = coalesce(p.claimed_event, excluded.claimed_event),
    consent = coalesce(p.consent, excluded.consent),
    ads_refused = p.ads_refused OR excluded.ads_refused,
    updated_at = excluded.updated_at
WHERE CASE excluded.status WHEN 'pending' THEN 0 WHEN 'approved' THEN 1 ELSE 2 END
    > CASE p.status WHEN 'pending' THEN 0 WHEN 'approved' THEN 1 ELSE 2 END
RETURNING dataset_id, order_id, purchase_id, true AS changed, ads_refused
