-- touchpoints::forget_touchpoints: deletes contacts that are so old, the oldest first.
-- $1 days, $2 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, visitor_hmac, touched_at FROM touchpoints
    WHERE touched_at < rastro_now() - make_interval(days => $1)
    ORDER BY touched_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM touchpoints t USING old
WHERE t.dataset_id = old.dataset_id AND t.visitor_hmac = old.visitor_hmac AND t.touched_at = old.touched_at
