-- maintenance::expire_dedup_keys: forgets keys that no legal resend can meet any more.
-- $1 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, event_key FROM meta_events_dedup
    WHERE expires_at < rastro_now()
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
DELETE FROM meta_events_dedup d USING old
WHERE d.dataset_id = old.dataset_id AND d.event_key = old.event_key
