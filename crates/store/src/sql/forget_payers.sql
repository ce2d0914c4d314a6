-- payments::forget_payers: takes from payments that nothing happened to for so long by what their payer would be found, the oldest
-- first. Payment, order and movements stay.
-- $1 days, $2 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, payment_id FROM payments
    WHERE num_nonnulls(payer_email_hmac, payer_phone_hmac, payer_cpf_hmac) > 0
        AND created_at < rastro_now() - make_interval(days => $1) AND updated_at < rastro_now() - make_interval(days => $1)
    ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE payments p SET payer_email_hmac = NULL, payer_phone_hmac = NULL, payer_cpf_hmac = NULL FROM old
WHERE p.dataset_id = old.dataset_id AND p.payment_id = old.payment_id
