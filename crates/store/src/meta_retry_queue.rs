//! `meta_retry_queue`: events between a failure and the next attempt, and dead letters. What they say is in `events`. Rows come
//! with [`crate::send_batches`] and go back to `send_queue`.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Date, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::event_outcomes::{self, EventOutcome, Outcome};
use crate::schema::meta_retry_queue as r;
use crate::send_attempts::{self, AttemptRecord};
use crate::send_queue::{self, ReadyEvent, Run};
use crate::statement::Prepare;

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
}

impl DeadLetterReason {
    pub fn as_str(self) -> &'static str {
        match self {
            DeadLetterReason::Refused => "refused",
            DeadLetterReason::Exhausted => "exhausted",
            DeadLetterReason::Expired => "expired",
            DeadLetterReason::Missing => "missing",
            DeadLetterReason::DatasetDeleted => "dataset_deleted",
        }
    }
}

/// Which dead letters are meant. Every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    pub dataset_id: Option<DatasetId>,
    /// Our numbers of the events.
    pub event_numbers: Option<Vec<i64>>,
    /// The clients' ids of the events.
    pub event_ids: Option<Vec<String>>,
    pub error_code: Option<i32>,
    pub failed_from: Option<DateTime<Utc>>,
    pub failed_before: Option<DateTime<Utc>>,
    pub reason: Option<DeadLetterReason>,
}

/// How to retry by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRequest<'r> {
    /// Changes nothing, only counts.
    pub dry_run: bool,
    /// Over how long they become due, so that they do not all come at once.
    pub spread: Duration,
    pub at_most: i64,
    /// The operator's request, and who asked and why, for the log.
    pub request_id: Uuid,
    pub note: &'r str,
}

/// What a retry by hand did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryCount {
    /// Dead letters that match and that Meta may still take.
    pub matched: i64,
    /// Those of them that are due again. At most as many as were asked for; none in a dry run.
    pub retried: i64,
    /// Dead letters that match and that Meta would refuse for their age. They stay.
    pub too_old: i64,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub dataset_id: DatasetId,
    pub event_number: i64,
    /// `None`: the event's row was gone.
    pub event_name: Option<String>,
    pub event_id: Option<String>,
    pub reason: String,
    pub retry_count: i16,
    pub last_error: String,
    pub error_code: Option<i32>,
    pub error_subcode: Option<i32>,
    pub failed_at: DateTime<Utc>,
    /// From then on Meta would refuse it.
    pub send_by: DateTime<Utc>,
}

/// How many dead letters there are for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterGroup {
    pub dataset_id: DatasetId,
    pub reason: String,
    pub error_code: Option<i32>,
    pub error_subcode: Option<i32>,
    pub count: i64,
    /// Those of them that Meta may still take.
    pub retryable: i64,
    pub first_failed_at: DateTime<Utc>,
    pub last_failed_at: DateTime<Utc>,
    /// What was said of the latest one.
    pub newest_error: String,
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
    fn column<'r, T>(rows: &[RetryRow<'r>], value: impl Fn(&RetryRow<'r>) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
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
struct ExpiredRow {
    #[diesel(embed)]
    event: NamedRow,
    #[diesel(sql_type = Text)]
    detail: String,
}

impl Store {
    /// Makes events ready whose wait is over, at most `limit`, and returns how many those were.
    pub async fn requeue_due(&self, limit: i64) -> Result<usize, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let due: Vec<MovedRow> = sql_query(include_str!("sql/requeue_due.sql"))
                    .bind::<BigInt, _>(limit)
                    .prepared()
                    .load(connection)
                    .await?;
                make_ready(connection, &due).await?;
                Ok(due.len())
            })
            .await
    }

    /// Gives datasets that are being probed something to be probed with: at most `limit` events each. `window`: how long
    /// before its opening a breaker looked at what failed.
    pub async fn requeue_for_probe(&self, limit: i64, window: Duration) -> Result<usize, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
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

    /// After outages that ended: what waits, or ran out of retries since `window` before the breaker opened, is due again
    /// within `spread`, with all its retries. At most `limit` of each dataset; returns how many.
    ///
    /// The row of the breaker remembers that this is still to be done, so it happens whoever closed it, and also if that
    /// process died right after.
    pub async fn revive_after_outage(
        &self,
        window: Duration,
        spread: Duration,
        limit: i64,
    ) -> Result<usize, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            dataset_id: i64,
        }
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let ended: Vec<Row> = sql_query(include_str!("sql/ended_outages.sql"))
                    .prepared()
                    .load(connection)
                    .await?;
                let mut revived = 0;
                for Row { dataset_id } in ended {
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
                    revived += count;
                }
                Ok(revived)
            })
            .await
    }

    /// Makes dead letters of waiting events that became too old for Meta, at most `limit`.
    pub async fn expire_waiting(&self, limit: i64) -> Result<usize, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
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

    /// Makes dead letters of ready events that became too old for Meta before their turn came. Runs of the queue are taken whole
    /// until they hold `limit` events. It may read the whole queue: for every minute or so.
    pub async fn expire_ready(&self, limit: i64) -> Result<usize, StoreError> {
        let take = include_str!("sql/expired_ready.sql");
        let reason = (DeadLetterReason::Expired, Outcome::Expired);
        self.give_up_ready(take, limit, reason, LastError::expired())
            .await
    }

    /// Makes dead letters of ready events whose dataset does not exist any more. Runs of the queue are taken whole until they
    /// hold `limit` events. It may read the whole queue: for every minute or so.
    pub async fn clear_deleted_datasets(&self, limit: i64) -> Result<usize, StoreError> {
        let take = include_str!("sql/ready_of_deleted.sql");
        let reason = (DeadLetterReason::DatasetDeleted, Outcome::DatasetDeleted);
        self.give_up_ready(take, limit, reason, LastError::dataset_deleted())
            .await
    }

    async fn give_up_ready(
        &self,
        take: &'static str,
        limit: i64,
        (reason, logged): (DeadLetterReason, Outcome),
        error: LastError,
    ) -> Result<usize, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let runs: Vec<Run> = sql_query(take)
                    .bind::<BigInt, _>(limit)
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
                        dataset_id: run.dataset_id,
                        outcome: logged,
                        event_number: Some(number),
                        event_name: name,
                        event_id: id,
                        key_id: None,
                        request_id: None,
                        detail: None,
                        event_count: 1,
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

    /// Deletes dead letters of days whose events are not kept any more, at most `limit`; returns how many.
    pub async fn purge_dead_letters(&self, keep_days: i32, limit: i64) -> Result<usize, StoreError> {
        let purged = sql_query(include_str!("sql/purge_dead_letters.sql"))
            .bind::<Integer, _>(keep_days)
            .bind::<BigInt, _>(limit)
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(purged)
    }

    /// Sends dead letters again, with all their retries; those closest to being too old first. Who asked is logged.
    pub async fn retry_failed(
        &self,
        filter: &DeadLetterFilter,
        request: &RetryRequest<'_>,
    ) -> Result<RetryCount, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            matched: i64,
            #[diesel(sql_type = BigInt)]
            too_old: i64,
        }
        macro_rules! filtered {
            ($file:literal) => {
                sql_query(include_str!($file))
                    .bind::<Nullable<BigInt>, _>(filter.dataset_id.map(DatasetId::as_i64))
                    .bind::<Nullable<Array<BigInt>>, _>(filter.event_numbers.as_deref())
                    .bind::<Nullable<Array<Text>>, _>(filter.event_ids.as_deref())
                    .bind::<Nullable<Integer>, _>(filter.error_code)
                    .bind::<Nullable<Timestamptz>, _>(filter.failed_from)
                    .bind::<Nullable<Timestamptz>, _>(filter.failed_before)
                    .bind::<Nullable<Text>, _>(filter.reason.map(DeadLetterReason::as_str))
            };
        }
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                let counted: Row = filtered!("sql/count_dead_letters.sql")
                    .prepared()
                    .get_result(connection)
                    .await?;
                let mut retried: Vec<NamedRow> = Vec::new();
                if !request.dry_run {
                    retried = filtered!("sql/retry_failed.sql")
                        .bind::<BigInt, _>(request.at_most)
                        .bind::<BigInt, _>(milliseconds(request.spread))
                        .prepared()
                        .load(connection)
                        .await?;
                }
                let outcomes = retried.iter().map(|row| EventOutcome {
                    request_id: Some(request.request_id),
                    detail: Some(request.note),
                    ..row.outcome(Outcome::Retried)
                });
                event_outcomes::insert(connection, outcomes).await?;
                Ok(RetryCount {
                    matched: counted.matched,
                    retried: i64::try_from(retried.len()).unwrap_or(i64::MAX),
                    too_old: counted.too_old,
                })
            })
            .await
    }

    /// Dead letters by dataset, reason and Meta's code. Of the filter, dataset, reason and code count.
    pub async fn dead_letter_groups(
        &self,
        filter: &DeadLetterFilter,
    ) -> Result<Vec<DeadLetterGroup>, StoreError> {
        let rows: Vec<GroupRow> = sql_query(include_str!("sql/dead_letter_groups.sql"))
            .bind::<Nullable<BigInt>, _>(filter.dataset_id.map(DatasetId::as_i64))
            .bind::<Nullable<Integer>, _>(filter.error_code)
            .bind::<Nullable<Text>, _>(filter.reason.map(DeadLetterReason::as_str))
            .prepared()
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter().map(DeadLetterGroup::try_from).collect()
    }

    /// Dead letters in the order of their numbers, from behind `after`, at most `limit`. Of the filter, dataset,
    /// reason and code count.
    pub async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: i64,
        limit: i64,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut query = r::table
            .filter(r::status.eq("failed").and(r::event_number.gt(after)))
            .select(DeadLetterRow::as_select())
            .into_boxed();
        if let Some(dataset) = filter.dataset_id {
            query = query.filter(r::dataset_id.eq(dataset.as_i64()));
        }
        if let Some(code) = filter.error_code {
            query = query.filter(r::error_code.eq(code));
        }
        if let Some(reason) = filter.reason {
            query = query.filter(r::reason.eq(reason.as_str()));
        }
        let rows: Vec<DeadLetterRow> = query
            .order(r::event_number)
            .limit(limit)
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter().map(DeadLetter::try_from).collect()
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
    let column = |value: fn(&Run) -> i64| runs.iter().map(value).collect::<Vec<_>>();
    let days: Vec<NaiveDate> = runs.iter().map(|run| run.day).collect();
    let rows: Vec<StoredRow> = sql_query(include_str!("sql/events_of_runs.sql"))
        .bind::<Array<BigInt>, _>(column(|run| run.dataset_id))
        .bind::<Array<BigInt>, _>(column(|run| run.first_number))
        .bind::<Array<BigInt>, _>(column(|run| run.last_number))
        .bind::<Array<Date>, _>(days)
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
            dataset_id: self.dataset_id,
            outcome,
            event_number: Some(self.event_number),
            event_name: self.event_name.as_deref(),
            event_id: self.event_id.as_deref(),
            key_id: None,
            request_id: None,
            detail: None,
            event_count: 1,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = r)]
struct DeadLetterRow {
    dataset_id: i64,
    event_number: i64,
    event_name: Option<String>,
    event_id: Option<String>,
    reason: Option<String>,
    retry_count: i16,
    last_error: String,
    error_code: Option<i32>,
    error_subcode: Option<i32>,
    failed_at: DateTime<Utc>,
    send_by: DateTime<Utc>,
}

impl TryFrom<DeadLetterRow> for DeadLetter {
    type Error = StoreError;

    fn try_from(row: DeadLetterRow) -> Result<Self, StoreError> {
        Ok(DeadLetter {
            dataset_id: dataset_id(row.dataset_id)?,
            event_number: row.event_number,
            event_name: row.event_name,
            event_id: row.event_id,
            reason: row.reason.ok_or(StoreError::Invalid { what: "dead letter" })?,
            retry_count: row.retry_count,
            last_error: row.last_error,
            error_code: row.error_code,
            error_subcode: row.error_subcode,
            failed_at: row.failed_at,
            send_by: row.send_by,
        })
    }
}

#[derive(QueryableByName)]
struct GroupRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = Nullable<Integer>)]
    error_code: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    error_subcode: Option<i32>,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = BigInt)]
    retryable: i64,
    #[diesel(sql_type = Timestamptz)]
    first_failed_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    last_failed_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    newest_error: String,
}

impl TryFrom<GroupRow> for DeadLetterGroup {
    type Error = StoreError;

    fn try_from(row: GroupRow) -> Result<Self, StoreError> {
        Ok(DeadLetterGroup {
            dataset_id: dataset_id(row.dataset_id)?,
            reason: row.reason,
            error_code: row.error_code,
            error_subcode: row.error_subcode,
            count: row.count,
            retryable: row.retryable,
            first_failed_at: row.first_failed_at,
            last_failed_at: row.last_failed_at,
            newest_error: row.newest_error,
        })
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
