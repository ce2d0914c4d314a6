-- purchases::record: stores orders, or moves those that are there on. One that would move back, or stays, gives no row. While an
-- order is pending, a later claim of it replaces the one before as a whole: a stranger's, who guessed the number, leaves nothing.
-- But a page's never replaces a server's.
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
    amount_minor = CASE WHEN p.status = 'pending' OR excluded.status = 'approved' THEN excluded.amount_minor ELSE p.amount_minor END,
    currency = CASE WHEN p.status = 'pending' OR excluded.status = 'approved' THEN excluded.currency ELSE p.currency END,
    details = CASE excluded.status WHEN 'pending' THEN excluded.details ELSE p.details || excluded.details END,
    lead_id = CASE
        WHEN excluded.status = 'pending' OR p.lead_id IS NULL THEN excluded.lead_id
        ELSE p.lead_id
    END,
    match_method = CASE
        WHEN excluded.status = 'pending' OR p.lead_id IS NULL THEN excluded.match_method
        ELSE p.match_method
    END,
    claimed_event = CASE excluded.status
        WHEN 'pending' THEN excluded.claimed_event
        ELSE coalesce(p.claimed_event, excluded.claimed_event)
    END,
    consent = CASE excluded.status WHEN 'pending' THEN excluded.consent ELSE coalesce(p.consent, excluded.consent) END,
    -- Whoever confirms an order says nothing of what its buyer refused.
    ads_refused = excluded.ads_refused OR (p.ads_refused AND excluded.status <> 'pending'),
    key_id = CASE excluded.status WHEN 'pending' THEN excluded.key_id ELSE p.key_id END,
    request_id = CASE excluded.status WHEN 'pending' THEN excluded.request_id ELSE p.request_id END,
    updated_at = excluded.updated_at
WHERE CASE excluded.status WHEN 'pending' THEN 0 WHEN 'approved' THEN 1 ELSE 2 END
    > CASE p.status WHEN 'pending' THEN 0 WHEN 'approved' THEN 1 ELSE 2 END
    -- A shop gives up an order whose Pix expired; its buyer pays all the same. Only a payment says so: it has no key.
    OR excluded.status = 'approved' AND excluded.key_id IS NULL AND p.status = 'cancelled'
    OR excluded.status = 'pending' AND p.status = 'pending' AND (
        EXISTS (SELECT FROM api_keys k WHERE k.key_id = p.key_id AND k.kind = 'publishable')
        OR EXISTS (SELECT FROM api_keys k WHERE k.key_id = excluded.key_id AND k.kind = 'secret')
    )
RETURNING dataset_id, order_id, purchase_id, true AS changed, ads_refused
