//! `monitor_runs`: that somebody looked, and what came of it. Silence of it is an alert of the dashboard.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Integer, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use crate::connection::Store;
use crate::error::StoreError;
use crate::send_attempts::clean;
use crate::statement::Prepare;

/// One run of `monitor check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorRun {
    pub rules: i32,
    pub transitions: i32,
    pub messages_sent: i32,
    pub hours_counted: i32,
    /// Of the days that are stored, how many are counted.
    pub history_days: i32,
    pub history_counted: i32,
    /// What did not go well.
    pub error: Option<String>,
}

/// When somebody looked.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct LastRuns {
    #[diesel(sql_type = Timestamptz)]
    pub now: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_run: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_good_run: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    pub last_error: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub history_days: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub history_counted: Option<i32>,
}

impl Store {
    /// Notes a run, and forgets those of more than 30 days ago.
    pub async fn record_run(&self, started_at: DateTime<Utc>, run: &MonitorRun) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        sql_query(
            "INSERT INTO monitor_runs (started_at, finished_at, ok, rules, transitions, messages_sent, hours_counted, history_days,
                history_counted, error)
             VALUES ($1, rastro_now(), $2 IS NULL, $3, $4, $5, $6, $7, $8, $2)",
        )
        .bind::<Timestamptz, _>(started_at)
        .bind::<Nullable<Text>, _>(run.error.as_deref().map(clean))
        .bind::<Integer, _>(run.rules)
        .bind::<Integer, _>(run.transitions)
        .bind::<Integer, _>(run.messages_sent)
        .bind::<Integer, _>(run.hours_counted)
        .bind::<Integer, _>(run.history_days)
        .bind::<Integer, _>(run.history_counted)
        .prepared()
        .execute(&mut connection)
        .await?;
        // Oldest first, by the order in which they were made.
        sql_query(
            "DELETE FROM monitor_runs WHERE run_id IN (
                SELECT run_id FROM monitor_runs ORDER BY run_id LIMIT 10
             ) AND finished_at < rastro_now() - interval '30 days'",
        )
        .prepared()
        .execute(&mut connection)
        .await?;
        Ok(())
    }

    /// When somebody looked last, and when all went well.
    pub async fn last_runs(&self) -> Result<LastRuns, StoreError> {
        sql_query(
            "SELECT rastro_now() AS now, last.finished_at AS last_run, last.error AS last_error, last.history_days,
                last.history_counted,
                (SELECT finished_at FROM monitor_runs WHERE ok ORDER BY finished_at DESC LIMIT 1) AS last_good_run
             FROM (SELECT 1) AS one LEFT JOIN LATERAL (
                SELECT finished_at, error, history_days, history_counted FROM monitor_runs ORDER BY run_id DESC LIMIT 1
             ) AS last ON true",
        )
        .prepared()
        .row(self)
        .await
    }
}
