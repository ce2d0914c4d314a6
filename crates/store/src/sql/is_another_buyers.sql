-- payment_orders::is_another_buyers: whether another payment of an order was paid by somebody who shares no key with this payer.
-- $1 dataset, $2 order, $3 the payment, its payer: $4 e-mail, $5 phone, $6 CPF; NULL: not known
SELECT EXISTS (
    SELECT FROM payments
    WHERE dataset_id = $1 AND order_id = $2 AND payment_id <> $3 AND books = 'counted' AND approved_at IS NOT NULL
        AND status_detail <> 'same_as_another'
        AND (payer_email_hmac <> $4 OR payer_phone_hmac <> $5 OR payer_cpf_hmac <> $6)
        AND (payer_email_hmac = $4) IS NOT TRUE AND (payer_phone_hmac = $5) IS NOT TRUE AND (payer_cpf_hmac = $6) IS NOT TRUE
) AS is_anothers
