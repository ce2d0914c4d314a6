-- idempotency_keys::keep: the answers to the requests whose keys were claimed in this transaction.
-- $1 dataset ids, $2 API keys, $3 idempotency keys, $4 status codes, $5 answers
UPDATE idempotency_keys AS k SET status_code = t.status_code, answer = t.answer
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::smallint[], $5::text[])
    AS t (dataset_id, key_id, idempotency_key, status_code, answer)
WHERE k.dataset_id = t.dataset_id AND k.key_id = t.key_id AND k.idempotency_key = t.idempotency_key
