-- touchpoints::recall: what is remembered of browsers, for events that come without a click id. Of each look-up the newest lead that
-- it finds, and the newest contacts with ads of the visitor that it is, or that is behind such a lead; of the last 90 days.
-- $1 datasets, each once. Datasets and look-ups, a list of each: $2, $3 external ids; $4, $5 e-mails; $6, $7 phones; $8, $9 visitors
WITH remembering AS MATERIALIZED (
    -- Most that only send events remember nobody, and cost no look-up. Where that is so of all of them, no list is read: EXISTS
    -- is asked once, before the rows.
    SELECT dataset_id FROM unnest($1::bigint[]) AS asked (dataset_id)
    WHERE (SELECT lead_id FROM leads WHERE leads.dataset_id = asked.dataset_id ORDER BY lead_id LIMIT 1) IS NOT NULL
        OR (SELECT visitor_hmac FROM touchpoints WHERE touchpoints.dataset_id = asked.dataset_id ORDER BY visitor_hmac LIMIT 1) IS NOT NULL
), found AS MATERIALIZED (
    SELECT asked.dataset_id, asked.lookup, lead.* FROM unnest($2::bigint[], $3::bytea[]) AS asked (dataset_id, lookup)
    CROSS JOIN LATERAL (
        SELECT fbp, fbc, ads_refused, visitor_hmac, external_id_hmac FROM leads
        WHERE dataset_id = asked.dataset_id AND external_id_hmac = asked.lookup
            AND created_at > rastro_now() - interval '90 days' ORDER BY created_at DESC LIMIT 1
    ) AS lead
    WHERE EXISTS (SELECT FROM remembering) AND asked.dataset_id = ANY (ARRAY(SELECT dataset_id FROM remembering))
    UNION ALL
    SELECT asked.dataset_id, asked.lookup, lead.* FROM unnest($4::bigint[], $5::bytea[]) AS asked (dataset_id, lookup)
    CROSS JOIN LATERAL (
        SELECT fbp, fbc, ads_refused, visitor_hmac, external_id_hmac FROM leads
        WHERE dataset_id = asked.dataset_id AND email_hmac = asked.lookup
            AND created_at > rastro_now() - interval '90 days' ORDER BY created_at DESC LIMIT 1
    ) AS lead
    WHERE EXISTS (SELECT FROM remembering) AND asked.dataset_id = ANY (ARRAY(SELECT dataset_id FROM remembering))
    UNION ALL
    SELECT asked.dataset_id, asked.lookup, lead.* FROM unnest($6::bigint[], $7::bytea[]) AS asked (dataset_id, lookup)
    CROSS JOIN LATERAL (
        SELECT fbp, fbc, ads_refused, visitor_hmac, external_id_hmac FROM leads
        WHERE dataset_id = asked.dataset_id AND phone_hmac = asked.lookup
            AND created_at > rastro_now() - interval '90 days' ORDER BY created_at DESC LIMIT 1
    ) AS lead
    WHERE EXISTS (SELECT FROM remembering) AND asked.dataset_id = ANY (ARRAY(SELECT dataset_id FROM remembering))
    UNION ALL
    SELECT asked.dataset_id, asked.lookup, lead.* FROM unnest($8::bigint[], $9::bytea[]) AS asked (dataset_id, lookup)
    CROSS JOIN LATERAL (
        SELECT fbp, fbc, ads_refused, visitor_hmac, external_id_hmac FROM leads
        WHERE dataset_id = asked.dataset_id AND visitor_hmac = asked.lookup
            AND created_at > rastro_now() - interval '90 days' ORDER BY created_at DESC LIMIT 1
    ) AS lead
    WHERE EXISTS (SELECT FROM remembering) AND asked.dataset_id = ANY (ARRAY(SELECT dataset_id FROM remembering))
), visitors AS (
    SELECT dataset_id, lookup, lookup AS hmac FROM unnest($2::bigint[] || $8::bigint[], $3::bytea[] || $9::bytea[]) AS asked (dataset_id, lookup)
    WHERE EXISTS (SELECT FROM remembering) AND asked.dataset_id = ANY (ARRAY(SELECT dataset_id FROM remembering))
    UNION ALL
    SELECT dataset_id, lookup, hmac FROM found
    CROSS JOIN LATERAL (VALUES (visitor_hmac), (external_id_hmac)) AS own (hmac)
    WHERE hmac IS NOT NULL AND hmac <> lookup
)
SELECT lookup, NULL::bigint AS touched_at_ms, ads_refused, fbp, fbc, NULL::text AS fbclid, NULL::text AS gclid, NULL::text AS gbraid,
    NULL::text AS wbraid, NULL::text AS msclkid, NULL::text AS ttclid
FROM found
UNION ALL
SELECT lookup, (extract(epoch FROM touched_at) * 1000)::bigint, false, NULL, NULL, fbclid, gclid, gbraid, wbraid, msclkid, ttclid
FROM visitors
CROSS JOIN LATERAL (
    SELECT touched_at, fbclid, gclid, gbraid, wbraid, msclkid, ttclid FROM touchpoints
    WHERE dataset_id = visitors.dataset_id AND visitor_hmac = visitors.hmac
        AND touched_at > rastro_now() - interval '90 days'
    -- What a person does not do by hand is not read.
    ORDER BY touched_at DESC LIMIT 100
) AS touch
WHERE num_nonnulls(fbclid, gclid, gbraid, wbraid, msclkid, ttclid) > 0
