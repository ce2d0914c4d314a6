-- events::accept, 2 of 4: stores the events whose keys were claimed.
-- $1 to $29: a list per column, in the order of the columns of t; times in seconds since 1970. A list may be
-- empty: NULL for all.
-- $30 received_at and $31 day, which are the same for all
INSERT INTO events (
    dataset_id, event_number, event_name, event_id, event_time, send_by, action_source, value, currency, order_id,
    page_host, page_path, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
    fbclid, gclid, gbraid, wbraid, msclkid, ttclid, test_event_code, key_id, request_id, trace_id, span_id, payload, received_at, day
)
SELECT dataset_id, event_number, event_name, event_id, to_timestamp(event_time), to_timestamp(send_by), action_source,
    value::numeric, currency, order_id, page_host, page_path, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
    fbclid, gclid, gbraid, wbraid, msclkid, ttclid, test_event_code, key_id, request_id, trace_id, span_id, payload, $30, $31
FROM unnest(
    $1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
    $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::bigint[], $26::uuid[], $27::text[],
    $28::text[], $29::text[]
) AS t (
    dataset_id, event_number, event_name, event_id, event_time, send_by, action_source, value,
    currency, order_id, page_host, page_path, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
    fbclid, gclid, gbraid, wbraid, msclkid, ttclid, test_event_code, key_id, request_id,
    trace_id, span_id, payload
)
