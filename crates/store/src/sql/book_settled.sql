-- settlements::book: what reports say that payments cost beyond what was booked of it.
-- $1 dataset, then a list per column
INSERT INTO purchase_movements (
    dataset_id, payment_id, movement_key, kind, amount_minor, fee_minor, currency, occurred_at, recorded_at
)
SELECT $1, payment_id, movement_key, 'fee', 0, fee_minor, currency, occurred_at, rastro_now()
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[])
    AS t (payment_id, movement_key, fee_minor, currency, occurred_at)
