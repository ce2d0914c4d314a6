//! Alerts as people see and handle them. What they mean and when they fire is `rastro_core::alert`.

use chrono::{DateTime, Utc};
use diesel::prelude::OptionalExtension;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Double, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use super::row;
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

row! {
    /// An alert that fired.
    pub AlertRow {
        alert_id: BigInt => i64,
        rule: Text => String,
        dataset_id: Nullable<BigInt> => Option<i64>,
        group_key: Text => String,
        state: Text => String,
        severity: Text => String,
        fired_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        resolved_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        value: Double => f64,
        worst_value: Double => f64,
        threshold: Nullable<Double> => Option<f64>,
        facts: Jsonb => Value,
        reopened: SmallInt => i16,
        muted_by: Nullable<Text> => Option<String>,
        acknowledged_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        acknowledged_by: Nullable<Text> => Option<String>,
        snoozed_until: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        snoozed_by: Nullable<Text> => Option<String>,
        messages: BigInt => i64,
    }
}

row! {
    /// A message about an alert.
    pub MessageRow {
        kind: Text => String,
        channel: Text => String,
        state: Text => String,
        created_at: Timestamptz => DateTime<Utc>,
        sent_at: Nullable<Timestamptz> => Option<DateTime<Utc>>,
        last_error: Nullable<Text> => Option<String>,
    }
}

row! {
    /// How often a rule fired in thirty days.
    pub RuleHistory {
        rule: Text => String,
        opened: BigInt => i64,
        /// Resolved within five minutes, without anybody having done anything.
        closed_alone: BigInt => i64,
        median_seconds: Nullable<Double> => Option<f64>,
    }
}

row! {
    /// A channel that somebody has to look at.
    pub ChannelRow {
        channel: Text => String,
        disabled_at: Timestamptz => DateTime<Utc>,
        reason: Text => String,
    }
}

row! {
    /// One hour of one dataset as the rules see it: for trying another threshold.
    pub HourRow {
        dataset_id: BigInt => i64,
        hour: Timestamptz => DateTime<Utc>,
        accepted: BigInt => i64,
        duplicates: BigInt => i64,
        succeeded: BigInt => i64,
        failed: BigInt => i64,
        requests: BigInt => i64,
        slow: BigInt => i64,
    }
}

impl Store {
    /// Alerts that fired, open ones first and then by time, at most so many. Those of the whole system are
    /// everybody's.
    pub async fn fired_alerts(&self, dataset: Option<i64>, limit: i64) -> Result<Vec<AlertRow>, StoreError> {
        sql_query(include_str!("../sql/dashboard/fired_alerts.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Nullable<BigInt>, _>(None::<i64>)
            .bind::<BigInt, _>(limit)
            .prepared()
            .rows(self)
            .await
    }

    /// One alert with what was said about it.
    pub async fn alert_with_messages(
        &self,
        dataset: Option<i64>,
        id: i64,
    ) -> Result<Option<(AlertRow, Vec<MessageRow>)>, StoreError> {
        let mut connection = self.connection().await?;
        let alert: Option<AlertRow> = sql_query(include_str!("../sql/dashboard/fired_alerts.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .bind::<Nullable<BigInt>, _>(Some(id))
            .bind::<BigInt, _>(1)
            .prepared()
            .get_result(&mut connection)
            .await
            .optional()?;
        let Some(alert) = alert else { return Ok(None) };
        let text = "SELECT kind, channel, state, created_at, sent_at, last_error FROM alert_messages \
                    WHERE alert_id = $1 ORDER BY message_id LIMIT 100";
        let messages = sql_query(text)
            .bind::<BigInt, _>(id)
            .prepared()
            .load(&mut connection)
            .await?;
        Ok(Some((alert, messages)))
    }

    /// How each rule behaved in thirty days.
    pub async fn rule_histories(&self, dataset: Option<i64>) -> Result<Vec<RuleHistory>, StoreError> {
        sql_query(include_str!("../sql/dashboard/rule_histories.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .prepared()
            .rows(self)
            .await
    }

    /// Channels that are switched off.
    pub async fn channels_off(&self) -> Result<Vec<ChannelRow>, StoreError> {
        let text = "SELECT channel, disabled_at, reason FROM alert_channels ORDER BY channel";
        sql_query(text).prepared().rows(self).await
    }

    /// Thirty days by hour and dataset, for trying thresholds.
    pub async fn rule_hours(&self, dataset: Option<i64>) -> Result<Vec<HourRow>, StoreError> {
        sql_query(include_str!("../sql/dashboard/rule_hours.sql"))
            .bind::<Nullable<BigInt>, _>(dataset)
            .prepared()
            .rows_by_time(self)
            .await
    }

    /// Puts a test message into a channel's outbox: the next run of `monitor check` sends it.
    pub async fn add_test_message(&self, channel: &str, facts: &Value) -> Result<(), StoreError> {
        let text = "INSERT INTO alert_messages (kind, sequence, channel, severity, facts, created_at, next_attempt_at) \
                    VALUES ('test', $1, $2, 'info', $3, rastro_now(), rastro_now())";
        sql_query(text)
            .bind::<Integer, _>(1)
            .bind::<Text, _>(channel)
            .bind::<Jsonb, _>(facts)
            .prepared()
            .run(self)
            .await?;
        Ok(())
    }
}
