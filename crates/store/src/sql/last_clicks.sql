-- touchpoints::last_clicks: the newest click of each network that a visitor came by, of the last 90 days.
-- $1 dataset, $2 lead whose visitor counts, too, and the page of whose event. Look-ups: $3 visitor, $4 external id. NULL: not known
WITH lead AS (
    SELECT visitor_hmac, external_id_hmac, event_day, event_id FROM leads WHERE dataset_id = $1 AND lead_id = $2
), clicks AS (
    SELECT touched_at AS at, fbclid, gclid, gbraid, wbraid, msclkid, ttclid FROM touchpoints
    WHERE dataset_id = $1
        AND visitor_hmac = ANY (ARRAY[$3, $4, (SELECT visitor_hmac FROM lead), (SELECT external_id_hmac FROM lead)])
        AND touched_at > rastro_now() - interval '90 days'
    UNION ALL
    SELECT event_time, fbclid, gclid, gbraid, wbraid, msclkid, ttclid FROM events
    -- By number and by id: a plan that is kept from when the table was empty may use the index of either.
    WHERE dataset_id = $1 AND event_number = $2 AND day = (SELECT event_day FROM lead) AND event_id = (SELECT event_id FROM lead)
), newest AS (
    SELECT (array_agg(fbclid ORDER BY at DESC) FILTER (WHERE fbclid IS NOT NULL))[1] AS fbclid,
        (array_agg(gclid ORDER BY at DESC) FILTER (WHERE gclid IS NOT NULL))[1] AS gclid,
        (array_agg(gbraid ORDER BY at DESC) FILTER (WHERE gbraid IS NOT NULL))[1] AS gbraid,
        (array_agg(wbraid ORDER BY at DESC) FILTER (WHERE wbraid IS NOT NULL))[1] AS wbraid,
        (array_agg(msclkid ORDER BY at DESC) FILTER (WHERE msclkid IS NOT NULL))[1] AS msclkid,
        (array_agg(ttclid ORDER BY at DESC) FILTER (WHERE ttclid IS NOT NULL))[1] AS ttclid
    FROM clicks
)
-- The time of a click is when it was first heard of: pages tell of it again and again.
SELECT newest.*, (
    SELECT (extract(epoch FROM min(at)) * 1000)::bigint FROM clicks WHERE clicks.fbclid = newest.fbclid
) AS fbclid_at_ms
FROM newest
