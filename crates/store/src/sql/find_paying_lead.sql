-- payments::find_lead: the lead that paid, by the strongest that finds one; of several the newest before the payment, for all that
-- two clocks say. What a payer shares with more than five people (a shop's own address, a seller's phone) finds nobody, and nobody
-- is found who was erased.
-- $1 dataset, leads that are named: $2 by the payment's metadata, $3 by it or its reference, $4 by the claim of its order;
-- look-ups: $5 e-mail, $6 phone, $7 CPF; $8 when the payment was made. NULL: not known. $9 the payment: whom a person matched it with
SELECT lead_id, rank, fbp, fbc, ads_refused, event_day FROM (
    (SELECT l.lead_id, -1 AS rank, l.fbp, l.fbc, l.ads_refused, l.event_day
        FROM payments p JOIN leads l ON l.dataset_id = p.dataset_id AND l.lead_id = p.lead_id
        WHERE p.dataset_id = $1 AND p.payment_id = $9 AND p.match_method = 'manual' AND NOT l.erased)
    UNION ALL
    (SELECT lead_id, 0, fbp, fbc, ads_refused, event_day FROM leads
        WHERE dataset_id = $1 AND lead_id = $2 AND NOT erased)
    UNION ALL
    (SELECT lead_id, 1, fbp, fbc, ads_refused, event_day FROM leads
        WHERE dataset_id = $1 AND lead_id = $3 AND NOT erased)
    UNION ALL
    (SELECT lead_id, 2, fbp, fbc, ads_refused, event_day FROM leads
        WHERE dataset_id = $1 AND lead_id = $4 AND NOT erased)
    UNION ALL
    (SELECT lead_id, 3, fbp, fbc, ads_refused, event_day FROM leads WHERE dataset_id = $1 AND email_hmac = $5 AND NOT erased
        AND created_at BETWEEN $8 - interval '90 days' AND $8 + interval '5 minutes'
        AND 5 >= (SELECT count(DISTINCT phone_hmac) FROM leads WHERE dataset_id = $1 AND email_hmac = $5)
        ORDER BY created_at DESC LIMIT 1)
    UNION ALL
    (SELECT lead_id, 4, fbp, fbc, ads_refused, event_day FROM leads WHERE dataset_id = $1 AND phone_hmac = $6 AND NOT erased
        AND created_at BETWEEN $8 - interval '90 days' AND $8 + interval '5 minutes'
        AND 5 >= (SELECT count(DISTINCT email_hmac) FROM leads WHERE dataset_id = $1 AND phone_hmac = $6)
        ORDER BY created_at DESC LIMIT 1)
    UNION ALL
    (SELECT lead_id, 5, fbp, fbc, ads_refused, event_day FROM leads WHERE dataset_id = $1 AND cpf_hmac = $7 AND NOT erased
        AND created_at BETWEEN $8 - interval '90 days' AND $8 + interval '5 minutes' ORDER BY created_at DESC LIMIT 1)
) AS found
ORDER BY rank LIMIT 1
