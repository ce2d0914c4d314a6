-- touchpoints: stores contacts. One that is there already stays, also when it was told with another time: a page that is loaded
-- again says the same of itself, and a clock that is ahead is cut to now.
-- $1 dataset ids, $2 visitors, $3 times in milliseconds since 1970, $4 channels,
-- $5 seventeen values for each, in the order of the columns
INSERT INTO touchpoints (
    dataset_id, visitor_hmac, touched_at, channel, utm_source, utm_medium, utm_campaign, utm_content, utm_term, utm_id,
    fbclid, gclid, gbraid, wbraid, msclkid, ttclid, src, sck, xcod, landing, referrer, created_at
)
SELECT dataset_id, visitor, told_at, channel, $5[b + 1], $5[b + 2], $5[b + 3], $5[b + 4], $5[b + 5], $5[b + 6],
    $5[b + 7], $5[b + 8], $5[b + 9], $5[b + 10], $5[b + 11], $5[b + 12], $5[b + 13], $5[b + 14], $5[b + 15], $5[b + 16], $5[b + 17],
    rastro_now()
FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::text[]) WITH ORDINALITY
    AS t (dataset_id, visitor, at_ms, channel, place)
CROSS JOIN LATERAL (SELECT ((place - 1) * 17)::integer AS b, to_timestamp(at_ms / 1000.0) AS told_at) AS base
-- One look-up for each: a plan that was made while the table was empty is kept, and must not read all of it.
LEFT JOIN LATERAL (
    SELECT true AS is_there FROM touchpoints k
    WHERE k.dataset_id = t.dataset_id AND k.visitor_hmac = t.visitor
        AND k.touched_at > told_at - interval '30 minutes' AND k.touched_at < told_at + interval '30 minutes'
        AND ARRAY[
            k.utm_source, k.utm_medium, k.utm_campaign, k.utm_content, k.utm_term, k.utm_id, k.fbclid, k.gclid, k.gbraid, k.wbraid,
            k.msclkid, k.ttclid, k.src, k.sck, k.xcod, k.landing, k.referrer
        ] = $5[b + 1 : b + 17]
    LIMIT 1
) AS known ON true
WHERE known.is_there IS NULL
ON CONFLICT DO NOTHING
