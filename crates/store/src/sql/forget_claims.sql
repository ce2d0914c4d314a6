-- purchases::forget_claims: takes from orders what was claimed so long ago that no event can come of it any more. It holds the
-- buyer's hashed contacts, address and cookies; the order stays.
-- $1 days, $2 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, order_id FROM purchases
    WHERE claimed_event IS NOT NULL AND created_at < rastro_now() - make_interval(days => $1)
    ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE purchases p SET claimed_event = NULL FROM old
WHERE p.dataset_id = old.dataset_id AND p.order_id = old.order_id
