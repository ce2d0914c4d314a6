-- leads::forget_leads: deletes leads that nothing happened to for so long, the oldest first. One that became an order stays: the
-- order is kept longer. One that is being moved is left for the next step.
-- $1 days, $2 how many at most
WITH old AS MATERIALIZED (
    SELECT l.dataset_id, l.lead_id FROM leads l
    WHERE l.updated_at < rastro_now() - make_interval(days => $1)
        AND NOT EXISTS (SELECT FROM purchases p WHERE p.dataset_id = l.dataset_id AND p.lead_id = l.lead_id)
    ORDER BY l.updated_at LIMIT $2 FOR UPDATE OF l SKIP LOCKED
)
DELETE FROM leads l USING old WHERE l.dataset_id = old.dataset_id AND l.lead_id = old.lead_id
