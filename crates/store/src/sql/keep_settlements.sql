-- settlements::settle: the rows of a report; those that are known stay as they are.
-- $1 dataset, $2 account, then a list per column
INSERT INTO payment_settlements (
    dataset_id, account_id, payment_id, row_key, kind, gross_minor, net_minor, currency, settled_at
)
SELECT $1, $2, payment_id, row_key, kind, gross_minor, net_minor, currency, settled_at
FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::timestamptz[])
    AS t (payment_id, row_key, kind, gross_minor, net_minor, currency, settled_at)
ON CONFLICT (dataset_id, payment_id, row_key) DO NOTHING
