//! `send_batches`: requests on their way to Meta. Every statement after the claim names the fence, and writes nothing if
//! the batch has a newer owner.

use std::marker::PhantomData;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{
    self, Array, BigInt, Binary, Bool, Date, Integer, Nullable, SmallInt, Text, Timestamptz,
};
use diesel_async::RunQueryDsl;
use rastro_core::dataset::DatasetId;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::StoreError;
use crate::meta_events_log::AttemptRecord;
use crate::segment;
use crate::send_queue::ReadyLane;
use crate::statement::{only_row, statement};

/// A batch and which of its owners one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// In the order of their numbers.
    pub events: Vec<QueuedEvent>,
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
    /// Whether that was so when its batch was claimed or cut: it would cost every other event of the request as well.
    pub too_old: bool,
    pub request_id: Uuid,
    pub traceparent: Option<String>,
    /// The finished server event as JSON.
    pub payload: String,
}

/// Where an event goes after an attempt of which not everything went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Meta took it.
    Done,
    /// Back to the events that are ready, as if it had not been claimed.
    Release,
    /// Tried again after the delay, with so many retries behind it.
    Wait { delay: Duration, retries: i16 },
    /// Kept for an operator.
    Dead(DeadLetterReason),
}

/// Why an event is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterReason {
    /// Meta will never take it as it is.
    Refused,
    /// No retry was left.
    Exhausted,
    /// It had become too old for Meta.
    Expired,
}

impl DeadLetterReason {
    pub fn as_str(self) -> &'static str {
        match self {
            DeadLetterReason::Refused => "refused",
            DeadLetterReason::Exhausted => "exhausted",
            DeadLetterReason::Expired => "expired",
        }
    }
}

/// How a request counts for the circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Meta answered, if only to refuse an event.
    Alive,
    Failing,
    /// The request says nothing about Meta's health, or there was none.
    None,
}

impl Evidence {
    fn failed(self) -> Option<bool> {
        match self {
            Evidence::Alive => Some(false),
            Evidence::Failing => Some(true),
            Evidence::None => None,
        }
    }
}

/// A batch, the database's time, and one of the batch's segments.
type BatchRow = ((i64, i64, i32, i32, String, DateTime<Utc>), SegmentRow);
type BatchSql = ((BigInt, BigInt, Integer, Integer, Text, Timestamptz), SegmentSql);

/// A segment's number and day, which of its events are meant with the retries behind each, its heads and its body.
type SegmentRow = (i64, NaiveDate, Vec<i64>, Vec<i16>, String, Vec<u8>);
type SegmentSql = (BigInt, Date, Array<BigInt>, Array<SmallInt>, Text, Binary);

impl Store {
    /// Makes the oldest ready events of a lane, at most `limit`, into a batch that is ours for the length of the lease. `owner`
    /// is for people to read.
    ///
    /// `None` if nothing was ready from the lane's [`first_number`](ReadyLane) on, or its breaker is no longer the one that let
    /// it. The cost does not depend on what waits behind the batch. Of the rows that have left the queue and cannot be cleaned up
    /// yet, only those of since that look are in the way.
    pub async fn claim_batch(
        &self,
        ready: &ReadyLane,
        limit: u16,
        lease: Duration,
        owner: &str,
    ) -> Result<Option<Batch>, StoreError> {
        let statement = Claim {
            dataset_id: ready.lane.dataset_id.as_i64(),
            test_event_code: &ready.lane.test_event_code,
            limit: i64::from(limit),
            lease_seconds: seconds(lease),
            owner,
            first_number: ready.first_number,
            generation: ready.breaker.generation,
            lifetime: PhantomData,
        };
        batch_from_rows(statement.load(&mut self.connection().await?).await?)
    }

    /// Takes over one batch whose owner let the lease end, of a dataset whose breaker lets it.
    pub async fn take_over_batch(&self, lease: Duration, owner: &str) -> Result<Option<Batch>, StoreError> {
        let statement = TakeOver {
            lease_seconds: seconds(lease),
            owner,
            lifetime: PhantomData,
        };
        batch_from_rows(statement.load(&mut self.connection().await?).await?)
    }

    /// Ends a batch all of which Meta took. `false`: the lease was lost to another owner, and nothing was written.
    pub async fn finish_batch(&self, batch: &Batch, attempt: &AttemptRecord) -> Result<bool, StoreError> {
        let statement = Finish {
            dataset_id: batch.id.dataset_id.as_i64(),
            batch_id: batch.id.batch_id,
            fence: batch.id.fence,
            numbers: column(batch, |event| event.number),
            names: column(batch, |event| event.name.as_str()),
            ids: column(batch, |event| event.id.as_str()),
            request_ids: column(batch, |event| event.request_id),
            http_status: attempt.http_status.and_then(|status| i16::try_from(status).ok()),
            fbtrace_id: attempt.fbtrace_id.as_deref(),
            latency_ms: attempt.latency_ms,
            lifetime: PhantomData,
        };
        let owned: i64 = only_row(statement.load(&mut self.connection().await?).await?)?;
        Ok(owned == 1)
    }

    /// Ends a batch with a fate for each of its events, in their order. `false`: the lease was lost to another owner, and
    /// nothing was written.
    pub async fn settle_batch(
        &self,
        batch: &Batch,
        attempt: &AttemptRecord,
        fates: &[Fate],
        evidence: Evidence,
    ) -> Result<bool, StoreError> {
        assert_eq!(
            batch.events.len(),
            fates.len(),
            "every event of a batch has a fate"
        );
        let fate_names = fates.iter().map(|fate| match fate {
            Fate::Done => "done",
            Fate::Release => "release",
            Fate::Wait { .. } => "wait",
            Fate::Dead(_) => "dead",
        });
        let delays = fates.iter().map(|fate| match fate {
            Fate::Wait { delay, .. } => Some(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)),
            _ => None,
        });
        let retries = batch.events.iter().zip(fates).map(|(event, fate)| match fate {
            Fate::Wait { retries, .. } => *retries,
            _ => event.retries,
        });
        let reasons = fates.iter().map(|fate| match fate {
            Fate::Dead(reason) => Some(reason.as_str()),
            _ => None,
        });
        // What is kept for another attempt, or for an operator.
        let kept = batch.events.iter().zip(fates).map(|(event, fate)| match fate {
            Fate::Wait { .. } | Fate::Dead(_) => Some(event.payload.as_str()),
            Fate::Done | Fate::Release => None,
        });
        let statement = Settle {
            dataset_id: batch.id.dataset_id.as_i64(),
            batch_id: batch.id.batch_id,
            fence: batch.id.fence,
            numbers: column(batch, |event| event.number),
            days: column(batch, |event| event.day),
            names: column(batch, |event| event.name.as_str()),
            ids: column(batch, |event| event.id.as_str()),
            request_ids: column(batch, |event| event.request_id),
            fates: fate_names.collect(),
            retries: retries.collect(),
            delays_ms: delays.collect(),
            reasons: reasons.collect(),
            http_status: attempt.http_status.and_then(|status| i16::try_from(status).ok()),
            error_code: attempt.error_code,
            error_subcode: attempt.error_subcode,
            error_message: attempt.error_message.as_deref().unwrap_or_default(),
            fbtrace_id: attempt.fbtrace_id.as_deref(),
            latency_ms: attempt.latency_ms,
            failed: evidence.failed(),
            send_by: column(batch, |event| event.send_by),
            payloads: kept.collect(),
            lifetime: PhantomData,
        };
        let owned: i64 = only_row(statement.load(&mut self.connection().await?).await?)?;
        Ok(owned == 1)
    }

    /// Cuts a batch of at least two events in halves that are both ours, for a new lease. `None`: the lease was lost to
    /// another owner, and nothing was written. `answered`: whether Meta refused the whole, and so proved that it is alive.
    pub async fn split_batch(
        &self,
        batch: Batch,
        answered: bool,
        lease: Duration,
    ) -> Result<Option<(Batch, Batch)>, StoreError> {
        let statement = Split {
            dataset_id: batch.id.dataset_id.as_i64(),
            batch_id: batch.id.batch_id,
            fence: batch.id.fence,
            answered,
            lease_seconds: seconds(lease),
            lifetime: PhantomData,
        };
        let halves: Vec<(i64, i64, DateTime<Utc>)> = statement.load(&mut self.connection().await?).await?;
        let Some((_, _, now)) = halves.as_slice().first() else {
            return Ok(None);
        };
        let Batch {
            id,
            attempt,
            test_event_code,
            events: mut first,
        } = batch;
        // The parts before it may have taken their time.
        for event in &mut first {
            event.too_old = event.send_by <= *now;
        }
        let second = first.split_off(first.len() / 2);
        let half = |events: Vec<QueuedEvent>| {
            let first_number = events.iter().map(|event| event.number).next();
            let half = halves.iter().find(|(_, number, _)| Some(*number) == first_number);
            let &(batch_id, _, _) = half.ok_or(StoreError::Invalid {
                what: "batch: it was not cut in the middle",
            })?;
            let id = BatchId {
                batch_id,
                fence: 1,
                ..id
            };
            Ok::<_, StoreError>(Batch {
                id,
                attempt,
                test_event_code: test_event_code.clone(),
                events,
            })
        };
        Ok(Some((half(first)?, half(second)?)))
    }

    /// Makes a lease last from now again. `false`: it was lost to another owner.
    pub async fn renew_lease(&self, batch: BatchId, lease: Duration) -> Result<bool, StoreError> {
        let statement = Renew {
            dataset_id: batch.dataset_id.as_i64(),
            batch_id: batch.batch_id,
            fence: batch.fence,
            lease_seconds: seconds(lease),
            lifetime: PhantomData,
        };
        let owned: i64 = only_row(statement.load(&mut self.connection().await?).await?)?;
        Ok(owned == 1)
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn column<'b, T>(batch: &'b Batch, value: impl Fn(&'b QueuedEvent) -> T) -> Vec<T> {
    batch.events.iter().map(value).collect()
}

fn batch_from_rows(rows: Vec<BatchRow>) -> Result<Option<Batch>, StoreError> {
    let Some(((dataset_id, batch_id, fence, attempt, test_event_code, now), _)) = rows.as_slice().first()
    else {
        return Ok(None);
    };
    let dataset_id = (*dataset_id)
        .try_into()
        .map_err(|_| StoreError::Invalid { what: "dataset_id" })?;
    let (now, mut batch) = (
        *now,
        Batch {
            id: BatchId {
                dataset_id,
                batch_id: *batch_id,
                fence: *fence,
            },
            attempt: *attempt,
            test_event_code: test_event_code.clone(),
            events: Vec::new(),
        },
    );
    for (_, segment) in rows {
        add_events(&mut batch.events, segment, now)?;
    }
    batch.events.sort_unstable_by_key(|event| event.number);
    Ok(Some(batch))
}

/// Adds the events of one segment that belong to the batch.
fn add_events(events: &mut Vec<QueuedEvent>, row: SegmentRow, now: DateTime<Utc>) -> Result<(), StoreError> {
    const INVALID: StoreError = StoreError::Invalid { what: "segment" };
    let (segment_number, day, numbers, retries, heads, body) = row;
    let mut heads = segment::read_heads(&heads)?;
    let body = segment::read_body(body)?;
    let payloads: Vec<&str> = body.split('\n').collect();
    for (number, retries) in numbers.into_iter().zip(retries) {
        let line = usize::try_from(number - segment_number).map_err(|_| INVALID)?;
        let head = heads.get_mut(line).and_then(Option::take).ok_or(INVALID)?;
        let payload = *payloads.get(line).ok_or(INVALID)?;
        let send_by = DateTime::from_timestamp(head.send_by, 0).ok_or(INVALID)?;
        events.push(QueuedEvent {
            number,
            day,
            retries,
            name: head.name,
            id: head.id,
            send_by,
            too_old: send_by <= now,
            request_id: head.request_id,
            traceparent: head.traceparent,
            payload: payload.to_owned(),
        });
    }
    Ok(())
}

statement! {
    Claim<'b>("sql/claim.sql") -> BatchSql {
        dataset_id: i64 as BigInt,
        test_event_code: &'b str as Text,
        limit: i64 as BigInt,
        lease_seconds: i64 as BigInt,
        owner: &'b str as Text,
        first_number: i64 as BigInt,
        generation: i64 as BigInt,
    }
}

statement! {
    TakeOver<'b>("sql/take_over.sql") -> BatchSql {
        lease_seconds: i64 as BigInt,
        owner: &'b str as Text,
    }
}

statement! {
    Finish<'b>("sql/finish.sql") -> BigInt {
        dataset_id: i64 as BigInt,
        batch_id: i64 as BigInt,
        fence: i32 as Integer,
        numbers: Vec<i64> as Array<BigInt>,
        names: Vec<&'b str> as Array<Text>,
        ids: Vec<&'b str> as Array<Text>,
        request_ids: Vec<Uuid> as Array<sql_types::Uuid>,
        http_status: Option<i16> as Nullable<SmallInt>,
        fbtrace_id: Option<&'b str> as Nullable<Text>,
        latency_ms: Option<i32> as Nullable<Integer>,
    }
}

statement! {
    Settle<'b>("sql/settle.sql") -> BigInt {
        dataset_id: i64 as BigInt,
        batch_id: i64 as BigInt,
        fence: i32 as Integer,
        numbers: Vec<i64> as Array<BigInt>,
        days: Vec<NaiveDate> as Array<Date>,
        names: Vec<&'b str> as Array<Text>,
        ids: Vec<&'b str> as Array<Text>,
        request_ids: Vec<Uuid> as Array<sql_types::Uuid>,
        fates: Vec<&'static str> as Array<Text>,
        retries: Vec<i16> as Array<SmallInt>,
        delays_ms: Vec<Option<i64>> as Array<Nullable<BigInt>>,
        reasons: Vec<Option<&'static str>> as Array<Nullable<Text>>,
        http_status: Option<i16> as Nullable<SmallInt>,
        error_code: Option<i32> as Nullable<Integer>,
        error_subcode: Option<i32> as Nullable<Integer>,
        error_message: &'b str as Text,
        fbtrace_id: Option<&'b str> as Nullable<Text>,
        latency_ms: Option<i32> as Nullable<Integer>,
        failed: Option<bool> as Nullable<Bool>,
        send_by: Vec<DateTime<Utc>> as Array<Timestamptz>,
        payloads: Vec<Option<&'b str>> as Array<Nullable<Text>>,
    }
}

statement! {
    Split<'b>("sql/split.sql") -> (BigInt, BigInt, Timestamptz) {
        dataset_id: i64 as BigInt,
        batch_id: i64 as BigInt,
        fence: i32 as Integer,
        answered: bool as Bool,
        lease_seconds: i64 as BigInt,
    }
}

statement! {
    Renew<'b>("sql/renew.sql") -> BigInt {
        dataset_id: i64 as BigInt,
        batch_id: i64 as BigInt,
        fence: i32 as Integer,
        lease_seconds: i64 as BigInt,
    }
}
