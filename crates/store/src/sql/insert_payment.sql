-- payments::apply: a payment that is read for the first time. One that is known gives no row.
-- The columns in their order
INSERT INTO payments (
    dataset_id, payment_id, account_id, status, status_detail, books, operation_type, currency, amount_minor, refunded_minor,
    net_minor, fee_minor, total_paid_minor, payment_method, payment_type, installments, external_reference, remote_order_id,
    order_id, lead_id, match_method, match_confidence, payer_email_hmac, payer_phone_hmac, payer_cpf_hmac, created_at,
    approved_at, updated_at, expires_at, money_release_at, discovered_by, told_by_order, first_seen_at, read_at
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26,
    $27, $28, $29, $30, $31, $32, rastro_now(), rastro_now()
)
ON CONFLICT (dataset_id, payment_id) DO NOTHING
