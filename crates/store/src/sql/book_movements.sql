-- payments::apply: books a payment's movements, each once for ever.
-- $1 dataset, $2 payment, $3 currency, then a list per column
INSERT INTO purchase_movements (
    dataset_id, payment_id, movement_key, kind, amount_minor, fee_minor, currency, occurred_at, recorded_at
)
SELECT $1, $2, movement_key, kind, amount_minor, fee_minor, $3, occurred_at, rastro_now()
FROM unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::timestamptz[])
    AS t (movement_key, kind, amount_minor, fee_minor, occurred_at)
