//! What the alert rules of `rastro_core::alert` are evaluated on: each rule is one statement in `sql/rules`
//! over the tables of the last minutes, not over counts, so that it is right to the second. A statement
//! answers with the subjects of which there is something to say.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Date, Double, Integer, Jsonb, Nullable, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::alert::{Facts, Measurement, Rule, Severity, Subject};
use rastro_core::circuit_breaker::Reason;
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::event_counts::read_ranges;
use crate::schema::rastro_now;
use crate::statement::Prepare;

/// How requests of a dataset went within a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTally {
    pub dataset_id: DatasetId,
    pub dataset_name: String,
    pub window_seconds: i64,
    /// Attempts of events that say something about them, and how many of those failed, in how many requests.
    pub attempts: i64,
    pub failed: i64,
    pub failed_requests: i64,
    /// Requests, and those above 2,000 ms or without an answer.
    pub requests: i64,
    pub slow_requests: i64,
    /// The latency that 1 of 20 exceeds. `None`: that one was not answered.
    pub p95_ms: Option<i64>,
}

/// Accepted events and new dead letters of a dataset within a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryTally {
    pub dataset_id: DatasetId,
    pub dataset_name: String,
    pub window_seconds: i64,
    pub accepted: i64,
    pub undelivered: i64,
}

#[derive(QueryableByName)]
struct MeasurementRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    dataset_id: Option<i64>,
    #[diesel(sql_type = Text)]
    group_key: String,
    #[diesel(sql_type = Double)]
    value: f64,
    #[diesel(sql_type = Text)]
    severity: String,
    #[diesel(sql_type = Jsonb)]
    facts: serde_json::Value,
}

impl MeasurementRow {
    fn into_measurement(self) -> Result<Measurement, StoreError> {
        Ok(Measurement {
            subject: Subject {
                dataset: self.dataset_id.map(dataset_id).transpose()?,
                group: self.group_key,
            },
            value: self.value,
            severity: Severity::parse(&self.severity).ok_or(StoreError::Invalid { what: "severity" })?,
            facts: facts(self.facts)?,
        })
    }
}

/// Facts as a statement built them; absent and null are the same.
pub(crate) fn facts(json: serde_json::Value) -> Result<Facts, StoreError> {
    serde_json::from_value(json).map_err(|_| StoreError::Invalid {
        what: "facts of an alert",
    })
}

#[derive(QueryableByName)]
struct RequestTallyRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Integer)]
    window_seconds: i32,
    #[diesel(sql_type = BigInt)]
    attempts: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    failed_requests: i64,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    slow_requests: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    p95_ms: Option<i64>,
}

#[derive(QueryableByName)]
struct DeliveryTallyRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Integer)]
    window_seconds: i32,
    #[diesel(sql_type = BigInt)]
    accepted: i64,
    #[diesel(sql_type = BigInt)]
    undelivered: i64,
}

/// The statement of a rule that needs no more than its statement. The others are put together from tallies,
/// from what is asked elsewhere, or belong to the dashboard.
fn statement(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::Duplicates => include_str!("sql/rules/duplicates.sql"),
        Rule::BreakerErrors | Rule::BreakerBlocked | Rule::BreakerRefused => {
            include_str!("sql/rules/breaker_stopped.sql")
        }
        Rule::BreakerThrottled => include_str!("sql/rules/breaker_throttled.sql"),
        Rule::BreakerForced => include_str!("sql/rules/breaker_forced.sql"),
        Rule::DeadLetters => include_str!("sql/rules/dead_letters.sql"),
        Rule::Expiring => include_str!("sql/rules/expiring.sql"),
        Rule::QueueAge => include_str!("sql/rules/queue_age.sql"),
        Rule::RetryOverdue => include_str!("sql/rules/retry_overdue.sql"),
        Rule::Silence => include_str!("sql/rules/silence.sql"),
        Rule::PartialAck => include_str!("sql/rules/partial_ack.sql"),
        Rule::TestCode => include_str!("sql/rules/test_code.sql"),
        Rule::EmqDrop => include_str!("sql/rules/emq_drop.sql"),
        Rule::EmqUnreadable => include_str!("sql/rules/emq_unreadable.sql"),
        Rule::Conservation => include_str!("sql/rules/conservation.sql"),
        Rule::SpendStale => include_str!("sql/rules/spend_stale.sql"),
        Rule::Reconciliation => include_str!("sql/rules/reconciliation.sql"),
        Rule::PaymentsUnread => include_str!("sql/rules/payments_unread.sql"),
        Rule::PaymentsOdd => include_str!("sql/rules/payments_odd.sql"),
        Rule::RoasLow => include_str!("sql/rules/roas_low.sql"),
        Rule::CacHigh => include_str!("sql/rules/cac_high.sql"),
        Rule::CheckFailing => include_str!("sql/rules/check_failing.sql"),
        _ => return None,
    })
}

/// Of a rule about breakers that are not closed for a reason: which.
fn stopped_for(rule: Rule) -> Option<Reason> {
    match rule {
        Rule::BreakerErrors => Some(Reason::Errors),
        Rule::BreakerBlocked => Some(Reason::Blocked),
        Rule::BreakerRefused => Some(Reason::Refused),
        _ => None,
    }
}

impl Store {
    /// Measures a rule whose statement says all. `None`: it is not one of those. `limit`: the server's, for
    /// the statement.
    pub async fn measure(
        &self,
        rule: Rule,
        window_seconds: u32,
        minimum: u32,
        limit: Duration,
    ) -> Result<Option<Vec<Measurement>>, StoreError> {
        let Some(statement) = statement(rule) else {
            return Ok(None);
        };
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        let rows: Vec<MeasurementRow> = connection
            .transaction(async |connection| {
                read_ranges(connection, limit).await?;
                let rows = sql_query(statement)
                    .bind::<Integer, _>(i32::try_from(window_seconds).unwrap_or(i32::MAX))
                    .bind::<Integer, _>(i32::try_from(minimum).unwrap_or(i32::MAX))
                    .bind::<Nullable<Text>, _>(stopped_for(rule).map(Reason::as_str))
                    .prepared()
                    .load(connection)
                    .await?;
                Ok::<_, StoreError>(rows)
            })
            .await?;
        rows.into_iter()
            .map(MeasurementRow::into_measurement)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// How requests of every dataset went within each of these windows.
    pub async fn request_tallies(
        &self,
        windows_seconds: &[i32],
        limit: Duration,
    ) -> Result<Vec<RequestTally>, StoreError> {
        let statement = include_str!("sql/rules/tallies.sql");
        let rows = self.of_windows(statement, windows_seconds, limit).await?;
        let tally = |row: RequestTallyRow| {
            Ok(RequestTally {
                dataset_id: dataset_id(row.dataset_id)?,
                dataset_name: row.name,
                window_seconds: row.window_seconds.into(),
                attempts: row.attempts,
                failed: row.failed,
                failed_requests: row.failed_requests,
                requests: row.requests,
                slow_requests: row.slow_requests,
                p95_ms: row.p95_ms.filter(|&ms| ms < i64::from(i32::MAX)),
            })
        };
        rows.into_iter().map(tally).collect()
    }

    /// Accepted events and new dead letters within each of these windows, of datasets that have such.
    pub async fn delivery_tallies(
        &self,
        windows_seconds: &[i32],
        limit: Duration,
    ) -> Result<Vec<DeliveryTally>, StoreError> {
        let statement = include_str!("sql/rules/budget.sql");
        let rows = self.of_windows(statement, windows_seconds, limit).await?;
        let tally = |row: DeliveryTallyRow| {
            Ok(DeliveryTally {
                dataset_id: dataset_id(row.dataset_id)?,
                dataset_name: row.name,
                window_seconds: row.window_seconds.into(),
                accepted: row.accepted,
                undelivered: row.undelivered,
            })
        };
        rows.into_iter().map(tally).collect()
    }

    /// A statement over windows of so many seconds until now.
    async fn of_windows<T>(
        &self,
        statement: &'static str,
        windows_seconds: &[i32],
        limit: Duration,
    ) -> Result<Vec<T>, StoreError>
    where
        T: QueryableByName<Pg> + Send + 'static,
    {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                read_ranges(connection, limit).await?;
                let rows = sql_query(statement)
                    .bind::<Array<Integer>, _>(windows_seconds)
                    .prepared()
                    .load(connection)
                    .await?;
                Ok(rows)
            })
            .await
    }

    /// The database's own time.
    pub async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        Ok(diesel::select(rastro_now())
            .get_result(&mut self.connection().await?)
            .await?)
    }

    /// Yesterday in UTC, if its account has not been made, or did not add up and has not been made twice.
    pub async fn day_to_account(&self) -> Result<Option<NaiveDate>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Date)]
            day: NaiveDate,
        }
        let row: Option<Row> = sql_query(
            "SELECT y.day FROM (SELECT (rastro_now() AT TIME ZONE 'UTC' - interval '1 day')::date AS day) AS y
             LEFT JOIN event_accounts a ON a.day = y.day
             WHERE (rastro_now() AT TIME ZONE 'UTC')::time > '02:00'
                AND (a.day IS NULL OR (a.missing <> 0 AND a.checks < 2))",
        )
        .prepared()
        .maybe_row(self)
        .await?;
        Ok(row.map(|row| row.day))
    }

    /// Makes the account of a closed day; returns how many of its events are in no place.
    pub async fn account_day(&self, day: NaiveDate, limit: Duration) -> Result<i64, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            accepted: i64,
            #[diesel(sql_type = BigInt)]
            missing: i64,
        }
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                read_ranges(connection, limit).await?;
                let row: Row = sql_query(include_str!("sql/account_day.sql"))
                    .bind::<Date, _>(day)
                    .get_result(connection)
                    .await?;
                sql_query(
                    "INSERT INTO event_accounts (day, accepted, missing, checks, checked_at)
                     VALUES ($1, $2, $3, 1, rastro_now())
                     ON CONFLICT (day) DO UPDATE SET accepted = excluded.accepted, missing = excluded.missing,
                        checks = event_accounts.checks + 1, checked_at = excluded.checked_at",
                )
                .bind::<Date, _>(day)
                .bind::<BigInt, _>(row.accepted)
                .bind::<BigInt, _>(row.missing)
                .execute(connection)
                .await?;
                Ok(row.missing)
            })
            .await
    }
}
