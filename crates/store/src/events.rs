//! Accepting events: the claim of their keys, `events`, and the first row in `send_queue`, in one statement.

use std::marker::PhantomData;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{self, Array, BigInt, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use rastro_core::dedup::EventKey;
use rastro_core::event::Event;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::{only_row, statement};

/// An event as it is stored: what is needed to claim its key, find it again, and send it.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub key: EventKey,
    pub dataset_id: DatasetId,
    pub name: String,
    pub id: String,
    /// When it happened, in seconds since 1970.
    pub time: i64,
    /// How old it may be when Meta gets it, in seconds.
    pub max_age_seconds: i64,
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
            time: event.time,
            max_age_seconds: event.action_source.max_age_seconds(),
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
    patience: Duration,
}

impl Store {
    /// Opens a writer. It is good until one of its calls fails with anything but [`StoreError::Query`].
    pub async fn event_writer(&self) -> Result<EventWriter, StoreError> {
        Ok(EventWriter {
            connection: self.dedicated_connection().await?,
            patience: self.patience(),
        })
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
        let statement = Accept {
            keys: &keys,
            dataset_ids: column(events, |event| event.dataset_id.as_i64()),
            names: column(events, |event| event.name.as_str()),
            ids: column(events, |event| event.id.as_str()),
            times: column(events, |event| event.time),
            max_ages: column(events, |event| event.max_age_seconds),
            windows: column(events, |event| event.dedup_window_seconds),
            test_event_codes: column(events, |event| event.test_event_code.as_str()),
            payloads: column(events, |event| event.payload.as_str()),
            request_ids: column(events, |event| event.request_id),
            traceparents: column(events, |event| event.traceparent.as_deref()),
            lifetime: PhantomData,
        };
        let running = statement.load::<Vec<Uuid>>(&mut self.connection);
        let rows = tokio::time::timeout(self.patience, running)
            .await
            .map_err(|_| StoreError::TimedOut)??;
        let mut fresh = only_row(rows)?;
        if fresh.len() == events.len() {
            return Ok(vec![true; events.len()]);
        }
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

statement! {
    /// One commit for a whole group, whatever its size.
    Accept<'e>("sql/accept.sql") -> Array<sql_types::Uuid> {
        keys: &'e [Uuid] as Array<sql_types::Uuid>,
        dataset_ids: Vec<i64> as Array<BigInt>,
        names: Vec<&'e str> as Array<Text>,
        ids: Vec<&'e str> as Array<Text>,
        times: Vec<i64> as Array<BigInt>,
        max_ages: Vec<i64> as Array<BigInt>,
        windows: Vec<i64> as Array<BigInt>,
        test_event_codes: Vec<&'e str> as Array<Text>,
        payloads: Vec<&'e str> as Array<Text>,
        request_ids: Vec<Uuid> as Array<sql_types::Uuid>,
        traceparents: Vec<Option<&'e str>> as Array<Nullable<Text>>,
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
