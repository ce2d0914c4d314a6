-- idempotency_keys::expire_idempotency_keys: forgets answers that are not kept any longer.
-- $1 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, key_id, idempotency_key FROM idempotency_keys
    WHERE expires_at < rastro_now()
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
DELETE FROM idempotency_keys k USING old
WHERE k.dataset_id = old.dataset_id AND k.key_id = old.key_id AND k.idempotency_key = old.idempotency_key
