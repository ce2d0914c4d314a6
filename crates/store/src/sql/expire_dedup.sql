-- maintenance::expire_dedup_keys: a step of keys that no legal resend can meet any more
WITH old AS MATERIALIZED (
    SELECT ctid FROM meta_events_dedup WHERE expires_at < rastro_now() LIMIT $1 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM meta_events_dedup WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1
)
SELECT count(*) FROM gone
