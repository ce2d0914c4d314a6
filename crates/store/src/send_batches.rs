//! `send_batches`: requests on their way to Meta. Every statement after the claim names the fence, and writes
//! nothing if the batch has a newer owner.

mod settle;
mod split;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{self, Array, BigInt, Bool, Date, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::events::traceparent;
use crate::meta_retry_queue::DeadLetterReason;
use crate::schema::send_batches as b;
use crate::send_attempts::AttemptRecord;
use crate::send_queue::{self, ReadyEvent, ReadyLane, Run};
use crate::statement::Prepare;

/// A batch and which of its owners one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchId {
    pub dataset_id: DatasetId,
    pub batch_id: i64,
    /// Grows with each owner.
    pub fence: i32,
}

/// Events that go to Meta in one request, owned until the lease ends.
#[derive(Clone, Debug)]
pub struct Batch {
    pub id: BatchId,
    /// 1 for the first attempt. Counted at the claim, so that a batch that kills its sender is counted too.
    pub attempt: i32,
    pub test_event_code: String,
    /// By the database's clock.
    pub lease_expires_at: DateTime<Utc>,
    /// In the order of their numbers.
    pub events: Vec<QueuedEvent>,
    /// Events whose row is gone or erased. They are not sent; settling the batch makes dead letters of them.
    pub missing: Vec<MissingEvent>,
}

/// One event of a batch.
#[derive(Clone, Debug)]
pub struct QueuedEvent {
    pub number: i64,
    /// The day of receipt, which says where the event is stored.
    pub day: NaiveDate,
    /// Retries behind it.
    pub retries: i16,
    pub name: String,
    pub id: String,
    /// From then on Meta would refuse it.
    pub send_by: DateTime<Utc>,
    /// Whether that was so when its batch was claimed or split: it would cost every other event of the
    /// request as well.
    pub too_old: bool,
    pub request_id: Uuid,
    pub traceparent: Option<String>,
    /// The finished server event as JSON.
    pub payload: String,
}

/// An event of which only the queue still knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingEvent {
    pub number: i64,
    pub day: NaiveDate,
    pub retries: i16,
}

/// Where an event goes after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Meta took it.
    Done,
    /// Tried again after the delay, with so many retries behind it. The delay of an event that is only parked
    /// costs it none.
    Wait { delay: Duration, retries: i16 },
    /// Kept for an operator.
    Dead(DeadLetterReason),
}

#[derive(QueryableByName)]
struct NewBatchRow {
    #[diesel(sql_type = BigInt)]
    batch_id: i64,
    #[diesel(sql_type = Timestamptz)]
    lease_expires_at: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct BatchRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = BigInt)]
    batch_id: i64,
    #[diesel(sql_type = Integer)]
    fence: i32,
    #[diesel(sql_type = Integer)]
    attempt: i32,
    #[diesel(sql_type = Text)]
    test_event_code: String,
    #[diesel(sql_type = Array<BigInt>)]
    event_numbers: Vec<i64>,
    #[diesel(sql_type = Array<SmallInt>)]
    retries: Vec<i16>,
    #[diesel(sql_type = Date)]
    first_day: NaiveDate,
    #[diesel(sql_type = Date)]
    last_day: NaiveDate,
    #[diesel(sql_type = Timestamptz)]
    lease_expires_at: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct EventRow {
    #[diesel(sql_type = BigInt)]
    event_number: i64,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = Text)]
    event_name: String,
    #[diesel(sql_type = Text)]
    event_id: String,
    #[diesel(sql_type = Timestamptz)]
    send_by: DateTime<Utc>,
    #[diesel(sql_type = Bool)]
    too_old: bool,
    #[diesel(sql_type = sql_types::Uuid)]
    request_id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    trace_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    span_id: Option<String>,
    #[diesel(sql_type = Text)]
    payload: String,
}

/// What makes up a batch before its events are read.
struct Contents<'c> {
    dataset_id: DatasetId,
    test_event_code: &'c str,
    numbers: Vec<i64>,
    retries: Vec<i16>,
    first_day: NaiveDate,
    last_day: NaiveDate,
}

impl Contents<'_> {
    /// The first and the last number of each run of consecutive ones.
    fn runs(&self) -> (Vec<i64>, Vec<i64>) {
        let mut numbers = self.numbers.clone();
        numbers.sort_unstable();
        let runs = numbers.chunk_by(|one, next| one + 1 == *next);
        runs.map(|run| (run[0], run[run.len() - 1])).unzip()
    }
}

impl Store {
    /// Makes a batch of the oldest ready events of a lane, at most `limit` of them. `None`: others were
    /// faster, or the breaker changed since the lane was looked at.
    pub async fn claim_batch(
        &self,
        ready: &ReadyLane,
        limit: usize,
        lease: Duration,
        owner: &str,
    ) -> Result<Option<Batch>, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| claim(connection, ready, limit, lease, owner).await)
            .await
    }

    /// Becomes the owner of a batch whose owner let its lease end, but not of one of the datasets in
    /// `except`. `None`: there is none.
    pub async fn take_over_batch(
        &self,
        except: &[DatasetId],
        lease: Duration,
        owner: &str,
    ) -> Result<Option<Batch>, StoreError> {
        let except: Vec<i64> = except.iter().map(|dataset| dataset.as_i64()).collect();
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let rows: Vec<BatchRow> = sql_query(include_str!("sql/take_over.sql"))
                    .bind::<BigInt, _>(seconds(lease))
                    .bind::<Text, _>(owner)
                    .bind::<Array<BigInt>, _>(except)
                    .prepared()
                    .load(connection)
                    .await?;
                match rows.into_iter().next() {
                    Some(row) => Ok(Some(read_batch(connection, row).await?)),
                    None => Ok(None),
                }
            })
            .await
    }

    /// Each event of the batch goes where its fate says, all or none of them. The attempt is logged for every
    /// event but those that expired or whose dataset was deleted, which were not in the request. `false`: the
    /// batch has another owner, or was settled before; nothing was written.
    pub async fn settle_batch(
        &self,
        batch: &Batch,
        fates: &[Fate],
        attempt: Option<&AttemptRecord>,
    ) -> Result<bool, StoreError> {
        debug_assert_eq!(fates.len(), batch.events.len(), "every event has a fate");
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| settle::settle(connection, batch, fates, attempt).await)
            .await
    }

    /// Splits a batch of at least two events into halves that are both ours, for a new lease, and logs the
    /// attempt that showed the need. `None`: the batch has another owner, and nothing was written.
    pub async fn split_batch(
        &self,
        batch: Batch,
        attempt: Option<&AttemptRecord>,
        lease: Duration,
    ) -> Result<Option<(Batch, Batch)>, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| split::split(connection, batch, attempt, lease).await)
            .await
    }

    /// Gives a batch back that was not sent: its events are ready again. `false`: it has another owner, and
    /// nothing was written.
    pub async fn release_batch(&self, batch: &Batch) -> Result<bool, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                if !delete(connection, batch.id).await? {
                    return Ok(false);
                }
                let connection = &*connection;
                send_queue::insert_ready(connection, batch.events.iter().map(|event| ready(batch, event)))
                    .await?;
                settle::dead_letter_missing(connection, batch).await?;
                Ok(true)
            })
            .await
    }

    /// Makes leases last from now again. Returns the batches that are still ours.
    pub async fn renew_leases(
        &self,
        batches: &[BatchId],
        lease: Duration,
    ) -> Result<Vec<BatchId>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            dataset_id: i64,
            #[diesel(sql_type = BigInt)]
            batch_id: i64,
            #[diesel(sql_type = Integer)]
            fence: i32,
        }
        let column = |value: fn(&BatchId) -> i64| batches.iter().map(value).collect::<Vec<_>>();
        let fences: Vec<i32> = batches.iter().map(|batch| batch.fence).collect();
        let rows: Vec<Row> = sql_query(include_str!("sql/renew_leases.sql"))
            .bind::<Array<BigInt>, _>(column(|batch| batch.dataset_id.as_i64()))
            .bind::<Array<BigInt>, _>(column(|batch| batch.batch_id))
            .bind::<Array<Integer>, _>(fences)
            .bind::<BigInt, _>(seconds(lease))
            .prepared()
            .rows(self)
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(BatchId {
                    dataset_id: dataset_id(row.dataset_id)?,
                    batch_id: row.batch_id,
                    fence: row.fence,
                })
            })
            .collect()
    }

    /// Makes the events of lapsed batches ready whose dataset is left alone: they may be all that it can be
    /// probed with. At most `limit` batches; returns how many.
    pub async fn dissolve_lapsed(&self, limit: i64) -> Result<usize, StoreError> {
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let rows: Vec<BatchRow> = sql_query(include_str!("sql/lapsed_of_open.sql"))
                    .bind::<BigInt, _>(limit)
                    .prepared()
                    .load(connection)
                    .await?;
                let count = rows.len();
                for row in rows {
                    let batch = read_batch(connection, row).await?;
                    let events = batch.events.iter().map(|event| ready(&batch, event));
                    send_queue::insert_ready(connection, events).await?;
                    settle::dead_letter_missing(connection, &batch).await?;
                }
                Ok(count)
            })
            .await
    }
}

async fn claim(
    connection: &mut AsyncPgConnection,
    ready: &ReadyLane,
    limit: usize,
    lease: Duration,
    owner: &str,
) -> Result<Option<Batch>, StoreError> {
    let lane = &ready.lane;
    let locked = send_queue::lock(connection, ready, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    let days = locked.runs.iter().map(|run| run.day);
    let (Some(first_day), Some(last_day)) = (days.clone().min(), days.max()) else {
        return Ok(None);
    };
    let contents = Contents {
        dataset_id: lane.dataset_id,
        test_event_code: &lane.test_event_code,
        numbers: locked.runs.iter().flat_map(Run::numbers).collect(),
        retries: locked
            .runs
            .iter()
            .flat_map(|run| run.numbers().map(|_| run.retries))
            .collect(),
        first_day,
        last_day,
    };
    let connection = &*connection;
    let ((), (batch_id, lease_expires_at), events) = tokio::try_join!(
        send_queue::take(connection, lane, &locked),
        insert_batch(connection, &contents, 1, lease, owner),
        load_events(connection, &contents),
    )?;
    let id = BatchId {
        dataset_id: lane.dataset_id,
        batch_id,
        fence: 1,
    };
    Ok(Some(assemble(id, 1, contents, lease_expires_at, events)))
}

async fn insert_batch(
    mut connection: &AsyncPgConnection,
    contents: &Contents<'_>,
    attempt: i32,
    lease: Duration,
    owner: &str,
) -> Result<(i64, DateTime<Utc>), StoreError> {
    let row: NewBatchRow = sql_query(include_str!("sql/insert_batch.sql"))
        .bind::<BigInt, _>(contents.dataset_id.as_i64())
        .bind::<Text, _>(contents.test_event_code)
        .bind::<Array<BigInt>, _>(&contents.numbers)
        .bind::<Array<SmallInt>, _>(&contents.retries)
        .bind::<Date, _>(contents.first_day)
        .bind::<Date, _>(contents.last_day)
        .bind::<Integer, _>(attempt)
        .bind::<BigInt, _>(seconds(lease))
        .bind::<Text, _>(owner)
        .prepared()
        .get_result(&mut connection)
        .await?;
    Ok((row.batch_id, row.lease_expires_at))
}

async fn load_events(
    mut connection: &AsyncPgConnection,
    contents: &Contents<'_>,
) -> Result<Vec<EventRow>, StoreError> {
    let (first_numbers, last_numbers) = contents.runs();
    let rows = sql_query(include_str!("sql/load_events.sql"))
        .bind::<BigInt, _>(contents.dataset_id.as_i64())
        .bind::<Array<BigInt>, _>(first_numbers)
        .bind::<Array<BigInt>, _>(last_numbers)
        .bind::<Date, _>(contents.first_day)
        .bind::<Date, _>(contents.last_day)
        .prepared()
        .load(&mut connection)
        .await?;
    Ok(rows)
}

/// A batch of another owner's, with its events.
async fn read_batch(connection: &AsyncPgConnection, row: BatchRow) -> Result<Batch, StoreError> {
    let contents = Contents {
        dataset_id: dataset_id(row.dataset_id)?,
        test_event_code: &row.test_event_code,
        // Batches that are older than this schema have no list where no event was tried before.
        retries: match row.retries.is_empty() {
            true => vec![0; row.event_numbers.len()],
            false => row.retries,
        },
        numbers: row.event_numbers,
        first_day: row.first_day,
        last_day: row.last_day,
    };
    let events = load_events(connection, &contents).await?;
    let id = BatchId {
        dataset_id: contents.dataset_id,
        batch_id: row.batch_id,
        fence: row.fence,
    };
    Ok(assemble(id, row.attempt, contents, row.lease_expires_at, events))
}

/// Puts a batch together, telling events that were found from those that were not.
fn assemble(
    id: BatchId,
    attempt: i32,
    contents: Contents<'_>,
    lease_expires_at: DateTime<Utc>,
    events: Vec<EventRow>,
) -> Batch {
    let mut found: HashMap<i64, EventRow> = events
        .into_iter()
        .filter(|event| !event.payload.is_empty())
        .map(|event| (event.event_number, event))
        .collect();
    let mut batch = Batch {
        id,
        attempt,
        test_event_code: contents.test_event_code.to_owned(),
        lease_expires_at,
        events: Vec::with_capacity(found.len()),
        missing: Vec::new(),
    };
    for (number, retries) in contents.numbers.into_iter().zip(contents.retries) {
        match found.remove(&number) {
            Some(row) => batch.events.push(QueuedEvent {
                number,
                day: row.day,
                retries,
                name: row.event_name,
                id: row.event_id,
                send_by: row.send_by,
                too_old: row.too_old,
                request_id: row.request_id,
                traceparent: traceparent(row.trace_id, row.span_id),
                payload: row.payload,
            }),
            None => batch.missing.push(MissingEvent {
                number,
                day: contents.first_day,
                retries,
            }),
        }
    }
    batch.events.sort_unstable_by_key(|event| event.number);
    batch
}

/// Ends our ownership. `false`: it had ended already.
async fn delete(connection: &mut AsyncPgConnection, batch: BatchId) -> Result<bool, StoreError> {
    let deleted = diesel::delete(b::table.find((batch.dataset_id.as_i64(), batch.batch_id)))
        .filter(b::fence.eq(batch.fence))
        .execute(connection)
        .await?;
    Ok(deleted == 1)
}

fn ready<'b>(batch: &'b Batch, event: &QueuedEvent) -> ReadyEvent<'b> {
    ReadyEvent {
        dataset_id: batch.id.dataset_id.as_i64(),
        test_event_code: &batch.test_event_code,
        event_number: event.number,
        day: event.day,
        retries: event.retries,
        send_by: event.send_by.timestamp(),
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_numbers_are_read_as_one_run() {
        let runs = |numbers: &[i64]| {
            let contents = Contents {
                dataset_id: 1.try_into().unwrap(),
                test_event_code: "",
                numbers: numbers.to_vec(),
                retries: vec![0; numbers.len()],
                first_day: NaiveDate::default(),
                last_day: NaiveDate::default(),
            };
            let (first, last) = contents.runs();
            first.into_iter().zip(last).collect::<Vec<_>>()
        };
        assert_eq!(runs(&[5, 6, 7]), [(5, 7)]);
        // As they come back from waiting.
        assert_eq!(runs(&[8, 3, 4, 1, 9]), [(1, 1), (3, 4), (8, 9)]);
        assert_eq!(runs(&[]), []);
    }
}
