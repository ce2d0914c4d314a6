//! One event: found by any of the names it goes by, and everything that happened to it.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::OptionalExtension;
use diesel::sql_query;
use diesel::sql_types::{
    Array, BigInt, Date, Double, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{by_time, row};
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// What an event is looked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Our number.
    Number(i64),
    /// The client's id, which of a purchase is the order's.
    EventId(String),
    /// The request to us, with the moment that its number (a UUID of version 7) tells.
    Request(Uuid, DateTime<Utc>),
    Trace(String),
    /// A request to Meta.
    Fbtrace(String),
}

row! {
    /// An event that was found.
    pub EventFinding {
        dataset_id: BigInt => i64,
        day: Date => NaiveDate,
        event_number: BigInt => i64,
        event_name: Text => String,
        event_id: Text => String,
        received_at: Timestamptz => DateTime<Utc>,
        value: Nullable<Double> => Option<f64>,
        currency: Nullable<Text> => Option<String>,
    }
}

row! {
    /// What an event says.
    pub EventRow {
        dataset_id: BigInt => i64,
        day: Date => NaiveDate,
        event_number: BigInt => i64,
        event_name: Text => String,
        event_id: Text => String,
        event_time: Timestamptz => DateTime<Utc>,
        received_at: Timestamptz => DateTime<Utc>,
        send_by: Timestamptz => DateTime<Utc>,
        action_source: Text => String,
        value: Nullable<Double> => Option<f64>,
        currency: Nullable<Text> => Option<String>,
        order_id: Nullable<Text> => Option<String>,
        page_host: Nullable<Text> => Option<String>,
        page_path: Nullable<Text> => Option<String>,
        test_event_code: Text => String,
        key_label: Nullable<Text> => Option<String>,
        request_id: SqlUuid => Uuid,
        trace_id: Nullable<Text> => Option<String>,
        payload: Text => String,
        now: Timestamptz => DateTime<Utc>,
    }
}

row! {
    /// A request to Meta that carried the event.
    pub Attempt {
        attempt_id: BigInt => i64,
        batch_id: BigInt => i64,
        attempt: Integer => i32,
        attempted_at: Timestamptz => DateTime<Utc>,
        latency_ms: Nullable<Integer> => Option<i32>,
        outcome: Text => String,
        http_status: Nullable<SmallInt> => Option<i16>,
        error_code: Nullable<Integer> => Option<i32>,
        error_subcode: Nullable<Integer> => Option<i32>,
        error_message: Nullable<Text> => Option<String>,
        fbtrace_id: Nullable<Text> => Option<String>,
        events_received: Nullable<Integer> => Option<i32>,
        event_count: Integer => i32,
    }
}

row! {
    /// What else happened to it.
    pub OutcomeRow {
        outcome: Text => String,
        detail: Nullable<Text> => Option<String>,
        key_label: Nullable<Text> => Option<String>,
        created_at: Timestamptz => DateTime<Utc>,
        event_count: Integer => i32,
    }
}

row! {
    /// Where it is now, if it is not delivered.
    pub Place {
        /// ready, in_flight, waiting or failed.
        place: Text => String,
        next_retry_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        retry_count: SmallInt => i16,
        reason: Nullable<Text> => Option<String>,
        last_error: Nullable<Text> => Option<String>,
        error_code: Nullable<Integer> => Option<i32>,
        error_subcode: Nullable<Integer> => Option<i32>,
        failed_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
    }
}

/// An event with all that happened to it.
#[derive(Clone, Debug)]
pub struct EventStory {
    pub event: EventRow,
    pub attempts: Vec<Attempt>,
    pub outcomes: Vec<OutcomeRow>,
    pub place: Option<Place>,
}

/// As many events as a search shows.
const MOST_FOUND: i64 = 50;

impl Store {
    /// Events that go by this name, the newest first.
    pub async fn find_events(
        &self,
        dataset: Option<i64>,
        search: &Search,
    ) -> Result<Vec<EventFinding>, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                by_time(connection).await?;
                macro_rules! find {
                    ($file:literal, $type:ty, $value:expr) => {
                        sql_query(include_str!($file))
                            .bind::<Nullable<BigInt>, _>(dataset)
                            .bind::<$type, _>($value)
                            .bind::<BigInt, _>(MOST_FOUND)
                    };
                }
                let found = match search {
                    Search::Number(number) => {
                        let query = find!("../sql/dashboard/find_by_number.sql", BigInt, *number);
                        query.prepared().load(connection).await?
                    }
                    Search::EventId(id) => {
                        let query = find!("../sql/dashboard/find_by_event_id.sql", Text, id.as_str());
                        query.prepared().load(connection).await?
                    }
                    Search::Trace(id) => {
                        let query = find!("../sql/dashboard/find_by_trace.sql", Text, id.as_str());
                        query.prepared().load(connection).await?
                    }
                    Search::Fbtrace(id) => {
                        let query = find!("../sql/dashboard/find_by_fbtrace.sql", Text, id.as_str());
                        query.prepared().load(connection).await?
                    }
                    Search::Request(id, at) => {
                        let query = find!("../sql/dashboard/find_by_request.sql", SqlUuid, *id);
                        query
                            .bind::<Timestamptz, _>(*at)
                            .prepared()
                            .load(connection)
                            .await?
                    }
                };
                Ok(found)
            })
            .await
    }

    /// Everything that is known of one event; `None` if there is no such event.
    pub async fn event_passport(
        &self,
        dataset: i64,
        day: NaiveDate,
        number: i64,
    ) -> Result<Option<EventStory>, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let event: Option<EventRow> = sql_query(include_str!("../sql/dashboard/event.sql"))
                    .bind::<BigInt, _>(dataset)
                    .bind::<Date, _>(day)
                    .bind::<BigInt, _>(number)
                    .prepared()
                    .get_result(connection)
                    .await
                    .optional()?;
                let Some(event) = event else { return Ok(None) };
                let attempts = sql_query(include_str!("../sql/dashboard/event_attempts.sql"))
                    .bind::<BigInt, _>(dataset)
                    .bind::<Date, _>(day)
                    .bind::<BigInt, _>(number)
                    .prepared()
                    .load(connection)
                    .await?;
                let outcomes = sql_query(include_str!("../sql/dashboard/event_outcomes.sql"))
                    .bind::<BigInt, _>(dataset)
                    .bind::<Date, _>(day)
                    .bind::<BigInt, _>(number)
                    .prepared()
                    .load(connection)
                    .await?;
                let place = sql_query(include_str!("../sql/dashboard/event_place.sql"))
                    .bind::<BigInt, _>(dataset)
                    .bind::<BigInt, _>(number)
                    .prepared()
                    .get_result(connection)
                    .await
                    .optional()?;
                Ok(Some(EventStory {
                    event,
                    attempts,
                    outcomes,
                    place,
                }))
            })
            .await
    }

    /// Events of a dataset that were received since then, the newest first. For watching a test event arrive.
    pub async fn newest_events(
        &self,
        datasets: &[i64],
        since: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<EventFinding>, StoreError> {
        sql_query(include_str!("../sql/dashboard/newest_events.sql"))
            .bind::<Array<BigInt>, _>(datasets)
            .bind::<Timestamptz, _>(since)
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows(self)
            .await
    }
}
