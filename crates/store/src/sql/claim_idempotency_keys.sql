-- idempotency_keys::claim: a key that is free, or whose answer is not kept any longer, gives a row.
-- $1 dataset ids, $2 API keys, $3 idempotency keys (sorted by these three, none twice), $4 hashes of the
-- bodies
INSERT INTO idempotency_keys AS k (
    dataset_id, key_id, idempotency_key, body_hash, status_code, answer, created_at, expires_at
)
SELECT dataset_id, key_id, idempotency_key, body_hash, 0, '', rastro_now(), rastro_now() + interval '48 hours'
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[]) AS t (dataset_id, key_id, idempotency_key, body_hash)
ON CONFLICT (dataset_id, key_id, idempotency_key) DO UPDATE SET
    body_hash = excluded.body_hash, created_at = excluded.created_at, expires_at = excluded.expires_at
WHERE k.expires_at <= excluded.created_at
RETURNING dataset_id, key_id, idempotency_key
