//! What an operator does after the restore of an old backup: events that were due when it was made, and were
//! delivered after it most likely, are kept from Meta. They are dead letters, and can be sent after all.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Date, Timestamptz};
use diesel_async::{AsyncConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use serde_json::json;

use super::{DeadLetterReason, LastError, NamedRow, RetryRow, events_of, insert};
use crate::admin_log::{self, NewEntry};
use crate::connection::Store;
use crate::error::StoreError;
use crate::event_outcomes::{self, EventOutcome, Outcome};
use crate::send_attempts;
use crate::send_queue::{self, ReadyEvent, Run};
use crate::statement::Prepare;

/// Runs of the queue that one transaction takes: at most 20,000 events.
const RUNS_OF_A_STEP: i64 = 20;
const WAITING_OF_A_STEP: i64 = 10_000;

/// Events by the place in which they were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAside {
    pub ready: i64,
    pub waiting: i64,
    /// Not set aside: a forwarder has them, or had them when the backup was made. They are ready again when
    /// their lease is over.
    pub in_flight: i64,
}

impl Store {
    /// How many events of a dataset [`set_aside`](Self::set_aside) would find.
    pub async fn count_to_set_aside(
        &self,
        dataset: DatasetId,
        received_before: DateTime<Utc>,
    ) -> Result<SetAside, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            ready: i64,
            #[diesel(sql_type = BigInt)]
            waiting: i64,
        }
        let found: Row = sql_query(include_str!("../sql/count_set_aside.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Timestamptz, _>(received_before)
            .prepared()
            .row(self)
            .await?;
        Ok(SetAside {
            ready: found.ready,
            waiting: found.waiting,
            in_flight: self.in_flight_before(dataset, received_before).await?,
        })
    }

    async fn in_flight_before(
        &self,
        dataset: DatasetId,
        received_before: DateTime<Utc>,
    ) -> Result<i64, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            in_flight: i64,
        }
        let row: Row = sql_query(include_str!("../sql/in_flight_received_before.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Timestamptz, _>(received_before)
            .prepared()
            .row(self)
            .await?;
        Ok(row.in_flight)
    }

    /// Makes dead letters of the ready and waiting events of a dataset that were received before a time, and
    /// returns how many those were. `who` is logged with the order, and with each event. What it did is done
    /// if it fails half-way; doing it again does the rest.
    pub async fn set_aside(
        &self,
        dataset: DatasetId,
        received_before: DateTime<Utc>,
        who: &str,
    ) -> Result<SetAside, StoreError> {
        let time = received_before.to_rfc3339_opts(SecondsFormat::Millis, true);
        let order = NewEntry {
            who,
            action: "events.set_aside",
            dataset: Some(dataset),
            key_id: None,
            detail: json!({ "received_before": &time }),
        };
        admin_log::insert(&mut *self.connection().await?, order).await?;
        let note = send_attempts::clean(&format!("set aside by {who}: received before {time}"));
        let mut done = SetAside::default();
        // What a retry-worker moves from one place to the other meanwhile is found in the next round.
        loop {
            let ready = self.set_ready_aside(dataset, received_before, &note).await?;
            let waiting = self.set_waiting_aside(dataset, received_before, &note).await?;
            done.ready += ready;
            done.waiting += waiting;
            if ready + waiting == 0 {
                break;
            }
        }
        done.in_flight = self.in_flight_before(dataset, received_before).await?;
        Ok(done)
    }

    /// One step; 0 when nothing is left.
    async fn set_ready_aside(
        &self,
        dataset: DatasetId,
        received_before: DateTime<Utc>,
        note: &str,
    ) -> Result<i64, StoreError> {
        #[derive(QueryableByName)]
        struct Number {
            #[diesel(sql_type = BigInt)]
            event_number: i64,
        }
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let runs: Vec<Run> = sql_query(include_str!("../sql/take_received_before.sql"))
                    .bind::<BigInt, _>(dataset.as_i64())
                    .bind::<Timestamptz, _>(received_before)
                    .bind::<BigInt, _>(RUNS_OF_A_STEP)
                    .prepared()
                    .load(connection)
                    .await?;
                let before: Vec<Number> = sql_query(include_str!("../sql/received_before.sql"))
                    .bind::<BigInt, _>(dataset.as_i64())
                    .bind::<Timestamptz, _>(received_before)
                    .bind::<Array<BigInt>, _>(runs.iter().map(|run| run.first_number).collect::<Vec<_>>())
                    .bind::<Array<BigInt>, _>(runs.iter().map(|run| run.last_number).collect::<Vec<_>>())
                    .bind::<Array<Date>, _>(runs.iter().map(|run| run.day).collect::<Vec<NaiveDate>>())
                    .prepared()
                    .load(connection)
                    .await?;
                let before: HashSet<i64> = before.into_iter().map(|row| row.event_number).collect();
                let known = events_of(connection, &runs).await?;
                let mut lanes: HashMap<&str, Vec<RetryRow<'_>>> = HashMap::new();
                let (mut outcomes, mut stay) = (Vec::new(), Vec::new());
                for (run, number) in runs
                    .iter()
                    .flat_map(|run| run.numbers().map(move |number| (run, number)))
                {
                    let event = known.get(&(run.dataset_id, number));
                    // What is newer stays, and what has no row: it is told of as missing when its turn comes.
                    let Some(event) = event.filter(|_| before.contains(&number)) else {
                        stay.push(ReadyEvent {
                            dataset_id: run.dataset_id,
                            test_event_code: &run.test_event_code,
                            event_number: number,
                            day: run.day,
                            retries: run.retries,
                            send_by: event.map_or(run.send_by, |event| event.send_by.timestamp()),
                        });
                        continue;
                    };
                    outcomes.push(EventOutcome {
                        dataset_id: run.dataset_id,
                        outcome: Outcome::SetAside,
                        event_number: Some(number),
                        event_name: Some(&event.event_name),
                        event_id: Some(&event.event_id),
                        key_id: None,
                        request_id: None,
                        detail: Some(note),
                        event_count: 1,
                    });
                    lanes.entry(&run.test_event_code).or_default().push(RetryRow {
                        number,
                        day: run.day,
                        name: Some(&event.event_name),
                        id: Some(&event.event_id),
                        send_by: Some(event.send_by),
                        retries: run.retries,
                        delay: None,
                        reason: Some(DeadLetterReason::SetAside),
                        failed_alone: false,
                    });
                }
                let count = i64::try_from(outcomes.len()).unwrap_or(i64::MAX);
                for (code, rows) in lanes {
                    insert(connection, dataset, code, &LastError::said(note), rows).await?;
                }
                send_queue::insert_ready(connection, stay.into_iter()).await?;
                event_outcomes::insert(connection, outcomes.into_iter()).await?;
                Ok(count)
            })
            .await
    }

    /// One step; 0 when nothing is left.
    async fn set_waiting_aside(
        &self,
        dataset: DatasetId,
        received_before: DateTime<Utc>,
        note: &str,
    ) -> Result<i64, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let rows: Vec<NamedRow> = sql_query(include_str!("../sql/set_waiting_aside.sql"))
                    .bind::<BigInt, _>(dataset.as_i64())
                    .bind::<Timestamptz, _>(received_before)
                    .bind::<BigInt, _>(WAITING_OF_A_STEP)
                    .prepared()
                    .load(connection)
                    .await?;
                let outcomes = rows.iter().map(|row| EventOutcome {
                    detail: Some(note),
                    ..row.outcome(Outcome::SetAside)
                });
                event_outcomes::insert(connection, outcomes).await?;
                Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
            })
            .await
    }
}
