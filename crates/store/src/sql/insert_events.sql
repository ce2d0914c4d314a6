-- events::accept, 2 of 4: stores the events whose keys were claimed.
-- A list per column, in the order of the columns below; times in seconds since 1970, received_at for all
INSERT INTO events (
    dataset_id, day, event_number, event_name, event_id, event_time, send_by, action_source, value, currency, order_id,
    page_host, page_path, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
    fbclid, gclid, gbraid, wbraid, msclkid, ttclid, test_event_code, key_id, request_id, trace_id, span_id, payload, received_at
)
SELECT dataset_id, day, event_number, event_name, event_id, to_timestamp(event_time), to_timestamp(send_by), action_source,
    value::numeric, currency, order_id, page_host, page_path, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
    fbclid, gclid, gbraid, wbraid, msclkid, ttclid, test_event_code, key_id, request_id, trace_id, span_id, payload, $31
FROM unnest(
    $1::bigint[], $2::date[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
    $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::bigint[], $27::uuid[],
    $28::text[], $29::text[], $30::text[]
) AS t (
    dataset_id, day, event_number, event_name, event_id, event_time, send_by, action_source, value,
    currency, order_id, page_host, page_path, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
    fbclid, gclid, gbraid, wbraid, msclkid, ttclid, test_event_code, key_id, request_id,
    trace_id, span_id, payload
)
