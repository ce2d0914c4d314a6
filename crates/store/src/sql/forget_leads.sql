-- leads::forget_leads: deletes leads that nothing happened to for so long, the oldest first. Their orders stay, and no longer say
-- whose they were. One that is being moved is left for the next step.
-- $1 days, $2 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, lead_id FROM leads
    WHERE updated_at < rastro_now() - make_interval(days => $1)
    ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM leads l USING old WHERE l.dataset_id = old.dataset_id AND l.lead_id = old.lead_id
