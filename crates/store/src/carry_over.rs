//! Carries events of before `store_events_as_rows` over: a segment held up to a thousand events, the bodies
//! compressed as one. The migration keeps those tables as `old_...`; this moves them segment by segment, each
//! in a transaction of its own, and drops them when they are empty. It can be stopped and begun again at any
//! point.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::Connection as _;
use diesel::prelude::{OptionalExtension, QueryableByName, RunQueryDsl};
use diesel::sql_types::{Array, BigInt, Bool, Date, Nullable, Text, Timestamptz};
use diesel::{sql_query, sql_types};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use rastro_core::dataset::DatasetId;
use rastro_core::dedup::EventKey;
use rastro_core::event::Facts;
use rastro_core::page::Page;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

use crate::events::TraceContext;
use crate::migrations::MigrationError;
use crate::send_attempts::clean;

type Connection = AsyncConnectionWrapper<AsyncPgConnection>;

/// Moves what is left of the old tables. Does nothing where there are none.
pub(crate) fn run(connection: &mut Connection) -> Result<(), MigrationError> {
    if !is_pending(connection)? {
        return Ok(());
    }
    while connection.transaction(move_segment)? {}
    connection.transaction(finish)
}

fn is_pending(connection: &mut Connection) -> Result<bool, MigrationError> {
    let pending = diesel::select(diesel::dsl::sql::<Bool>(
        "to_regclass('old_event_segments') IS NOT NULL",
    ));
    Ok(pending.get_result(connection)?)
}

#[derive(QueryableByName)]
struct Segment {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = BigInt)]
    segment_number: i64,
    #[diesel(sql_type = Text)]
    test_event_code: String,
    #[diesel(sql_type = Array<BigInt>)]
    numbers: Vec<i64>,
    #[diesel(sql_type = Text)]
    heads: String,
    #[diesel(sql_type = sql_types::Binary)]
    body: Vec<u8>,
    #[diesel(sql_type = Timestamptz)]
    received_at: DateTime<Utc>,
}

/// What a segment says of an event beside its payload: a JSON array in this order.
#[derive(Deserialize)]
struct Head {
    /// In seconds since 1970.
    send_by: i64,
    request_id: Uuid,
    traceparent: Option<String>,
    name: String,
    id: String,
}

/// Moves one segment. `false`: there was none.
fn move_segment(connection: &mut Connection) -> Result<bool, MigrationError> {
    let segment: Option<Segment> = sql_query(
        "DELETE FROM old_event_segments s USING (
             SELECT dataset_id, day, segment_number, test_event_code FROM old_event_segments LIMIT 1
         ) AS first
         WHERE s.dataset_id = first.dataset_id AND s.day = first.day AND s.segment_number = first.segment_number
             AND s.test_event_code = first.test_event_code
         RETURNING s.dataset_id, s.day, s.segment_number, s.test_event_code, numbers_in(s.event_numbers) AS numbers,
             s.heads::text AS heads, s.body, s.received_at",
    )
    .get_result(connection)
    .optional()?;
    let Some(segment) = segment else { return Ok(false) };
    let heads: Vec<Option<Head>> = serde_json::from_str(&segment.heads)?;
    let mut heads: HashMap<i64, Head> = (segment.segment_number..)
        .zip(heads)
        .filter_map(|(number, head)| Some((number, head?)))
        .collect();
    let body = read_body(&segment.body)?;
    let lines: HashMap<i64, &str> = (segment.segment_number..).zip(body.split('\n')).collect();
    for number in &segment.numbers {
        let (Some(head), Some(payload)) = (heads.remove(number), lines.get(number)) else {
            return Err(format!("event {number} is not in its segment").into());
        };
        insert(connection, &segment, *number, head, payload)?;
    }
    Ok(true)
}

fn insert(
    connection: &mut Connection,
    segment: &Segment,
    number: i64,
    head: Head,
    payload: &str,
) -> Result<(), MigrationError> {
    // Nothing may stop this for good: what a column cannot hold is left out. A payload may be empty: a schema
    // of before segments did not keep those of delivered events.
    let event: Value = serde_json::from_str(payload).unwrap_or_default();
    let number_of = |value: &Value| value.is_number().then(|| value.to_string());
    let text = |value: &Value| value.as_str().map(clean).or_else(|| number_of(value));
    let facts = Facts {
        value: number_of(&event["custom_data"]["value"]),
        currency: text(&event["custom_data"]["currency"]),
        order_id: text(&event["custom_data"]["order_id"]),
        page: event["event_source_url"]
            .as_str()
            .map(Page::of)
            .unwrap_or_default(),
        is_bot: false,
    };
    let trace = head.traceparent.as_deref().and_then(TraceContext::parse);
    let page = &facts.page;
    sql_query(
        "INSERT INTO events (
             dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source, value,
             currency, order_id, page_host, page_path, utm_source, utm_medium, utm_campaign, utm_content, utm_term, fbclid,
             gclid, gbraid, wbraid, msclkid, ttclid, test_event_code, request_id, trace_id, span_id, payload
         )
         VALUES ($1, $2, $3, $4, $5, to_timestamp($6), $7, to_timestamp($8), $9, $10::numeric, $11, $12, $13, $14, $15, $16,
             $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)",
    )
    .bind::<BigInt, _>(segment.dataset_id)
    .bind::<Date, _>(segment.day)
    .bind::<BigInt, _>(number)
    .bind::<Text, _>(&head.name)
    .bind::<Text, _>(&head.id)
    .bind::<BigInt, _>(event["event_time"].as_i64().unwrap_or(segment.received_at.timestamp()))
    .bind::<Timestamptz, _>(segment.received_at)
    .bind::<BigInt, _>(head.send_by)
    .bind::<Text, _>(event["action_source"].as_str().unwrap_or("other"))
    .bind::<Nullable<Text>, _>(&facts.value)
    .bind::<Nullable<Text>, _>(&facts.currency)
    .bind::<Nullable<Text>, _>(&facts.order_id)
    .bind::<Nullable<Text>, _>(&page.host)
    .bind::<Nullable<Text>, _>(&page.path)
    .bind::<Nullable<Text>, _>(&page.utm_source)
    .bind::<Nullable<Text>, _>(&page.utm_medium)
    .bind::<Nullable<Text>, _>(&page.utm_campaign)
    .bind::<Nullable<Text>, _>(&page.utm_content)
    .bind::<Nullable<Text>, _>(&page.utm_term)
    .bind::<Nullable<Text>, _>(&page.fbclid)
    .bind::<Nullable<Text>, _>(&page.gclid)
    .bind::<Nullable<Text>, _>(&page.gbraid)
    .bind::<Nullable<Text>, _>(&page.wbraid)
    .bind::<Nullable<Text>, _>(&page.msclkid)
    .bind::<Nullable<Text>, _>(&page.ttclid)
    .bind::<Text, _>(&segment.test_event_code)
    .bind::<sql_types::Uuid, _>(head.request_id)
    .bind::<Nullable<Text>, _>(trace.as_ref().map(|trace| trace.trace_id))
    .bind::<Nullable<Text>, _>(trace.as_ref().map(|trace| trace.span_id))
    .bind::<Text, _>(payload)
    .execute(connection)?;
    // Keys were not kept by dataset; the event says which is its own.
    let key = EventKey::new(DatasetId::try_from(segment.dataset_id)?, &head.name, &head.id);
    sql_query(
        "INSERT INTO meta_events_dedup (dataset_id, event_key, day, event_number, created_at, expires_at)
         SELECT $1, event_key, $2, $3, created_at, expires_at FROM old_meta_events_dedup WHERE event_key = $4
         ON CONFLICT DO NOTHING",
    )
    .bind::<BigInt, _>(segment.dataset_id)
    .bind::<Date, _>(segment.day)
    .bind::<BigInt, _>(number)
    .bind::<sql_types::Uuid, _>(key.0)
    .execute(connection)?;
    Ok(())
}

/// What is ready is queued again, now that it can be told until when it may be sent, and the old tables go.
fn finish(connection: &mut Connection) -> Result<(), MigrationError> {
    sql_query(
        "INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, retries, send_by)
         SELECT o.dataset_id, o.test_event_code, n.event_number, n.event_number, o.day, o.retries, coalesce(e.send_by, rastro_now())
         FROM old_send_queue o CROSS JOIN LATERAL unnest(numbers_in(o.event_numbers)) AS n (event_number)
         LEFT JOIN events e ON e.dataset_id = o.dataset_id AND e.event_number = n.event_number AND e.day = o.day",
    )
    .execute(connection)?;
    for table in ["old_event_segments", "old_send_queue", "old_meta_events_dedup"] {
        sql_query(format!("DROP TABLE {table}")).execute(connection)?;
    }
    sql_query("DROP FUNCTION numbers_in(int8multirange)").execute(connection)?;
    sql_query("DROP FUNCTION ranges_of(bigint[])").execute(connection)?;
    Ok(())
}

/// The text of a body, whose lines are the payloads: one Zstandard frame, or as it is if it is older than
/// that.
fn read_body(body: &[u8]) -> Result<String, MigrationError> {
    /// How every Zstandard frame begins (RFC 8878, 3.1.1). JSON does not.
    const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    /// The most that a body can hold: a thousand of the longest events.
    const LONGEST: usize = 128 << 20;
    if !body.starts_with(&FRAME) {
        return Ok(String::from_utf8(body.to_vec())?);
    }
    let length = match get_frame_content_size(body) {
        Ok(Some(length)) => usize::try_from(length)?,
        _ => return Err("a segment's body does not say how long it is".into()),
    };
    if length > LONGEST {
        return Err("a segment's body is longer than any".into());
    }
    Ok(String::from_utf8(Decompressor::new()?.decompress(body, length)?)?)
}
