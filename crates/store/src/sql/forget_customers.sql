-- attribution_credits::forget_customers: of these keys of buyers deletes those that are so old and lead to nobody any more: no order
-- since, no lead that has it, and no payment of the buyer's that still says who paid. Orders keep the buyer's number.
-- $1 days, then a list per column: $2 datasets, $3 keys
WITH old AS MATERIALIZED (
    SELECT c.dataset_id, c.key_hmac FROM customers c
    JOIN unnest($2::bigint[], $3::bytea[]) AS looked (dataset_id, key_hmac)
        ON looked.dataset_id = c.dataset_id AND looked.key_hmac = c.key_hmac
    WHERE c.created_at < rastro_now() - make_interval(days => $1)
        AND NOT EXISTS (
            SELECT FROM credited_orders o
            LEFT JOIN payments p ON p.dataset_id = o.dataset_id AND p.order_id = o.order_id
            WHERE o.dataset_id = c.dataset_id AND o.customer_id = c.customer_id AND (
                o.placed_at >= rastro_now() - make_interval(days => $1)
                OR num_nonnulls(p.payer_email_hmac, p.payer_phone_hmac, p.payer_cpf_hmac) > 0
            )
        )
        AND NOT EXISTS (
            SELECT FROM leads l WHERE l.dataset_id = c.dataset_id AND (
                l.email_hmac = c.key_hmac OR l.phone_hmac = c.key_hmac OR l.cpf_hmac = c.key_hmac
                OR l.external_id_hmac = c.key_hmac OR l.visitor_hmac = c.key_hmac
            )
        )
    FOR UPDATE OF c SKIP LOCKED
)
DELETE FROM customers c USING old WHERE c.dataset_id = old.dataset_id AND c.key_hmac = old.key_hmac
