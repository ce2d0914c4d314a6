//! Dead letters as an operator sees them: found, counted, sent again, and deleted in the end.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use uuid::Uuid;

use super::{DeadLetterReason, NamedRow, milliseconds};
use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::event_outcomes::{self, EventOutcome, Outcome};
use crate::schema::meta_retry_queue as r;
use crate::statement::Prepare;

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

impl Store {
    /// Deletes dead letters of days whose events are not kept any more, at most `limit`; returns how many.
    pub async fn purge_dead_letters(&self, keep_days: i32, limit: i64) -> Result<usize, StoreError> {
        let purged = sql_query(include_str!("../sql/purge_dead_letters.sql"))
            .bind::<Integer, _>(keep_days)
            .bind::<BigInt, _>(limit)
            .prepared()
            .run(self)
            .await?;
        Ok(purged)
    }

    /// Sends dead letters again, with all their retries; those closest to being too old first. Who asked is
    /// logged.
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
        self.connection()
            .await?
            .as_mut()
            .transaction(async |connection| {
                let counted: Row = filtered!("../sql/count_dead_letters.sql")
                    .prepared()
                    .get_result(connection)
                    .await?;
                let mut retried: Vec<NamedRow> = Vec::new();
                if !request.dry_run {
                    retried = filtered!("../sql/retry_failed.sql")
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
        let rows: Vec<GroupRow> = sql_query(include_str!("../sql/dead_letter_groups.sql"))
            .bind::<Nullable<BigInt>, _>(filter.dataset_id.map(DatasetId::as_i64))
            .bind::<Nullable<Integer>, _>(filter.error_code)
            .bind::<Nullable<Text>, _>(filter.reason.map(DeadLetterReason::as_str))
            .prepared()
            .rows(self)
            .await?;
        rows.into_iter().map(DeadLetterGroup::try_from).collect()
    }

    /// Dead letters in the order of their numbers, from behind `after`, at most `limit`. Of the filter,
    /// dataset, reason and code count.
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
