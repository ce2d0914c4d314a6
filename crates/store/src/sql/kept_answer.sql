-- idempotency_keys::kept_answer: what was answered under a key.
-- $1 dataset, $2 API key, $3 idempotency key
SELECT body_hash, status_code, answer FROM idempotency_keys
WHERE dataset_id = $1 AND key_id = $2 AND idempotency_key = $3 AND expires_at > rastro_now()
