-- attribution_credits::put_orders: orders as they are credited now.
-- $1 dataset, $2 rules, then a list per column
INSERT INTO credited_orders (dataset_id, order_id, placed_at, day, currency, gross_minor, net_minor, fee_minor, customer_id,
    person_known, fingerprint, rules_version, credited_at)
SELECT $1, order_id, placed_at, day, currency, gross_minor, net_minor, fee_minor, customer_id, person_known, fingerprint, $2,
    rastro_now()
FROM unnest($3::text[], $4::timestamptz[], $5::date[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
    $11::boolean[], $12::bytea[])
    AS credited (order_id, placed_at, day, currency, gross_minor, net_minor, fee_minor, customer_id, person_known, fingerprint)
ON CONFLICT (dataset_id, order_id) DO UPDATE SET placed_at = excluded.placed_at, day = excluded.day, currency = excluded.currency,
    gross_minor = excluded.gross_minor, net_minor = excluded.net_minor, fee_minor = excluded.fee_minor,
    customer_id = excluded.customer_id, person_known = excluded.person_known, fingerprint = excluded.fingerprint,
    rules_version = excluded.rules_version, credited_at = excluded.credited_at
