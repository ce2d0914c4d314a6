-- attribution_credits::order_facts: the money of orders and who placed them. Where money moved the movements are it (a card that
-- was declined moves none); elsewhere it is what the business recorded, unless only payments count for the dataset. An order that
-- was paid in several currencies is credited in its account's own; comparisons name the others. A payment that was
-- booked under two numbers by mistake counts under one. An e-mail, phone or visitor that
-- more than five people share, told apart by e-mail, phone and CPF, is nobody's own (an office's, a counter's tablet's, the shop's
-- own address as payer): by it nobody is known again. Of such a key the first two hundred rows tell enough.
-- $1 dataset, $2 order numbers, $3 time zone, $4 how many days touches are looked back for
WITH paid AS (
    SELECT p.order_id, min(p.created_at) AS placed_at,
        coalesce(min(p.currency) FILTER (WHERE p.currency = account.currency), min(p.currency)) AS currency,
        (array_agg(p.lead_id ORDER BY p.match_confidence DESC, p.payment_id) FILTER (WHERE p.lead_id IS NOT NULL))[1] AS lead_id,
        (array_agg(p.payer_email_hmac ORDER BY p.payment_id) FILTER (WHERE p.payer_email_hmac IS NOT NULL))[1] AS email,
        (array_agg(p.payer_cpf_hmac ORDER BY p.payment_id) FILTER (WHERE p.payer_cpf_hmac IS NOT NULL))[1] AS cpf,
        (array_agg(p.payer_phone_hmac ORDER BY p.payment_id) FILTER (WHERE p.payer_phone_hmac IS NOT NULL))[1] AS phone
    FROM payments p
    LEFT JOIN payment_accounts account ON account.dataset_id = p.dataset_id AND account.account_id = p.account_id
    WHERE p.dataset_id = $1 AND p.order_id = ANY($2) AND p.books = 'counted' AND p.status_detail <> 'same_as_another'
    GROUP BY p.order_id
), money AS (
    SELECT p.order_id,
        coalesce(sum(m.amount_minor) FILTER (WHERE m.kind = 'approval'), 0)::bigint AS gross_minor,
        sum(m.amount_minor)::bigint AS net_minor, sum(m.fee_minor)::bigint AS fee_minor
    FROM payments p
    JOIN paid ON paid.order_id = p.order_id AND paid.currency = p.currency
    JOIN purchase_movements m ON m.dataset_id = p.dataset_id AND m.payment_id = p.payment_id
    WHERE p.dataset_id = $1 AND p.order_id = ANY($2) AND p.books = 'counted' AND p.status_detail <> 'same_as_another'
    GROUP BY p.order_id
), orders AS (
    SELECT wanted.order_id,
        coalesce(paid.placed_at, bought.created_at) AS placed_at,
        CASE WHEN money.order_id IS NOT NULL THEN paid.currency ELSE coalesce(bought.currency, paid.currency) END AS currency,
        CASE WHEN money.order_id IS NOT NULL THEN money.gross_minor
            WHEN dataset.purchase_source = 'recorded' AND bought.status IN ('approved', 'refunded') THEN bought.amount_minor
            ELSE 0 END AS gross_minor,
        CASE WHEN money.order_id IS NOT NULL THEN money.net_minor
            WHEN dataset.purchase_source = 'recorded' AND bought.status = 'approved' THEN bought.amount_minor
            ELSE 0 END AS net_minor,
        coalesce(money.fee_minor, 0) AS fee_minor,
        coalesce(paid.lead_id, bought.lead_id) AS lead_id,
        paid.email, paid.cpf, paid.phone
    FROM unnest($2) AS wanted (order_id)
    CROSS JOIN (SELECT purchase_source FROM datasets WHERE dataset_id = $1) AS dataset
    LEFT JOIN paid ON paid.order_id = wanted.order_id
    LEFT JOIN money ON money.order_id = wanted.order_id
    LEFT JOIN purchases bought ON bought.dataset_id = $1 AND bought.order_id = wanted.order_id
)
SELECT o.order_id, o.placed_at, (o.placed_at AT TIME ZONE $3)::date AS day, o.currency,
    o.gross_minor, o.net_minor, o.fee_minor, lead.lead_id,
    person.keys AS person_keys,
    known.fingerprint, known.person_known, known.day AS known_day, known.customer_id AS known_customer,
    EXISTS (
        SELECT FROM retention_marks WHERE what = 'touchpoints' AND gone_before > o.placed_at - make_interval(hours => $4 * 24)
    ) AS touches_are_gone
FROM orders o
LEFT JOIN leads lead ON lead.dataset_id = $1 AND lead.lead_id = o.lead_id
LEFT JOIN credited_orders known ON known.dataset_id = $1 AND known.order_id = o.order_id
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(key.hmac ORDER BY key.strength), '{}') AS keys
    FROM (VALUES
        (1, 'email', lead.email_hmac), (2, 'email', nullif(o.email, lead.email_hmac)), (3, 'cpf', lead.cpf_hmac), (4, 'cpf', o.cpf),
        (5, 'id', lead.external_id_hmac), (6, 'phone', lead.phone_hmac), (7, 'phone', nullif(o.phone, lead.phone_hmac)),
        (8, 'visitor', lead.visitor_hmac)
    ) AS key (strength, kind, hmac)
    WHERE key.hmac IS NOT NULL AND CASE key.kind
        WHEN 'email' THEN 5 >= (
            SELECT greatest(count(DISTINCT phone_hmac), count(DISTINCT cpf_hmac)) FROM (
                SELECT phone_hmac, cpf_hmac FROM leads WHERE dataset_id = $1 AND email_hmac = key.hmac LIMIT 200
            ) AS sharing
        ) AND 5 >= (
            SELECT count(DISTINCT payer_cpf_hmac) FROM (
                SELECT payer_cpf_hmac FROM payments WHERE dataset_id = $1 AND payer_email_hmac = key.hmac LIMIT 200
            ) AS sharing
        )
        WHEN 'phone' THEN 5 >= (
            SELECT greatest(count(DISTINCT email_hmac), count(DISTINCT cpf_hmac)) FROM (
                SELECT email_hmac, cpf_hmac FROM leads WHERE dataset_id = $1 AND phone_hmac = key.hmac LIMIT 200
            ) AS sharing
        )
        WHEN 'visitor' THEN 5 >= (
            SELECT greatest(count(DISTINCT email_hmac), count(DISTINCT phone_hmac), count(DISTINCT cpf_hmac)) FROM (
                SELECT email_hmac, phone_hmac, cpf_hmac FROM leads WHERE dataset_id = $1 AND visitor_hmac = key.hmac LIMIT 200
            ) AS sharing
        )
        ELSE true END
) AS person
WHERE o.placed_at IS NOT NULL
ORDER BY o.placed_at, o.order_id
