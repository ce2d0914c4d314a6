-- payments::apply: what was read later of a payment that is locked. What is no longer told stays; whose it is, once found, too.
-- As insert_payment
UPDATE payments SET
    account_id = $3, status = $4, status_detail = $5, books = $6, operation_type = $7, currency = $8, amount_minor = $9,
    refunded_minor = $10, payment_method = $14, payment_type = $15, installments = $16, external_reference = $17,
    remote_order_id = $18, order_id = $19, updated_at = $28, expires_at = $29, money_release_at = $30, told_by_order = $32,
    -- Its first answers stay: books and history rest on them.
    approved_at = coalesce(payments.approved_at, $27::timestamptz),
    net_minor = coalesce($11::bigint, net_minor), fee_minor = coalesce($12::bigint, fee_minor),
    total_paid_minor = coalesce($13::bigint, total_paid_minor),
    -- What was found by the order was of whoever placed that.
    lead_id = CASE WHEN payments.order_id = $19 THEN coalesce(payments.lead_id, $20::bigint) ELSE $20::bigint END,
    match_method = CASE WHEN payments.order_id = $19 AND payments.lead_id IS NOT NULL THEN match_method ELSE $21::text END,
    match_confidence = CASE
        WHEN payments.order_id = $19 AND payments.lead_id IS NOT NULL THEN match_confidence
        ELSE $22::smallint
    END,
    payer_email_hmac = coalesce($23::bytea, payer_email_hmac),
    payer_phone_hmac = coalesce($24::bytea, payer_phone_hmac),
    payer_cpf_hmac = coalesce($25::bytea, payer_cpf_hmac),
    read_at = rastro_now()
-- $26 and $31 are what it keeps: the creation, the discovery.
WHERE dataset_id = $1 AND payment_id = $2 AND $26::timestamptz IS NOT NULL AND $31::text IS NOT NULL
