-- leads::find_lead: the lead that became a purchase, by the strongest identifier that finds one; of several
-- the newest. Nobody is found who was erased.
-- $1 dataset, $2 lead id, look-ups: $3 external id, $4 e-mail, $5 phone, $6 CPF, $7 visitor. NULL: not known
SELECT lead_id, rank, fbp, fbc, ads_refused FROM (
    (SELECT lead_id, 0 AS rank, fbp, fbc, ads_refused FROM leads WHERE dataset_id = $1 AND lead_id = $2 AND NOT erased)
    UNION ALL
    (SELECT lead_id, 1, fbp, fbc, ads_refused FROM leads WHERE dataset_id = $1 AND external_id_hmac = $3 AND NOT erased
        AND created_at > rastro_now() - interval '90 days' ORDER BY created_at DESC LIMIT 1)
    UNION ALL
    (SELECT lead_id, 2, fbp, fbc, ads_refused FROM leads WHERE dataset_id = $1 AND email_hmac = $4 AND NOT erased
        AND created_at > rastro_now() - interval '90 days' ORDER BY created_at DESC LIMIT 1)
    UNION ALL
    (SELECT lead_id, 3, fbp, fbc, ads_refused FROM leads WHERE dataset_id = $1 AND phone_hmac = $5 AND NOT erased
        AND created_at > rastro_now() - interval '90 days' ORDER BY created_at DESC LIMIT 1)
    UNION ALL
    (SELECT lead_id, 4, fbp, fbc, ads_refused FROM leads WHERE dataset_id = $1 AND cpf_hmac = $6 AND NOT erased
        AND created_at > rastro_now() - interval '90 days' ORDER BY created_at DESC LIMIT 1)
    UNION ALL
    (SELECT lead_id, 5, fbp, fbc, ads_refused FROM leads WHERE dataset_id = $1 AND visitor_hmac = $7 AND NOT erased
        AND created_at > rastro_now() - interval '90 days' ORDER BY created_at DESC LIMIT 1)
) AS found
ORDER BY rank LIMIT 1
