//! Dead letters as a person decides about them: by cause, with their money and their deadline, and what came
//! of earlier replays. Sending again is [`Store::retry_failed`], the same as of `POST
//! /api/meta/retry-failed`.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Date, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::row;
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// Which dead letters are looked at. What is not set matches any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadSelection {
    pub dataset_id: Option<i64>,
    pub reason: Option<String>,
    /// Code or subcode of Meta.
    pub code: Option<i32>,
    pub failed_from: Option<DateTime<Utc>>,
    pub failed_before: Option<DateTime<Utc>>,
    pub event_id: Option<String>,
}

row! {
    /// Dead letters of one cause.
    pub DeadGroup {
        dataset_id: BigInt => i64,
        reason: Text => String,
        error_code: Nullable<Integer> => Option<i32>,
        error_subcode: Nullable<Integer> => Option<i32>,
        events: BigInt => i64,
        purchases: BigInt => i64,
        leads: BigInt => i64,
        /// Those of them that Meta may still take.
        retryable: BigInt => i64,
        /// Those that Meta may have counted: its last answer was no verdict, or none came.
        unanswered: BigInt => i64,
        /// Those of the unanswered that Meta may still take and that it may have had for over 48 hours: it no
        /// longer drops the copy of one.
        late: BigInt => i64,
        first_failed_at: Timestamptz => DateTime<Utc>,
        last_failed_at: Timestamptz => DateTime<Utc>,
        first_deadline: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        newest_error: Text => String,
        /// Currencies and sums in parallel.
        currencies: Array<Text> => Vec<String>,
        amounts: Array<Double> => Vec<f64>,
    }
}

row! {
    /// A dead letter of a list.
    pub DeadSample {
        dataset_id: BigInt => i64,
        event_number: BigInt => i64,
        day: Date => NaiveDate,
        event_name: Nullable<Text> => Option<String>,
        event_id: Nullable<Text> => Option<String>,
        received_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        send_by: Timestamptz => DateTime<Utc>,
        value: Nullable<Double> => Option<f64>,
        currency: Nullable<Text> => Option<String>,
        retry_count: diesel::sql_types::SmallInt => i16,
    }
}

row! {
    /// A replay that somebody asked for.
    pub Replay {
        request_id: Nullable<SqlUuid> => Option<Uuid>,
        detail: Nullable<Text> => Option<String>,
        asked_at: Timestamptz => DateTime<Utc>,
        events: BigInt => i64,
        /// Of the first [`Replay::LOOKED_FOR`] of them.
        delivered: BigInt => i64,
        /// Of all of them.
        dead_again: BigInt => i64,
    }
}

impl Replay {
    /// Of so many events of a replay it is looked up whether they arrived.
    pub const LOOKED_FOR: i64 = 1_000;
}

row! {
    /// Whether a cause goes on.
    pub Recurrence {
        /// Events that failed of the same cause within the last hour, dead or not.
        recent: BigInt => i64,
        succeeded: BigInt => i64,
    }
}

row! {
    NumberRow {
        event_number: BigInt => i64,
    }
}

impl Store {
    /// Dead letters by cause, the largest first.
    pub async fn dead_groups(&self, wanted: &DeadSelection) -> Result<Vec<DeadGroup>, StoreError> {
        sql_query(include_str!("../sql/dashboard/dead_groups.sql"))
            .bind::<Nullable<BigInt>, _>(wanted.dataset_id)
            .bind::<Nullable<Text>, _>(wanted.reason.as_deref())
            .bind::<Nullable<Integer>, _>(wanted.code)
            .bind::<Nullable<Timestamptz>, _>(wanted.failed_from)
            .bind::<Nullable<Timestamptz>, _>(wanted.failed_before)
            .bind::<Nullable<Text>, _>(wanted.event_id.as_deref())
            .prepared()
            .rows(self)
            .await
    }

    /// Some of one group, those closest to being too old first.
    pub async fn dead_sample(
        &self,
        group: &DeadGroup,
        wanted: &DeadSelection,
        limit: i64,
    ) -> Result<Vec<DeadSample>, StoreError> {
        sql_query(include_str!("../sql/dashboard/dead_sample.sql"))
            .bind::<BigInt, _>(group.dataset_id)
            .bind::<Text, _>(group.reason.as_str())
            .bind::<Nullable<Integer>, _>(group.error_code)
            .bind::<Nullable<Integer>, _>(group.error_subcode)
            .bind::<Nullable<Timestamptz>, _>(wanted.failed_from)
            .bind::<Nullable<Timestamptz>, _>(wanted.failed_before)
            .bind::<Nullable<Text>, _>(wanted.event_id.as_deref())
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows(self)
            .await
    }

    /// The numbers of one group that Meta may still take, those closest to being too old first: what a replay
    /// names, so that it replays what was seen.
    pub async fn dead_numbers(
        &self,
        group: (i64, &str, Option<i32>, Option<i32>),
        wanted: &DeadSelection,
        limit: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let (dataset, reason, code, subcode) = group;
        let rows: Vec<NumberRow> = sql_query(include_str!("../sql/dashboard/dead_numbers.sql"))
            .bind::<BigInt, _>(dataset)
            .bind::<Text, _>(reason)
            .bind::<Nullable<Integer>, _>(code)
            .bind::<Nullable<Integer>, _>(subcode)
            .bind::<Nullable<Timestamptz>, _>(wanted.failed_from)
            .bind::<Nullable<Timestamptz>, _>(wanted.failed_before)
            .bind::<Nullable<Text>, _>(wanted.event_id.as_deref())
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows(self)
            .await?;
        Ok(rows.into_iter().map(|row| row.event_number).collect())
    }

    /// Whether the cause of a group goes on: attempts of the last hour with the same code, and successes
    /// beside them.
    pub async fn recurrence(&self, group: &DeadGroup) -> Result<Recurrence, StoreError> {
        sql_query(include_str!("../sql/dashboard/recurrence.sql"))
            .bind::<BigInt, _>(group.dataset_id)
            .bind::<Nullable<Integer>, _>(group.error_code)
            .bind::<Nullable<Integer>, _>(group.error_subcode)
            .bind::<Text, _>(group.reason.as_str())
            .prepared()
            .row(self)
            .await
    }

    /// Replays of the last thirty days and what came of them, the newest first.
    pub async fn replays(&self, dataset: Option<i64>, limit: i64) -> Result<Vec<Replay>, StoreError> {
        sql_query(include_str!("../sql/dashboard/replays.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows(self)
            .await
    }
}
