-- touchpoints: stores contacts; one that is there already stays.
-- $1 dataset ids, $2 visitors, $3 times in milliseconds since 1970, $4 channels,
-- $5 seventeen values for each, in the order of the columns
INSERT INTO touchpoints (
    dataset_id, visitor_hmac, touched_at, channel, utm_source, utm_medium, utm_campaign, utm_content, utm_term, utm_id,
    fbclid, gclid, gbraid, wbraid, msclkid, ttclid, src, sck, xcod, landing, referrer, created_at
)
SELECT dataset_id, visitor, to_timestamp(at_ms / 1000.0), channel, $5[b + 1], $5[b + 2], $5[b + 3], $5[b + 4], $5[b + 5], $5[b + 6],
    $5[b + 7], $5[b + 8], $5[b + 9], $5[b + 10], $5[b + 11], $5[b + 12], $5[b + 13], $5[b + 14], $5[b + 15], $5[b + 16], $5[b + 17],
    rastro_now()
FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::text[]) WITH ORDINALITY
    AS t (dataset_id, visitor, at_ms, channel, place)
CROSS JOIN LATERAL (SELECT ((place - 1) * 17)::integer AS b) AS base
ON CONFLICT DO NOTHING
