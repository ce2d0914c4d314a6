//! Accepting events: the claim of their keys, their segment in `event_segments`, and its row in `send_queue`, in one
//! statement.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{self, Array, BigInt, Binary, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use rastro_core::dedup::EventKey;
use rastro_core::event::Event;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::StoreError;
use crate::segment::{self, BodyWriter, SEGMENT_LINES};
use crate::statement::{only_row, statement};

/// An event as it is stored: what is needed to claim its key, find it again, and send it.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub key: EventKey,
    pub dataset_id: DatasetId,
    pub name: String,
    pub id: String,
    /// From then on Meta would refuse it, in seconds since 1970.
    pub send_by: i64,
    /// How long its key is remembered, in seconds.
    pub dedup_window_seconds: i64,
    /// Empty for real events.
    pub test_event_code: String,
    /// The finished server event as JSON.
    pub payload: String,
    /// The request that brought it.
    pub request_id: Uuid,
    /// W3C trace context, if that request was traced.
    pub traceparent: Option<String>,
}

impl NewEvent {
    /// What is stored of an event that came with the given request.
    pub fn new(
        event: &Event<'_>,
        dataset_id: DatasetId,
        test_event_code: String,
        request_id: Uuid,
        traceparent: Option<String>,
    ) -> Self {
        NewEvent {
            key: event.key(dataset_id),
            dataset_id,
            name: event.name.clone().into_owned(),
            id: event.id.clone().into_owned(),
            send_by: event.time + event.action_source.max_age_seconds(),
            dedup_window_seconds: event.dedup_window_seconds(),
            test_event_code,
            payload: event.to_json(),
            request_id,
            traceparent,
        }
    }
}

/// Writes groups of events over a connection of its own, whose statements keep their plans.
pub struct EventWriter {
    connection: AsyncPgConnection,
    bodies: BodyWriter,
    patience: Duration,
}

impl Store {
    /// Opens a writer. It is good until one of its calls fails with anything but [`StoreError::Query`].
    pub async fn event_writer(&self) -> Result<EventWriter, StoreError> {
        Ok(EventWriter {
            connection: self.dedicated_connection().await?,
            bodies: BodyWriter::new()?,
            patience: self.patience(),
        })
    }

    /// What is stored of an accepted event: the server event as it goes to Meta. `None`: there is no such event, or it is
    /// older than what is kept.
    pub async fn payload(
        &self,
        dataset_id: DatasetId,
        event_number: i64,
    ) -> Result<Option<String>, StoreError> {
        let statement = Payload {
            dataset_id: dataset_id.as_i64(),
            event_number,
            lifetime: PhantomData,
        };
        let rows: Vec<(i64, Vec<u8>)> = statement.load(&mut self.connection().await?).await?;
        let Some((first, body)) = rows.into_iter().next() else {
            return Ok(None);
        };
        let line = usize::try_from(event_number - first).ok();
        let text = segment::read_body(body)?;
        Ok(line.and_then(|line| Some(text.split('\n').nth(line)?.to_owned())))
    }
}

impl EventWriter {
    /// Stores those events whose key was never claimed before, all in one commit, and returns for each event
    /// whether that was so. The events are durable when this returns; on an error nothing is known to be stored.
    ///
    /// The events must be sorted by key, each key once: two groups that claim the same keys in different orders would
    /// wait for each other for ever.
    pub async fn accept(&mut self, events: &[&NewEvent]) -> Result<Vec<bool>, StoreError> {
        debug_assert!(
            events.is_sorted_by(|one, next| one.key < next.key),
            "the events are not sorted by key"
        );
        let keys: Vec<Uuid> = events.iter().map(|event| event.key.0).collect();
        let (segments, places) = segments_of(events);
        let mut heads = Vec::with_capacity(segments.len());
        let mut bodies = Vec::with_capacity(segments.len());
        for segment in &segments {
            heads.push(segment::write_heads(&segment.events)?);
            let payloads = segment.events.iter().map(|event| event.payload.as_str());
            bodies.push(self.bodies.write(payloads)?);
        }
        let statement = Accept {
            keys: &keys,
            segments: places.iter().map(|place| place.segment).collect(),
            lines: places.iter().map(|place| place.line).collect(),
            windows: column(events, |event| event.dedup_window_seconds),
            dataset_ids: segments
                .iter()
                .map(|segment| segment.dataset_id.as_i64())
                .collect(),
            test_event_codes: segments.iter().map(|segment| segment.test_event_code).collect(),
            line_counts: segments
                .iter()
                .map(|segment| index(segment.events.len()))
                .collect(),
            heads,
            bodies,
            lifetime: PhantomData,
        };
        let running = statement.load::<Option<Vec<Uuid>>>(&mut self.connection);
        let rows = tokio::time::timeout(self.patience, running)
            .await
            .map_err(|_| StoreError::TimedOut)??;
        let Some(mut fresh) = only_row(rows)? else {
            return Ok(vec![true; events.len()]);
        };
        fresh.sort_unstable();
        Ok(keys.iter().map(|key| fresh.binary_search(key).is_ok()).collect())
    }

    /// Logs events whose key was taken, and returns for each when that key was first claimed. `None`: the key expired
    /// in between.
    pub async fn record_duplicates(
        &mut self,
        events: &[&NewEvent],
    ) -> Result<Vec<Option<DateTime<Utc>>>, StoreError> {
        let keys: Vec<Uuid> = events.iter().map(|event| event.key.0).collect();
        let statement = RecordDuplicates {
            keys: &keys,
            dataset_ids: column(events, |event| event.dataset_id.as_i64()),
            names: column(events, |event| event.name.as_str()),
            ids: column(events, |event| event.id.as_str()),
            request_ids: column(events, |event| event.request_id),
            lifetime: PhantomData,
        };
        let running = statement.load::<(Uuid, DateTime<Utc>)>(&mut self.connection);
        let mut claims = tokio::time::timeout(self.patience, running)
            .await
            .map_err(|_| StoreError::TimedOut)??;
        claims.sort_unstable();
        let claimed_at = |key| {
            claims
                .binary_search_by_key(key, |(claimed, _)| *claimed)
                .ok()
                .map(|index| claims[index].1)
        };
        Ok(keys.iter().map(claimed_at).collect())
    }
}

fn column<'e, T>(events: &[&'e NewEvent], value: impl Fn(&'e NewEvent) -> T) -> Vec<T> {
    events.iter().map(|event| value(event)).collect()
}

/// Events that will be stored together: those of one lane, as many as fit.
struct Segment<'e> {
    dataset_id: DatasetId,
    test_event_code: &'e str,
    events: Vec<&'e NewEvent>,
}

/// Where an event stands: which segment of the group, and which line of it.
struct Place {
    segment: i32,
    line: i32,
}

/// Puts the events of a group into segments. The places are in the order of the events.
fn segments_of<'e>(events: &[&'e NewEvent]) -> (Vec<Segment<'e>>, Vec<Place>) {
    let mut segments: Vec<Segment<'e>> = Vec::new();
    // The segment of each lane that is not full.
    let mut open: HashMap<(DatasetId, &str), usize> = HashMap::new();
    let place = |&event: &&'e NewEvent| {
        let lane = (event.dataset_id, event.test_event_code.as_str());
        let begin = |segments: &mut Vec<Segment<'e>>| {
            segments.push(Segment {
                dataset_id: lane.0,
                test_event_code: lane.1,
                events: Vec::new(),
            });
            segments.len() - 1
        };
        let segment = open.entry(lane).or_insert_with(|| begin(&mut segments));
        if segments[*segment].events.len() == SEGMENT_LINES {
            *segment = begin(&mut segments);
        }
        let lines = &mut segments[*segment].events;
        lines.push(event);
        Place {
            segment: index(*segment),
            line: index(lines.len() - 1),
        }
    };
    let places = events.iter().map(place).collect();
    (segments, places)
}

/// A position in a group, or a number of its events, for PostgreSQL.
fn index(value: usize) -> i32 {
    i32::try_from(value).expect("a group has far less than two billion events")
}

statement! {
    /// One commit for a whole group, whatever its size.
    Accept<'e>("sql/accept.sql") -> Nullable<Array<sql_types::Uuid>> {
        keys: &'e [Uuid] as Array<sql_types::Uuid>,
        segments: Vec<i32> as Array<Integer>,
        lines: Vec<i32> as Array<Integer>,
        windows: Vec<i64> as Array<BigInt>,
        dataset_ids: Vec<i64> as Array<BigInt>,
        test_event_codes: Vec<&'e str> as Array<Text>,
        line_counts: Vec<i32> as Array<Integer>,
        heads: Vec<String> as Array<Text>,
        bodies: Vec<Vec<u8>> as Array<Binary>,
    }
}

statement! {
    Payload<'e>("sql/payload.sql") -> (BigInt, Binary) {
        dataset_id: i64 as BigInt,
        event_number: i64 as BigInt,
    }
}

statement! {
    RecordDuplicates<'e>("sql/record_duplicates.sql") -> (sql_types::Uuid, Timestamptz) {
        keys: &'e [Uuid] as Array<sql_types::Uuid>,
        dataset_ids: Vec<i64> as Array<BigInt>,
        names: Vec<&'e str> as Array<Text>,
        ids: Vec<&'e str> as Array<Text>,
        request_ids: Vec<Uuid> as Array<sql_types::Uuid>,
    }
}
