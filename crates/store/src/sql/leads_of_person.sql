-- erasures: a person's leads, with what else of the browser stands in their events.
-- $1 dataset, $2 lead, look-ups: $3 e-mails, $4 phones, $5 CPFs
SELECT l.lead_id, l.email_hmac, l.phone_hmac, l.cpf_hmac, l.visitor_hmac, l.external_id_hmac, l.fbp, l.fbc,
    (e.payload::json #>> '{user_data,external_id}') AS external_id, l.contact, l.event_id
FROM leads AS l
LEFT JOIN events AS e ON e.dataset_id = l.dataset_id AND e.event_number = l.lead_id AND e.day = l.event_day AND e.payload <> ''
WHERE l.dataset_id = $1
    AND (l.lead_id = $2 OR l.email_hmac = ANY($3) OR l.phone_hmac = ANY($4) OR l.cpf_hmac = ANY($5))
ORDER BY l.lead_id
