-- leads: stores those whose event has none yet, and says which. Event numbers are of no dataset: one is one lead.
-- A list per column, in their order
INSERT INTO leads (
    dataset_id, lead_id, contact, email_hmac, phone_hmac, cpf_hmac, external_id_hmac, visitor_hmac, fbp, fbc, consent,
    ads_refused, event_day, event_id, key_id, request_id, created_at, updated_at
)
SELECT dataset_id, lead_id, contact, email, phone, cpf, external_id, visitor, fbp, fbc, consent::jsonb, ads_refused, day, event_id,
    key_id, request_id, rastro_now(), rastro_now()
FROM unnest(
    $1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[], $9::text[],
    $10::text[], $11::text[], $12::boolean[], $13::date[], $14::text[], $15::bigint[], $16::uuid[]
) AS t (
    dataset_id, lead_id, contact, email, phone, cpf, external_id, visitor, fbp, fbc, consent, ads_refused, day, event_id, key_id,
    request_id
)
ON CONFLICT (dataset_id, lead_id) DO NOTHING
RETURNING lead_id
