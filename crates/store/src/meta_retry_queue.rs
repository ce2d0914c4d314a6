//! `meta_retry_queue`: events between a failure and the next attempt, and dead letters. Rows come with
//! [`Store::settle_batch`] and go back to `send_queue`.

use std::marker::PhantomData;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{self, Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use rastro_core::dataset::DatasetId;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::StoreError;
use crate::schema::meta_retry_queue;
use crate::send_batches::DeadLetterReason;
use crate::statement::{only_row, statement};

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
    pub event_name: String,
    pub event_id: String,
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

impl Store {
    /// Makes events ready whose wait is over, at most `limit`, and returns how many those were.
    pub async fn requeue_due(&self, limit: i64) -> Result<i64, StoreError> {
        let statement = RequeueDue {
            limit,
            lifetime: PhantomData,
        };
        Ok(only_row(statement.load(&mut self.connection().await?).await?)?)
    }

    /// Gives datasets that are being probed something to be probed with: at most `limit` events each. `window`: how long
    /// before its opening a breaker looked at what failed.
    pub async fn requeue_for_probe(&self, limit: i64, window: Duration) -> Result<i64, StoreError> {
        let statement = RequeueForProbe {
            limit,
            window_ms: milliseconds(window),
            lifetime: PhantomData,
        };
        Ok(only_row(statement.load(&mut self.connection().await?).await?)?)
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
    ) -> Result<i64, StoreError> {
        let statement = ReviveAfterOutage {
            window_ms: milliseconds(window),
            spread_ms: milliseconds(spread),
            limit,
            lifetime: PhantomData,
        };
        Ok(only_row(statement.load(&mut self.connection().await?).await?)?)
    }

    /// Makes dead letters of waiting events that became too old for Meta, at most `limit`.
    pub async fn expire_waiting(&self, limit: i64) -> Result<i64, StoreError> {
        let statement = ExpireWaiting {
            limit,
            lifetime: PhantomData,
        };
        Ok(only_row(statement.load(&mut self.connection().await?).await?)?)
    }

    /// Sends dead letters again, with all their retries; those closest to being too old first. Who asked is logged.
    pub async fn retry_failed(
        &self,
        filter: &DeadLetterFilter,
        request: &RetryRequest<'_>,
    ) -> Result<RetryCount, StoreError> {
        let statement = RetryFailed {
            dataset_id: filter.dataset_id.map(DatasetId::as_i64),
            event_numbers: filter.event_numbers.as_deref(),
            event_ids: filter.event_ids.as_deref(),
            error_code: filter.error_code,
            failed_from: filter.failed_from,
            failed_before: filter.failed_before,
            reason: filter.reason.map(DeadLetterReason::as_str),
            dry_run: request.dry_run,
            at_most: request.at_most,
            spread_ms: milliseconds(request.spread),
            request_id: request.request_id,
            note: request.note,
            lifetime: PhantomData,
        };
        let (matched, retried, too_old) = only_row(statement.load(&mut self.connection().await?).await?)?;
        Ok(RetryCount {
            matched,
            retried,
            too_old,
        })
    }

    /// Dead letters by dataset, reason and Meta's code. Of the filter, dataset, reason and code count.
    pub async fn dead_letter_groups(
        &self,
        filter: &DeadLetterFilter,
    ) -> Result<Vec<DeadLetterGroup>, StoreError> {
        type Row = (
            (i64, String, Option<i32>, Option<i32>),
            (i64, i64, DateTime<Utc>, DateTime<Utc>, String),
        );
        let statement = Groups {
            dataset_id: filter.dataset_id.map(DatasetId::as_i64),
            error_code: filter.error_code,
            reason: filter.reason.map(DeadLetterReason::as_str),
            lifetime: PhantomData,
        };
        let rows: Vec<Row> = statement.load(&mut self.connection().await?).await?;
        rows.into_iter()
            .map(|((dataset_id, reason, error_code, error_subcode), counts)| {
                let (count, retryable, first_failed_at, last_failed_at, newest_error) = counts;
                Ok(DeadLetterGroup {
                    dataset_id: dataset_id
                        .try_into()
                        .map_err(|_| StoreError::Invalid { what: "dataset_id" })?,
                    reason,
                    error_code,
                    error_subcode,
                    count,
                    retryable,
                    first_failed_at,
                    last_failed_at,
                    newest_error,
                })
            })
            .collect()
    }

    /// Dead letters in the order of their numbers, from behind `after`, at most `limit`. Of the filter, dataset,
    /// reason and code count.
    pub async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: i64,
        limit: i64,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        type Row = (
            (i64, i64, String, String, Option<String>, i16),
            (String, Option<i32>, Option<i32>, DateTime<Utc>, DateTime<Utc>),
        );
        use meta_retry_queue as q;
        let mut query = q::table
            .filter(q::status.eq("failed").and(q::event_number.gt(after)))
            .select((
                (
                    q::dataset_id,
                    q::event_number,
                    q::event_name,
                    q::event_id,
                    q::reason,
                    q::retry_count,
                ),
                (
                    q::last_error,
                    q::error_code,
                    q::error_subcode,
                    q::failed_at,
                    q::send_by,
                ),
            ))
            .into_boxed();
        if let Some(dataset) = filter.dataset_id {
            query = query.filter(q::dataset_id.eq(dataset.as_i64()));
        }
        if let Some(code) = filter.error_code {
            query = query.filter(q::error_code.eq(code));
        }
        if let Some(reason) = filter.reason {
            query = query.filter(q::reason.eq(reason.as_str()));
        }
        let rows: Vec<Row> = query
            .order(q::event_number)
            .limit(limit)
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter()
            .map(
                |((dataset, event_number, event_name, event_id, reason, retry_count), rest)| {
                    let (last_error, error_code, error_subcode, failed_at, send_by) = rest;
                    let invalid = StoreError::Invalid { what: "dead letter" };
                    Ok(DeadLetter {
                        dataset_id: dataset
                            .try_into()
                            .map_err(|_| StoreError::Invalid { what: "dataset_id" })?,
                        event_number,
                        event_name,
                        event_id,
                        reason: reason.ok_or(invalid)?,
                        retry_count,
                        last_error,
                        error_code,
                        error_subcode,
                        failed_at,
                        send_by,
                    })
                },
            )
            .collect()
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

statement! {
    RequeueDue<'q>("sql/requeue_due.sql") -> BigInt {
        limit: i64 as BigInt,
    }
}

statement! {
    RequeueForProbe<'q>("sql/requeue_for_probe.sql") -> BigInt {
        limit: i64 as BigInt,
        window_ms: i64 as BigInt,
    }
}

statement! {
    ReviveAfterOutage<'q>("sql/revive_after_outage.sql") -> BigInt {
        window_ms: i64 as BigInt,
        spread_ms: i64 as BigInt,
        limit: i64 as BigInt,
    }
}

statement! {
    ExpireWaiting<'q>("sql/expire_waiting.sql") -> BigInt {
        limit: i64 as BigInt,
    }
}

statement! {
    RetryFailed<'q>("sql/retry_failed.sql") -> (BigInt, BigInt, BigInt) {
        dataset_id: Option<i64> as Nullable<BigInt>,
        event_numbers: Option<&'q [i64]> as Nullable<Array<BigInt>>,
        event_ids: Option<&'q [String]> as Nullable<Array<Text>>,
        error_code: Option<i32> as Nullable<Integer>,
        failed_from: Option<DateTime<Utc>> as Nullable<Timestamptz>,
        failed_before: Option<DateTime<Utc>> as Nullable<Timestamptz>,
        reason: Option<&'static str> as Nullable<Text>,
        dry_run: bool as Bool,
        at_most: i64 as BigInt,
        spread_ms: i64 as BigInt,
        request_id: Uuid as sql_types::Uuid,
        note: &'q str as Text,
    }
}

statement! {
    Groups<'q>("sql/dead_letter_groups.sql") -> (
        (BigInt, Text, Nullable<Integer>, Nullable<Integer>),
        (BigInt, BigInt, Timestamptz, Timestamptz, Text),
    ) {
        dataset_id: Option<i64> as Nullable<BigInt>,
        error_code: Option<i32> as Nullable<Integer>,
        reason: Option<&'static str> as Nullable<Text>,
    }
}
