-- erasures::shared: which of these keys more than five people share, told apart by what else they gave; and which were shared when
-- somebody else was erased, who is not counted any more. Of a key the first two hundred rows tell enough.
-- $1 dataset, then a list per column: $2 kinds, $3 hashes of keys, $4 those that are texts
SELECT key.hash
FROM unnest($2::text[], $3::bytea[], $4::text[]) AS key (kind, hash, text)
WHERE EXISTS (SELECT FROM shared_keys AS known WHERE known.dataset_id = $1 AND known.key_hash = key.hash)
    OR CASE key.kind
        WHEN 'email' THEN 5 < (
            SELECT greatest(count(DISTINCT phone_hmac), count(DISTINCT cpf_hmac)) FROM (
                SELECT phone_hmac, cpf_hmac FROM leads WHERE dataset_id = $1 AND email_hmac = key.hash LIMIT 200
            ) AS sharing
        ) OR 5 < (
            SELECT count(DISTINCT payer_cpf_hmac) FROM (
                SELECT payer_cpf_hmac FROM payments WHERE dataset_id = $1 AND payer_email_hmac = key.hash LIMIT 200
            ) AS sharing
        )
        WHEN 'phone' THEN 5 < (
            SELECT greatest(count(DISTINCT email_hmac), count(DISTINCT cpf_hmac)) FROM (
                SELECT email_hmac, cpf_hmac FROM leads WHERE dataset_id = $1 AND phone_hmac = key.hash LIMIT 200
            ) AS sharing
        ) OR 5 < (
            SELECT count(DISTINCT payer_cpf_hmac) FROM (
                SELECT payer_cpf_hmac FROM payments WHERE dataset_id = $1 AND payer_phone_hmac = key.hash LIMIT 200
            ) AS sharing
        )
        WHEN 'visitor' THEN 5 < (
            SELECT greatest(count(DISTINCT email_hmac), count(DISTINCT phone_hmac), count(DISTINCT cpf_hmac)) FROM (
                SELECT email_hmac, phone_hmac, cpf_hmac FROM leads WHERE dataset_id = $1 AND visitor_hmac = key.hash LIMIT 200
            ) AS sharing
        )
        WHEN 'external_id' THEN 5 < (
            SELECT greatest(count(DISTINCT email_hmac), count(DISTINCT phone_hmac), count(DISTINCT cpf_hmac)) FROM (
                SELECT email_hmac, phone_hmac, cpf_hmac FROM leads WHERE dataset_id = $1 AND external_id_hmac = key.hash LIMIT 200
            ) AS sharing
        )
        -- Of Meta's ids there is no index. Who is erased is looked for in all events anyway.
        ELSE 5 < (
            SELECT greatest(count(DISTINCT email_hmac), count(DISTINCT phone_hmac), count(DISTINCT cpf_hmac)) FROM (
                SELECT email_hmac, phone_hmac, cpf_hmac FROM leads
                WHERE dataset_id = $1 AND CASE key.kind WHEN 'fbp' THEN fbp ELSE fbc END = key.text LIMIT 200
            ) AS sharing
        )
    END
