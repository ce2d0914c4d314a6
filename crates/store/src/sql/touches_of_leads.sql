-- attribution_credits::touches: the contacts with ads of whoever a lead is, before a time. Other leads with the same e-mail or
-- phone are the same person, unless so many share it that it is nobody's own.
-- $1 dataset, $2 numbers of the wanted, $3 their leads, $4 their times, $5 how many days back
WITH wanted AS (
    SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[]) AS wanted (number, lead_id, until)
), visitors AS (
    SELECT DISTINCT wanted.number, wanted.until, visitor.hmac
    FROM wanted
    JOIN leads own ON own.dataset_id = $1 AND own.lead_id = wanted.lead_id
    CROSS JOIN LATERAL (
        SELECT unnest(ARRAY[own.visitor_hmac, own.external_id_hmac]) AS hmac
        UNION
        SELECT unnest(ARRAY[same.visitor_hmac, same.external_id_hmac])
        FROM (
            SELECT few.*, count(*) OVER () AS sharing FROM (
                SELECT visitor_hmac, external_id_hmac FROM leads
                WHERE dataset_id = $1 AND email_hmac = own.email_hmac LIMIT 6
            ) AS few
        ) AS same WHERE same.sharing <= 5
        UNION
        SELECT unnest(ARRAY[same.visitor_hmac, same.external_id_hmac])
        FROM (
            SELECT few.*, count(*) OVER () AS sharing FROM (
                SELECT visitor_hmac, external_id_hmac FROM leads
                WHERE dataset_id = $1 AND phone_hmac = own.phone_hmac LIMIT 6
            ) AS few
        ) AS same WHERE same.sharing <= 5
    ) AS visitor
    WHERE visitor.hmac IS NOT NULL
)
SELECT visitors.number, touch.touched_at, touch.channel, touch.utm_source, touch.utm_campaign, touch.utm_id,
    touch.has_google_click, touch.has_microsoft_click, touch.has_tiktok_click, touch.has_meta_click
FROM visitors
CROSS JOIN LATERAL (
    SELECT touched_at, channel, utm_source, utm_campaign, utm_id,
        num_nonnulls(gclid, gbraid, wbraid) > 0 AS has_google_click, msclkid IS NOT NULL AS has_microsoft_click,
        ttclid IS NOT NULL AS has_tiktok_click, fbclid IS NOT NULL AS has_meta_click
    FROM touchpoints
    WHERE dataset_id = $1 AND visitor_hmac = visitors.hmac
        AND touched_at <= visitors.until AND touched_at >= visitors.until - make_interval(hours => $5 * 24)
    -- What a person does not do by hand is not read.
    ORDER BY touched_at DESC LIMIT 500
) AS touch
ORDER BY visitors.number, touch.touched_at
