//! `send_batches`: requests on their way to Meta. Claiming, taking over, finishing and postponing are one statement
//! each; every one after the claim names the fence, and writes nothing if the batch has a newer owner.

use std::marker::PhantomData;
use std::time::Duration;

use diesel::sql_types::{self, Array, BigInt, Bool, Integer, Nullable, SmallInt, Text};
use diesel_async::RunQueryDsl;
use rastro_core::dataset::DatasetId;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::StoreError;
use crate::meta_events_log::{AttemptRecord, EventOutcome, Outcome};
use crate::send_queue::Lane;
use crate::statement::statement;

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
    pub events: Vec<QueuedEvent>,
}

/// One event of a batch.
#[derive(Clone, Debug)]
pub struct QueuedEvent {
    pub number: i64,
    pub name: String,
    pub id: String,
    /// Meta would refuse it for its age, and every other event of the request with it.
    pub too_old: bool,
    pub request_id: Uuid,
    pub traceparent: Option<String>,
    /// The finished server event as JSON.
    pub payload: String,
}

type BatchRow = (
    i64,
    i64,
    i32,
    i32,
    String,
    i64,
    String,
    String,
    bool,
    Uuid,
    Option<String>,
    String,
);
type BatchSql = (
    BigInt,
    BigInt,
    Integer,
    Integer,
    Text,
    BigInt,
    Text,
    Text,
    Bool,
    sql_types::Uuid,
    Nullable<Text>,
    Text,
);

impl Store {
    /// Makes the oldest ready events of a lane, at most `limit`, into a batch that is ours for the length of the lease.
    /// `None` if nothing was ready. `owner` is for people to read.
    pub async fn claim_batch(
        &self,
        lane: &Lane,
        limit: u16,
        lease: Duration,
        owner: &str,
    ) -> Result<Option<Batch>, StoreError> {
        let statement = Claim {
            dataset_id: lane.dataset_id.as_i64(),
            test_event_code: &lane.test_event_code,
            limit: i64::from(limit),
            lease_seconds: seconds(lease),
            owner,
            lifetime: PhantomData,
        };
        batch_from_rows(statement.load(&mut self.connection().await?).await?)
    }

    /// Takes over one batch whose lease has ended: its owner died, or its last attempt failed and the wait is over.
    pub async fn take_over_batch(&self, lease: Duration, owner: &str) -> Result<Option<Batch>, StoreError> {
        let statement = TakeOver {
            lease_seconds: seconds(lease),
            owner,
            lifetime: PhantomData,
        };
        batch_from_rows(statement.load(&mut self.connection().await?).await?)
    }

    /// Ends a batch with an outcome for each of its events. `false`: the lease was lost to another owner, and nothing
    /// was written.
    pub async fn finish_batch(
        &self,
        batch: BatchId,
        attempt: &AttemptRecord,
        outcomes: &[EventOutcome<'_>],
    ) -> Result<bool, StoreError> {
        let statement = Finish {
            dataset_id: batch.dataset_id.as_i64(),
            batch_id: batch.batch_id,
            fence: batch.fence,
            numbers: column(outcomes, |outcome| outcome.event.number),
            names: column(outcomes, |outcome| outcome.event.name.as_str()),
            ids: column(outcomes, |outcome| outcome.event.id.as_str()),
            request_ids: column(outcomes, |outcome| outcome.event.request_id),
            outcomes: column(outcomes, |outcome| outcome.outcome.as_str()),
            http_status: attempt.http_status.and_then(|status| i16::try_from(status).ok()),
            error_code: attempt.error_code,
            error_subcode: attempt.error_subcode,
            error_message: attempt.error_message.as_deref(),
            fbtrace_id: attempt.fbtrace_id.as_deref(),
            latency_ms: attempt.latency_ms,
            lifetime: PhantomData,
        };
        let owned: i64 = statement.get_result(&mut self.connection().await?).await?;
        Ok(owned == 1)
    }

    /// Puts a batch aside after a failed attempt: its [`Outcome::Error`] events are due again after `delay`, the others
    /// leave it. `false`: the lease was lost to another owner, and nothing was written.
    pub async fn postpone_batch(
        &self,
        batch: BatchId,
        attempt: &AttemptRecord,
        outcomes: &[EventOutcome<'_>],
        delay: Duration,
    ) -> Result<bool, StoreError> {
        let waiting = outcomes
            .iter()
            .filter(|outcome| outcome.outcome == Outcome::Error);
        let statement = Postpone {
            dataset_id: batch.dataset_id.as_i64(),
            batch_id: batch.batch_id,
            fence: batch.fence,
            numbers: column(outcomes, |outcome| outcome.event.number),
            names: column(outcomes, |outcome| outcome.event.name.as_str()),
            ids: column(outcomes, |outcome| outcome.event.id.as_str()),
            request_ids: column(outcomes, |outcome| outcome.event.request_id),
            outcomes: column(outcomes, |outcome| outcome.outcome.as_str()),
            http_status: attempt.http_status.and_then(|status| i16::try_from(status).ok()),
            error_code: attempt.error_code,
            error_subcode: attempt.error_subcode,
            error_message: attempt.error_message.as_deref(),
            fbtrace_id: attempt.fbtrace_id.as_deref(),
            latency_ms: attempt.latency_ms,
            waiting: waiting.map(|outcome| outcome.event.number).collect(),
            delay_ms: i64::try_from(delay.as_millis()).unwrap_or(i64::MAX),
            lifetime: PhantomData,
        };
        let owned: i64 = statement.get_result(&mut self.connection().await?).await?;
        Ok(owned == 1)
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn column<'b, T>(outcomes: &[EventOutcome<'b>], value: impl Fn(&EventOutcome<'b>) -> T) -> Vec<T> {
    outcomes.iter().map(value).collect()
}

fn batch_from_rows(rows: Vec<BatchRow>) -> Result<Option<Batch>, StoreError> {
    let Some((dataset_id, batch_id, fence, attempt, test_event_code, ..)) = rows.as_slice().first() else {
        return Ok(None);
    };
    let dataset_id = (*dataset_id)
        .try_into()
        .map_err(|_| StoreError::Invalid { what: "dataset_id" })?;
    let (id, attempt) = (
        BatchId {
            dataset_id,
            batch_id: *batch_id,
            fence: *fence,
        },
        *attempt,
    );
    let test_event_code = test_event_code.clone();
    let events = rows
        .into_iter()
        .map(
            |(_, _, _, _, _, number, name, id, too_old, request_id, traceparent, payload)| QueuedEvent {
                number,
                name,
                id,
                too_old,
                request_id,
                traceparent,
                payload,
            },
        )
        .collect();
    Ok(Some(Batch {
        id,
        attempt,
        test_event_code,
        events,
    }))
}

statement! {
    Claim<'b>("sql/claim.sql") -> BatchSql {
        dataset_id: i64 as BigInt,
        test_event_code: &'b str as Text,
        limit: i64 as BigInt,
        lease_seconds: i64 as BigInt,
        owner: &'b str as Text,
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
        outcomes: Vec<&'static str> as Array<Text>,
        http_status: Option<i16> as Nullable<SmallInt>,
        error_code: Option<i32> as Nullable<Integer>,
        error_subcode: Option<i32> as Nullable<Integer>,
        error_message: Option<&'b str> as Nullable<Text>,
        fbtrace_id: Option<&'b str> as Nullable<Text>,
        latency_ms: Option<i32> as Nullable<Integer>,
    }
}

statement! {
    Postpone<'b>("sql/postpone.sql") -> BigInt {
        dataset_id: i64 as BigInt,
        batch_id: i64 as BigInt,
        fence: i32 as Integer,
        numbers: Vec<i64> as Array<BigInt>,
        names: Vec<&'b str> as Array<Text>,
        ids: Vec<&'b str> as Array<Text>,
        request_ids: Vec<Uuid> as Array<sql_types::Uuid>,
        outcomes: Vec<&'static str> as Array<Text>,
        http_status: Option<i16> as Nullable<SmallInt>,
        error_code: Option<i32> as Nullable<Integer>,
        error_subcode: Option<i32> as Nullable<Integer>,
        error_message: Option<&'b str> as Nullable<Text>,
        fbtrace_id: Option<&'b str> as Nullable<Text>,
        latency_ms: Option<i32> as Nullable<Integer>,
        waiting: Vec<i64> as Array<BigInt>,
        delay_ms: i64 as BigInt,
    }
}
