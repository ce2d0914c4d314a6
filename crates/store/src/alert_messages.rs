//! `alert_messages` and `alert_channels`: the outbox. A message is written in the transaction that changes
//! its alert and sent afterwards; a crash in between is found by the next run. What is sent together is one
//! bundle.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Bytea, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::alert::{Facts, Severity};

use crate::connection::Store;
use crate::error::StoreError;
use crate::measurements::facts;
use crate::send_attempts::clean;
use crate::statement::Prepare;

/// Something to be said.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    /// opened, worse, reminder, resolved; without an alert: daily, channel_off, test.
    pub kind: &'static str,
    /// Which one of its kind about this alert.
    pub sequence: i32,
    pub channel: &'static str,
    pub severity: Severity,
    pub facts: Facts,
}

/// A message that is not sent yet, with the alert it is about as that is now.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingMessage {
    pub message_id: i64,
    pub alert_id: Option<i64>,
    pub kind: String,
    pub sequence: i32,
    pub severity: Severity,
    pub facts: Facts,
    pub created_at: DateTime<Utc>,
    /// Sendings that failed.
    pub attempts: i16,
    /// Of its alert.
    pub rule: Option<String>,
    pub dataset_id: Option<i64>,
    pub fired_at: Option<DateTime<Utc>>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub worst_value: Option<f64>,
    /// Events of its dataset, or of all, that stopped while it was open and still are stopped. 0 unless it is
    /// told that it is over.
    pub stopped: i64,
    pub is_unstable: bool,
    /// What was said when it opened, on this channel: the bundle, and the channel's name of it.
    pub opened_bundle: Option<i64>,
    pub opened_provider_id: Option<String>,
    /// Of several recipients, those who have it and those who refused it, each by a hash, in order.
    pub served: Vec<Vec<u8>>,
    pub refused: Vec<Vec<u8>>,
}

#[derive(QueryableByName)]
struct WaitingRow {
    #[diesel(sql_type = BigInt)]
    message_id: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    alert_id: Option<i64>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Integer)]
    sequence: i32,
    #[diesel(sql_type = Text)]
    severity: String,
    #[diesel(sql_type = Jsonb)]
    facts: serde_json::Value,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = SmallInt)]
    attempts: i16,
    #[diesel(sql_type = Nullable<Text>)]
    rule: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    dataset_id: Option<i64>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    fired_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    resolved_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<diesel::sql_types::Double>)]
    worst_value: Option<f64>,
    #[diesel(sql_type = BigInt)]
    stopped: i64,
    #[diesel(sql_type = Bool)]
    is_unstable: bool,
    #[diesel(sql_type = Nullable<BigInt>)]
    opened_bundle: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    opened_provider_id: Option<String>,
    #[diesel(sql_type = Array<Bytea>)]
    served: Vec<Vec<u8>>,
    #[diesel(sql_type = Array<Bytea>)]
    refused: Vec<Vec<u8>>,
}

/// How a channel stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// Why it was switched off, if it was, with this configuration.
    pub disabled: Option<String>,
    /// Messages sent in the last hour; those sent together are one.
    pub sent_in_last_hour: usize,
}

pub(crate) async fn insert(
    connection: &mut AsyncPgConnection,
    alert_id: Option<i64>,
    messages: &[NewMessage],
) -> Result<(), StoreError> {
    for message in messages {
        let facts =
            serde_json::to_value(&message.facts).map_err(|_| StoreError::Invalid { what: "facts" })?;
        sql_query(
            "INSERT INTO alert_messages (alert_id, kind, sequence, channel, severity, facts, created_at, next_attempt_at)
             VALUES ($1, $2, $3, $4, $5, $6, rastro_now(), rastro_now()) ON CONFLICT DO NOTHING",
        )
        .bind::<Nullable<BigInt>, _>(alert_id)
        .bind::<Text, _>(message.kind)
        .bind::<Integer, _>(message.sequence)
        .bind::<Text, _>(message.channel)
        .bind::<Text, _>(message.severity.as_str())
        .bind::<Jsonb, _>(facts)
        .prepared()
        .execute(connection)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Writes messages that are about no single alert. A daily mail that is there already is left.
    pub async fn add_messages(&self, messages: &[NewMessage]) -> Result<(), StoreError> {
        insert(&mut *self.connection().await?, None, messages).await
    }

    /// Whether the daily mail of this number was written.
    pub async fn has_daily_message(&self, channel: &str, sequence: i32) -> Result<bool, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Bool)]
            there: bool,
        }
        let row: Row = sql_query(
            "SELECT EXISTS (SELECT FROM alert_messages WHERE kind = 'daily' AND channel = $1 AND sequence = $2) AS there",
        )
        .bind::<Text, _>(channel)
        .bind::<Integer, _>(sequence)
        .prepared()
        .row(self)
        .await?;
        Ok(row.there)
    }

    /// The messages of a channel that may be sent now, oldest first. What could not be sent for an hour is
    /// given up first, but for that an alert is open.
    pub async fn waiting_messages(&self, channel: &str) -> Result<Vec<WaitingMessage>, StoreError> {
        let mut connection = self.connection().await?;
        sql_query(include_str!("sql/give_up_messages.sql"))
            .bind::<Text, _>(channel)
            .prepared()
            .execute(&mut connection)
            .await?;
        let rows: Vec<WaitingRow> = sql_query(include_str!("sql/waiting_messages.sql"))
            .bind::<Text, _>(channel)
            .prepared()
            .load(&mut connection)
            .await?;
        let message = |row: WaitingRow| {
            Ok(WaitingMessage {
                message_id: row.message_id,
                alert_id: row.alert_id,
                kind: row.kind,
                sequence: row.sequence,
                severity: Severity::parse(&row.severity).ok_or(StoreError::Invalid { what: "severity" })?,
                facts: facts(row.facts)?,
                created_at: row.created_at,
                attempts: row.attempts,
                rule: row.rule,
                dataset_id: row.dataset_id,
                fired_at: row.fired_at,
                resolved_at: row.resolved_at,
                worst_value: row.worst_value,
                stopped: row.stopped,
                is_unstable: row.is_unstable,
                opened_bundle: row.opened_bundle,
                opened_provider_id: row.opened_provider_id,
                served: row.served,
                refused: row.refused,
            })
        };
        rows.into_iter().map(message).collect()
    }

    /// Whether a bundle still tells of an alert that is open.
    pub async fn bundle_is_open(&self, bundle_id: i64) -> Result<bool, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Bool)]
            open: bool,
        }
        let row: Row = sql_query(
            "SELECT EXISTS (
                SELECT FROM alert_messages m JOIN alerts a USING (alert_id) WHERE m.bundle_id = $1 AND a.state <> 'resolved'
             ) AS open",
        )
        .bind::<BigInt, _>(bundle_id)
        .prepared()
        .row(self)
        .await?;
        Ok(row.open)
    }

    /// One of several recipients has these, or refused them for good.
    pub async fn settle_recipient(
        &self,
        message_ids: &[i64],
        recipient: &[u8; 32],
        was_sent: bool,
    ) -> Result<(), StoreError> {
        sql_query(
            "INSERT INTO alert_message_recipients (message_id, recipient, was_sent, settled_at)
             SELECT message_id, $2, $3, rastro_now() FROM unnest($1) AS m (message_id) ON CONFLICT DO NOTHING",
        )
        .bind::<Array<BigInt>, _>(message_ids)
        .bind::<Bytea, _>(recipient.as_slice())
        .bind::<Bool, _>(was_sent)
        .prepared()
        .run(self)
        .await?;
        Ok(())
    }

    /// These were sent as one. `provider_id`: the channel's name of the message. `refused`: what a recipient
    /// said who did not take it, if others did.
    pub async fn mark_sent(
        &self,
        message_ids: &[i64],
        provider_id: Option<&str>,
        refused: Option<&str>,
    ) -> Result<(), StoreError> {
        sql_query(
            "UPDATE alert_messages SET state = 'sent', sent_at = rastro_now(), bundle_id = $2, provider_id = $3, last_error = $4
             WHERE message_id = ANY($1)",
        )
        .bind::<Array<BigInt>, _>(message_ids)
        .bind::<Nullable<BigInt>, _>(message_ids.first())
        .bind::<Nullable<Text>, _>(provider_id)
        .bind::<Nullable<Text>, _>(refused.map(clean))
        .prepared()
        .run(self)
        .await?;
        Ok(())
    }

    /// These could not be sent. `retry_seconds`: `None` if they never will be. After an hour it is tried four
    /// times an hour.
    pub async fn mark_unsent(
        &self,
        message_ids: &[i64],
        error: &str,
        retry_seconds: Option<i32>,
    ) -> Result<(), StoreError> {
        sql_query(
            "UPDATE alert_messages SET attempts = attempts + 1, last_error = $2,
                state = CASE WHEN $3 IS NULL THEN 'failed' ELSE 'waiting' END,
                next_attempt_at = rastro_now() + interval '1 second' * CASE
                    WHEN created_at < rastro_now() - interval '1 hour' THEN greatest($3, 900) ELSE coalesce($3, 0) END
             WHERE message_id = ANY($1)",
        )
        .bind::<Array<BigInt>, _>(message_ids)
        .bind::<Text, _>(clean(error))
        .bind::<Nullable<Integer>, _>(retry_seconds)
        .prepared()
        .run(self)
        .await?;
        Ok(())
    }

    /// Whether a channel was switched off with this configuration, and how much it has had.
    pub async fn channel_state(
        &self,
        channel: &str,
        config_hash: &[u8; 32],
    ) -> Result<ChannelState, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<Text>)]
            reason: Option<String>,
            #[diesel(sql_type = BigInt)]
            sent: i64,
        }
        let row: Row = sql_query(
            "SELECT (SELECT reason FROM alert_channels WHERE channel = $1 AND config_hash = $2) AS reason, (
                SELECT count(DISTINCT bundle_id) FROM alert_messages
                WHERE channel = $1 AND state = 'sent' AND kind <> 'daily' AND sent_at > rastro_now() - interval '1 hour'
             ) AS sent",
        )
        .bind::<Text, _>(channel)
        .bind::<Bytea, _>(config_hash.as_slice())
        .prepared()
        .row(self)
        .await?;
        Ok(ChannelState {
            disabled: row.reason,
            sent_in_last_hour: usize::try_from(row.sent).unwrap_or(usize::MAX),
        })
    }

    /// Switches a channel off until its configuration changes.
    pub async fn disable_channel(
        &self,
        channel: &str,
        config_hash: &[u8; 32],
        reason: &str,
    ) -> Result<(), StoreError> {
        sql_query(
            "INSERT INTO alert_channels (channel, disabled_at, reason, config_hash) VALUES ($1, rastro_now(), $2, $3)
             ON CONFLICT (channel) DO UPDATE SET disabled_at = excluded.disabled_at, reason = excluded.reason,
                config_hash = excluded.config_hash",
        )
        .bind::<Text, _>(channel)
        .bind::<Text, _>(clean(reason))
        .bind::<Bytea, _>(config_hash.as_slice())
        .prepared()
        .run(self)
        .await?;
        Ok(())
    }

    /// Tells a channel's configuration, before [`channel_state`](Self::channel_state) is asked. After another
    /// one, which was switched off, what was not said of open alerts waits again.
    pub async fn revive_messages(&self, channel: &str, config_hash: &[u8; 32]) -> Result<(), StoreError> {
        sql_query(include_str!("sql/revive_messages.sql"))
            .bind::<Text, _>(channel)
            .bind::<Bytea, _>(config_hash.as_slice())
            .prepared()
            .run(self)
            .await?;
        Ok(())
    }

    /// Messages of the last day that were given up, or have not been sent for an hour, or not to everybody,
    /// with why: channel, error, how many.
    pub async fn given_up_messages(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            channel: String,
            #[diesel(sql_type = Text)]
            error: String,
            #[diesel(sql_type = BigInt)]
            messages: i64,
        }
        let rows: Vec<Row> = sql_query(
            "SELECT channel, coalesce(last_error, '') AS error, count(*) AS messages FROM alert_messages
             WHERE created_at > rastro_now() - interval '1 day' AND (state = 'failed' OR (last_error IS NOT NULL
                AND (state = 'sent' OR created_at < rastro_now() - interval '1 hour')))
             GROUP BY channel, last_error",
        )
        .prepared()
        .rows(self)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.channel, row.error, row.messages))
            .collect())
    }
}
