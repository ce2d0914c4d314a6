//! `meta_retry_queue`: events between a failure and the next attempt, and dead letters. What they say is in
//! `events`. Rows come with [`crate::send_batches`] and go back to `send_queue`.

mod dead_letters;
mod set_aside;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Date, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::event_outcomes::{self, EventOutcome, Outcome};
use crate::events::traceparent;
use crate::send_attempts::{self, AttemptRecord};
use crate::send_queue::{self, QueueStretch, ReadyEvent, Run};
use crate::statement::{Prepare, column};

pub use dead_letters::{DeadLetter, DeadLetterFilter, DeadLetterGroup, RetryCount, RetryRequest};
pub use set_aside::SetAside;

/// Why an event is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterReason {
    /// Meta will never take it as it is.
    Refused,
    /// No retry was left.
    Exhausted,
    /// It had become too old for Meta.
    Expired,
    /// Its row was gone.
    Missing,
    /// There is no such dataset any more.
    DatasetDeleted,
    /// An operator kept it from Meta, which most likely has it: see [`Store::set_aside`].
    SetAside,
}

impl DeadLetterReason {
    pub fn as_str(self) -> &'static str {
        match self {
            DeadLetterReason::Refused => "refused",
            DeadLetterReason::Exhausted => "exhausted",
            DeadLetterReason::Expired => "expired",
            DeadLetterReason::Missing => "missing",
            DeadLetterReason::DatasetDeleted => "dataset_deleted",
            DeadLetterReason::SetAside => "set_aside",
        }
    }
}

/// A row as it comes in. Without a delay it has a reason: a dead letter.
pub(crate) struct RetryRow<'r> {
    pub(crate) number: i64,
    pub(crate) day: NaiveDate,
    pub(crate) name: Option<&'r str>,
    pub(crate) id: Option<&'r str>,
    pub(crate) send_by: Option<DateTime<Utc>>,
    pub(crate) retries: i16,
    pub(crate) delay: Option<Duration>,
    pub(crate) reason: Option<DeadLetterReason>,
    /// The last attempt was a request of this event alone, on which Meta failed.
    pub(crate) failed_alone: bool,
}

/// What was said of the last attempt.
#[derive(Default)]
pub(crate) struct LastError {
    message: String,
    code: Option<i32>,
    subcode: Option<i32>,
}

impl LastError {
    pub(crate) fn of(attempt: &AttemptRecord) -> Self {
        LastError {
            message: attempt
                .error_message
                .as_deref()
                .map(send_attempts::clean)
                .unwrap_or_default(),
            code: attempt.error_code,
            subcode: attempt.error_subcode,
        }
    }

    fn said(message: &str) -> Self {
        LastError {
            message: message.to_owned(),
            ..LastError::default()
        }
    }

    pub(crate) fn expired() -> Self {
        LastError::said("too old for Meta when its turn came")
    }

    pub(crate) fn missing() -> Self {
        LastError::said("its row in events is gone, or its content was erased")
    }

    pub(crate) fn dataset_deleted() -> Self {
        LastError::said("there is no such dataset any more")
    }
}

/// Keeps events of one lane, as a part of the caller's transaction.
pub(crate) async fn insert(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    test_event_code: &str,
    error: &LastError,
    rows: Vec<RetryRow<'_>>,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sql_query(include_str!("sql/insert_retries.sql"))
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(test_event_code)
        .bind::<Text, _>(error.message.as_str())
        .bind::<Nullable<Integer>, _>(error.code)
        .bind::<Nullable<Integer>, _>(error.subcode)
        .bind::<Array<BigInt>, _>(column(&rows, |row| row.number))
        .bind::<Array<Date>, _>(column(&rows, |row| row.day))
        .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.name))
        .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.id))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |row| row.send_by))
        .bind::<Array<SmallInt>, _>(column(&rows, |row| row.retries))
        .bind::<Array<Nullable<BigInt>>, _>(column(&rows, |row| row.delay.map(milliseconds)))
        .bind::<Array<Nullable<Text>>, _>(column(&rows, |row| row.reason.map(DeadLetterReason::as_str)))
        .bind::<Array<Bool>, _>(column(&rows, |row| row.failed_alone))
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// An event taken out of one queue, on its way to the other.
#[derive(QueryableByName)]
struct MovedRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Text)]
    test_event_code: String,
    #[diesel(sql_type = BigInt)]
    event_number: i64,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = SmallInt)]
    retries: i16,
    #[diesel(sql_type = Timestamptz)]
    send_by: DateTime<Utc>,
}

/// An event whose request was traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedEvent {
    pub event_number: i64,
    pub request_id: String,
    pub traceparent: String,
}

/// An event and its names, for the log.
#[derive(QueryableByName)]
struct NamedRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = BigInt)]
    event_number: i64,
    #[diesel(sql_type = Nullable<Text>)]
    event_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    event_id: Option<String>,
}

#[derive(QueryableByName)]
struct StoredRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = BigInt)]
    event_number: i64,
    #[diesel(sql_type = Text)]
    event_name: String,
    #[diesel(sql_type = Text)]
    event_id: String,
    #[diesel(sql_type = Timestamptz)]
    send_by: DateTime<Utc>,
    #[diesel(sql_type = Bool)]
    too_old: bool,
}

#[derive(QueryableByName)]
struct DatasetRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
}

#[derive(QueryableByName)]
struct ExpiredRow {
    #[diesel(embed)]
    event: NamedRow,
    #[diesel(sql_type = Text)]
    detail: String,
}

impl Store {
    /// Makes events ready whose wait is over, at most `limit`, and returns how many those were.
    pub async fn requeue_due(&self, limit: i64) -> Result<usize, StoreError> {
        self.requeue_due_rows(limit).await.map(|due| due.len())
    }

    /// The same, and tells of those, at most `traced`, whose requests were traced.
    pub async fn requeue_due_traced(
        &self,
        limit: i64,
        traced: usize,
    ) -> Result<(usize, Vec<TracedEvent>), StoreError> {
        let due = self.requeue_due_rows(limit).await?;
        if due.is_empty() {
            return Ok((0, Vec::new()));
        }
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            event_number: i64,
            #[diesel(sql_type = Text)]
            request_id: String,
            #[diesel(sql_type = Nullable<Text>)]
            trace_id: Option<String>,
            #[diesel(sql_type = Nullable<Text>)]
            span_id: Option<String>,
        }
        let of = due.get(..traced).unwrap_or(&due);
        let rows: Vec<Row> = sql_query(include_str!("sql/traced_events.sql"))
            .bind::<Array<BigInt>, _>(column(of, |row| row.dataset_id))
            .bind::<Array<BigInt>, _>(column(of, |row| row.event_number))
            .bind::<Array<Date>, _>(column(of, |row| row.day))
            .prepared()
            .rows(self)
            .await?;
        let traced = rows.into_iter().filter_map(|row| {
            Some(TracedEvent {
                event_number: row.event_number,
                request_id: row.request_id,
                traceparent: traceparent(row.trace_id, row.span_id)?,
            })
        });
        Ok((due.len(), traced.collect()))
    }

    async fn requeue_due_rows(&self, limit: i64) -> Result<Vec<MovedRow>, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let due: Vec<MovedRow> = sql_query(include_str!("sql/requeue_due.sql"))
                    .bind::<BigInt, _>(limit)
                    .prepared()
                    .load(connection)
                    .await?;
                make_ready(connection, &due).await?;
                Ok(due)
            })
            .await
    }

    /// Gives datasets that are being probed something to be probed with: at most `limit` events each.
    /// `window`: how long before its opening a breaker looked at what failed.
    pub async fn requeue_for_probe(&self, limit: i64, window: Duration) -> Result<usize, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let chosen: Vec<MovedRow> = sql_query(include_str!("sql/requeue_for_probe.sql"))
                    .bind::<BigInt, _>(limit)
                    .bind::<BigInt, _>(milliseconds(window))
                    .prepared()
                    .load(connection)
                    .await?;
                make_ready(connection, &chosen).await?;
                Ok(chosen.len())
            })
            .await
    }

    /// After outages that ended: what waits, or ran out of retries since `window` before the breaker
    /// opened, is due again within `spread`, with all its retries unless it failed alone. At most `limit`
    /// of each dataset; returns how many. A transaction for each: one that fails keeps none of the others from
    /// it, and is told of in the end.
    ///
    /// The row of the breaker remembers that this is still to be done, so it happens whoever closed it, and
    /// also if that process died right after.
    pub async fn revive_after_outage(
        &self,
        window: Duration,
        spread: Duration,
        limit: i64,
    ) -> Result<usize, StoreError> {
        let ended: Vec<DatasetRow> = sql_query(include_str!("sql/ended_outages.sql"))
            .prepared()
            .rows(self)
            .await?;
        let (mut revived, mut failure) = (0, None);
        for DatasetRow { dataset_id } in ended {
            let reviving = self.revive_dataset(dataset_id, window, spread, limit);
            match reviving.await {
                Ok(count) => revived += count,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(revived), Err)
    }

    async fn revive_dataset(
        &self,
        dataset_id: i64,
        window: Duration,
        spread: Duration,
        limit: i64,
    ) -> Result<usize, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let locked: Vec<DatasetRow> = sql_query(include_str!("sql/lock_ended_outage.sql"))
                    .bind::<BigInt, _>(dataset_id)
                    .prepared()
                    .load(connection)
                    .await?;
                if locked.is_empty() {
                    return Ok(0);
                }
                let count = sql_query(include_str!("sql/revive_events.sql"))
                    .bind::<BigInt, _>(dataset_id)
                    .bind::<BigInt, _>(milliseconds(window))
                    .bind::<BigInt, _>(milliseconds(spread))
                    .bind::<BigInt, _>(limit)
                    .prepared()
                    .execute(connection)
                    .await?;
                if count == 0 {
                    sql_query(include_str!("sql/end_outage.sql"))
                        .bind::<BigInt, _>(dataset_id)
                        .bind::<BigInt, _>(milliseconds(spread))
                        .prepared()
                        .execute(connection)
                        .await?;
                }
                Ok(count)
            })
            .await
    }

    /// Makes dead letters of waiting events that became too old for Meta, at most `limit`.
    pub async fn expire_waiting(&self, limit: i64) -> Result<usize, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let rows: Vec<ExpiredRow> = sql_query(include_str!("sql/expire_waiting.sql"))
                    .bind::<BigInt, _>(limit)
                    .prepared()
                    .load(connection)
                    .await?;
                let outcomes = rows.iter().map(|row| EventOutcome {
                    detail: Some(&row.detail),
                    ..row.event.outcome(Outcome::Expired)
                });
                event_outcomes::insert(connection, outcomes).await?;
                Ok(rows.len())
            })
            .await
    }

    /// Makes dead letters of ready events that became too old for Meta before their turn came. Runs of this
    /// part of the queue are taken whole until they hold `limit` events. It reads all of the part.
    pub async fn expire_ready(&self, part: QueueStretch, limit: i64) -> Result<usize, StoreError> {
        let take = include_str!("sql/expired_ready.sql");
        let reason = (DeadLetterReason::Expired, Outcome::Expired);
        self.give_up_ready(take, part, limit, reason, LastError::expired())
            .await
    }

    /// The same of ready events whose dataset does not exist any more.
    pub async fn clear_deleted_datasets(&self, part: QueueStretch, limit: i64) -> Result<usize, StoreError> {
        let take = include_str!("sql/ready_of_deleted.sql");
        let reason = (DeadLetterReason::DatasetDeleted, Outcome::DatasetDeleted);
        self.give_up_ready(take, part, limit, reason, LastError::dataset_deleted())
            .await
    }

    async fn give_up_ready(
        &self,
        take: &'static str,
        part: QueueStretch,
        limit: i64,
        (reason, logged): (DeadLetterReason, Outcome),
        error: LastError,
    ) -> Result<usize, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let (after, last) = (part.after.clone(), part.last());
                let runs: Vec<Run> = sql_query(take)
                    .bind::<BigInt, _>(limit)
                    .bind::<BigInt, _>(after.dataset_id)
                    .bind::<Text, _>(after.test_event_code)
                    .bind::<BigInt, _>(after.first_number)
                    .bind::<BigInt, _>(last.dataset_id)
                    .bind::<Text, _>(last.test_event_code)
                    .bind::<BigInt, _>(last.first_number)
                    .prepared()
                    .load(connection)
                    .await?;
                let known = events_of(connection, &runs).await?;
                let mut lanes: HashMap<(i64, &str), Vec<RetryRow<'_>>> = HashMap::new();
                let (mut outcomes, mut stay) = (Vec::new(), Vec::new());
                for (run, number) in runs
                    .iter()
                    .flat_map(|run| run.numbers().map(move |number| (run, number)))
                {
                    let event = known.get(&(run.dataset_id, number));
                    // A run goes by its oldest event.
                    if let Some(event) =
                        event.filter(|event| reason == DeadLetterReason::Expired && !event.too_old)
                    {
                        stay.push(ReadyEvent {
                            dataset_id: run.dataset_id,
                            test_event_code: &run.test_event_code,
                            event_number: number,
                            day: run.day,
                            retries: run.retries,
                            send_by: event.send_by.timestamp(),
                        });
                        continue;
                    }
                    let name = event.map(|event| event.event_name.as_str());
                    let id = event.map(|event| event.event_id.as_str());
                    outcomes.push(EventOutcome {
                        event_number: Some(number),
                        event_name: name,
                        event_id: id,
                        ..EventOutcome::new(run.dataset_id, logged)
                    });
                    let lane = lanes.entry((run.dataset_id, &run.test_event_code)).or_default();
                    lane.push(RetryRow {
                        number,
                        day: run.day,
                        name,
                        id,
                        send_by: match event {
                            Some(event) => Some(event.send_by),
                            None => DateTime::from_timestamp(run.send_by, 0),
                        },
                        retries: run.retries,
                        delay: None,
                        reason: Some(reason),
                        failed_alone: false,
                    });
                }
                let given_up = outcomes.len();
                for ((dataset, code), rows) in lanes {
                    insert(connection, dataset_id(dataset)?, code, &error, rows).await?;
                }
                send_queue::insert_ready(connection, stay.into_iter()).await?;
                event_outcomes::insert(connection, outcomes.into_iter()).await?;
                Ok(given_up)
            })
            .await
    }
}

/// Puts what was taken out of this queue into the other one.
async fn make_ready(connection: &AsyncPgConnection, events: &[MovedRow]) -> Result<(), StoreError> {
    let events = events.iter().map(|row| ReadyEvent {
        dataset_id: row.dataset_id,
        test_event_code: &row.test_event_code,
        event_number: row.event_number,
        day: row.day,
        retries: row.retries,
        send_by: row.send_by.timestamp(),
    });
    send_queue::insert_ready(connection, events).await
}

/// What is stored of the events of runs, by dataset and number, as far as their rows are there.
async fn events_of(
    connection: &mut AsyncPgConnection,
    runs: &[Run],
) -> Result<HashMap<(i64, i64), StoredRow>, StoreError> {
    let rows: Vec<StoredRow> = sql_query(include_str!("sql/events_of_runs.sql"))
        .bind::<Array<BigInt>, _>(column(runs, |run| run.dataset_id))
        .bind::<Array<BigInt>, _>(column(runs, |run| run.first_number))
        .bind::<Array<BigInt>, _>(column(runs, |run| run.last_number))
        .bind::<Array<Date>, _>(column(runs, |run| run.day))
        .prepared()
        .load(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.dataset_id, row.event_number), row))
        .collect())
}

impl NamedRow {
    fn outcome(&self, outcome: Outcome) -> EventOutcome<'_> {
        EventOutcome {
            event_number: Some(self.event_number),
            event_name: self.event_name.as_deref(),
            event_id: self.event_id.as_deref(),
            ..EventOutcome::new(self.dataset_id, outcome)
        }
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
