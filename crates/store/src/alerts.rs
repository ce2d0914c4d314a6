//! `alerts`, `alert_rules` and `alert_silences`: what is wrong, how evaluating it went, and about what people
//! asked for silence. The rules are `rastro_core::alert`; a run writes what it decided in one transaction,
//! with what is to be said about it (`alert_messages`).

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::alert::state::Told;
use rastro_core::alert::{Alert, AlertState, Facts, Rule, Severity, Subject};
use rastro_core::dataset::DatasetId;
use serde::{Deserialize, Serialize};

use crate::alert_messages::{self, NewMessage};
use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::statement::Prepare;

/// An alert as the table has it, by the names of its columns.
#[derive(Serialize, Deserialize)]
struct Row {
    alert_id: Option<i64>,
    rule: String,
    dataset_id: Option<i64>,
    group_key: String,
    state: String,
    severity: Severity,
    pending_since: DateTime<Utc>,
    fired_at: Option<DateTime<Utc>>,
    clear_since: Option<DateTime<Utc>>,
    resolved_at: Option<DateTime<Utc>>,
    last_true_at: DateTime<Utc>,
    value: f64,
    worst_value: f64,
    threshold: f64,
    facts: Facts,
    reopened: i16,
    told_at: Option<DateTime<Utc>>,
    told_severity: Option<Severity>,
    told_value: Option<f64>,
    openings: i32,
    reminders: i16,
    worse_told: bool,
    muted_by: Option<String>,
    // Written by people on a page, never by a run.
    #[serde(skip_serializing)]
    acknowledged_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing)]
    snoozed_until: Option<DateTime<Utc>>,
}

impl Row {
    fn of(alert: &Alert) -> Self {
        Row {
            alert_id: alert.id,
            rule: alert.rule.as_str().to_owned(),
            dataset_id: alert.subject.dataset.map(DatasetId::as_i64),
            group_key: alert.subject.group.clone(),
            state: alert.state.as_str().to_owned(),
            severity: alert.severity,
            pending_since: alert.pending_since,
            fired_at: alert.fired_at,
            clear_since: alert.clear_since,
            resolved_at: alert.resolved_at,
            last_true_at: alert.last_true_at,
            value: alert.value,
            worst_value: alert.worst_value,
            threshold: alert.threshold,
            facts: alert.facts.clone(),
            reopened: alert.reopened,
            told_at: alert.told.map(|told| told.at),
            told_severity: alert.told.map(|told| told.severity),
            told_value: alert.told.map(|told| told.value),
            openings: alert.openings,
            reminders: alert.reminders,
            worse_told: alert.worse_told,
            muted_by: alert.muted_by.map(|rule| rule.as_str().to_owned()),
            acknowledged_at: None,
            snoozed_until: None,
        }
    }

    /// `None`: a newer program wrote it, in words that this one does not know.
    fn into_alert(self) -> Option<Alert> {
        let told = match (self.told_at, self.told_severity, self.told_value) {
            (Some(at), Some(severity), Some(value)) => Some(Told { at, severity, value }),
            _ => None,
        };
        Some(Alert {
            id: self.alert_id,
            rule: Rule::parse(&self.rule)?,
            subject: Subject {
                dataset: self.dataset_id.map(dataset_id).transpose().ok()?,
                group: self.group_key,
            },
            state: AlertState::parse(&self.state)?,
            severity: self.severity,
            pending_since: self.pending_since,
            fired_at: self.fired_at,
            clear_since: self.clear_since,
            resolved_at: self.resolved_at,
            last_true_at: self.last_true_at,
            value: self.value,
            worst_value: self.worst_value,
            threshold: self.threshold,
            facts: self.facts,
            reopened: self.reopened,
            told,
            openings: self.openings,
            reminders: self.reminders,
            worse_told: self.worse_told,
            muted_by: self.muted_by.as_deref().and_then(Rule::parse),
            acknowledged: self.acknowledged_at.is_some(),
            snoozed_until: self.snoozed_until,
        })
    }
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// What a run decided about one alert.
#[derive(Clone, Debug)]
pub struct AlertChange {
    pub alert: Alert,
    /// What is to be said about it.
    pub messages: Vec<NewMessage>,
}

/// Everything that one run decided.
#[derive(Clone, Debug, Default)]
pub struct AlertChanges {
    pub changed: Vec<AlertChange>,
    /// Pending alerts that were not true for long enough.
    pub forgotten: Vec<i64>,
    /// How evaluating each rule went.
    pub evaluated: Vec<(Rule, Result<(), String>)>,
}

/// A planned silence.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct Silence {
    #[diesel(sql_type = BigInt)]
    pub silence_id: i64,
    /// `None`: of every rule.
    #[diesel(sql_type = Nullable<Text>)]
    pub rule: Option<String>,
    /// `None`: in every dataset.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub dataset_id: Option<i64>,
    #[diesel(sql_type = Timestamptz)]
    pub starts_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    pub ends_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    pub created_by: String,
    #[diesel(sql_type = Text)]
    pub reason: String,
}

impl Silence {
    pub fn is_about(&self, rule: Rule, dataset: Option<DatasetId>) -> bool {
        self.rule.as_deref().is_none_or(|name| name == rule.as_str())
            && self
                .dataset_id
                .is_none_or(|id| dataset.is_some_and(|dataset| dataset.as_i64() == id))
    }
}

/// An alert with what only people read.
#[derive(Clone, Debug)]
pub struct ListedAlert {
    pub alert: Alert,
    pub acknowledged_by: Option<String>,
    pub snoozed_by: Option<String>,
    /// Messages that were sent about it.
    pub messages: i64,
}

const INSERT: &str = "INSERT INTO alerts (rule, dataset_id, group_key, state, severity, pending_since, fired_at, clear_since, resolved_at,
        last_true_at, value, worst_value, threshold, facts, reopened, told_at, told_severity, told_value, openings, reminders,
        worse_told, muted_by)
    SELECT rule, dataset_id, group_key, state, severity, pending_since, fired_at, clear_since, resolved_at, last_true_at, value,
        worst_value, threshold, facts, reopened, told_at, told_severity, told_value, openings, reminders, worse_told, muted_by
    FROM jsonb_populate_record(NULL::alerts, $1)
    RETURNING alert_id AS id";

const UPDATE: &str = "UPDATE alerts a SET state = n.state, severity = n.severity, fired_at = n.fired_at, clear_since = n.clear_since,
        resolved_at = n.resolved_at, last_true_at = n.last_true_at, value = n.value, worst_value = n.worst_value,
        threshold = n.threshold, facts = n.facts, told_at = n.told_at, told_severity = n.told_severity, told_value = n.told_value,
        openings = n.openings, reminders = n.reminders, worse_told = n.worse_told, muted_by = n.muted_by
    FROM jsonb_populate_record(NULL::alerts, $1) AS n
    WHERE a.alert_id = n.alert_id
    RETURNING a.alert_id AS id";

impl Store {
    /// The open alerts, and of each subject the one that resolved within the last hour.
    pub async fn current_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        self.alerts_where(
            "a.state IN ('pending', 'firing') OR (a.state = 'resolved' AND a.resolved_at > rastro_now() - interval '61 minutes')",
        )
        .await
        .map(|listed| listed.into_iter().map(|listed| listed.alert).collect())
    }

    /// The alerts that are firing, worst first.
    pub async fn open_alerts(&self) -> Result<Vec<ListedAlert>, StoreError> {
        let mut alerts = self.alerts_where("a.state = 'firing'").await?;
        alerts.sort_by_key(|listed| (std::cmp::Reverse(listed.alert.severity), listed.alert.fired_at));
        Ok(alerts)
    }

    /// One alert.
    pub async fn alert(&self, alert_id: i64) -> Result<Option<ListedAlert>, StoreError> {
        let found = self.alerts_where(&format!("a.alert_id = {alert_id}")).await?;
        Ok(found.into_iter().next())
    }

    /// `condition` is one of our own texts.
    async fn alerts_where(&self, condition: &str) -> Result<Vec<ListedAlert>, StoreError> {
        #[derive(QueryableByName)]
        struct Listed {
            #[diesel(sql_type = Jsonb)]
            json: serde_json::Value,
            #[diesel(sql_type = Nullable<Text>)]
            acknowledged_by: Option<String>,
            #[diesel(sql_type = Nullable<Text>)]
            snoozed_by: Option<String>,
            #[diesel(sql_type = BigInt)]
            messages: i64,
        }
        let rows: Vec<Listed> = sql_query(format!(
            "SELECT to_jsonb(a) AS json, a.acknowledged_by, a.snoozed_by, (
                SELECT count(*) FROM alert_messages m WHERE m.alert_id = a.alert_id AND m.state = 'sent'
             ) AS messages
             FROM alerts a WHERE {condition} ORDER BY coalesce(a.fired_at, a.pending_since) DESC, a.alert_id DESC"
        ))
        .load(&mut self.connection().await?)
        .await?;
        let mut alerts = Vec::with_capacity(rows.len());
        for listed in rows {
            let row: Row =
                serde_json::from_value(listed.json).map_err(|_| StoreError::Invalid { what: "alert" })?;
            let id = row.alert_id.unwrap_or_default();
            match row.into_alert() {
                Some(alert) => alerts.push(ListedAlert {
                    alert,
                    acknowledged_by: listed.acknowledged_by,
                    snoozed_by: listed.snoozed_by,
                    messages: listed.messages,
                }),
                None => self.unknown_words.note("alerts", id),
            }
        }
        Ok(alerts)
    }

    /// Writes what a run decided, with what is to be said about it, in one transaction.
    pub async fn change_alerts(&self, changes: &AlertChanges) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        connection
            .transaction(async |connection| {
                sql_query("DELETE FROM alerts WHERE alert_id = ANY($1) AND state = 'pending'")
                    .bind::<Array<BigInt>, _>(&changes.forgotten)
                    .prepared()
                    .execute(connection)
                    .await?;
                for change in &changes.changed {
                    let row = serde_json::to_value(Row::of(&change.alert))
                        .map_err(|_| StoreError::Invalid { what: "alert" })?;
                    let statement = if change.alert.id.is_none() { INSERT } else { UPDATE };
                    let Id { id } = sql_query(statement)
                        .bind::<Jsonb, _>(row)
                        .prepared()
                        .get_result(connection)
                        .await?;
                    alert_messages::insert(connection, Some(id), &change.messages).await?;
                }
                for (rule, result) in &changes.evaluated {
                    sql_query(
                        "INSERT INTO alert_rules (rule, failed_runs, last_error, evaluated_at)
                         VALUES ($1, CASE WHEN $2 IS NULL THEN 0 ELSE 1 END, $2, rastro_now())
                         ON CONFLICT (rule) DO UPDATE SET last_error = excluded.last_error, evaluated_at = excluded.evaluated_at,
                            failed_runs = CASE WHEN excluded.last_error IS NULL THEN 0 ELSE alert_rules.failed_runs + 1 END",
                    )
                    .bind::<Text, _>(rule.as_str())
                    .bind::<Nullable<Text>, _>(result.as_ref().err())
                    .prepared()
                    .execute(connection)
                    .await?;
                }
                Ok(())
            })
            .await
    }

    /// Forgets alerts that were resolved more than a year ago.
    pub async fn expire_alerts(&self) -> Result<usize, StoreError> {
        let deleted = sql_query(
            "DELETE FROM alerts WHERE state = 'resolved' AND resolved_at < rastro_now() - interval '12 months'",
        )
        .prepared()
        .run(self)
        .await?;
        Ok(deleted)
    }

    // ---- what people order on a page ----

    /// No more reminders. `false`: it is not open, or was acknowledged before.
    pub async fn acknowledge_alert(&self, alert_id: i64, who: &str) -> Result<bool, StoreError> {
        let changed = sql_query(
            "UPDATE alerts SET acknowledged_at = rastro_now(), acknowledged_by = $2
             WHERE alert_id = $1 AND state = 'firing' AND acknowledged_at IS NULL",
        )
        .bind::<BigInt, _>(alert_id)
        .bind::<Text, _>(who)
        .prepared()
        .run(self)
        .await?;
        Ok(changed == 1)
    }

    /// No messages until then; afterwards it is as if new. `false`: it is not open.
    pub async fn snooze_alert(
        &self,
        alert_id: i64,
        until: DateTime<Utc>,
        who: &str,
    ) -> Result<bool, StoreError> {
        let changed = sql_query(
            "UPDATE alerts SET snoozed_until = $2, snoozed_by = $3 WHERE alert_id = $1 AND state = 'firing'",
        )
        .bind::<BigInt, _>(alert_id)
        .bind::<Timestamptz, _>(until)
        .bind::<Text, _>(who)
        .prepared()
        .run(self)
        .await?;
        Ok(changed == 1)
    }

    /// Silence about a rule, a dataset, or a rule in a dataset, for at most 14 days from `starts_at`. Returns
    /// its number.
    pub async fn add_silence(
        &self,
        rule: Option<Rule>,
        dataset: Option<DatasetId>,
        (starts_at, ends_at): (DateTime<Utc>, DateTime<Utc>),
        who: &str,
        reason: &str,
    ) -> Result<i64, StoreError> {
        let Id { id } = sql_query(
            "INSERT INTO alert_silences (rule, dataset_id, starts_at, ends_at, created_at, created_by, reason)
             VALUES ($1, $2, $3, $4, rastro_now(), $5, $6) RETURNING silence_id AS id",
        )
        .bind::<Nullable<Text>, _>(rule.map(Rule::as_str))
        .bind::<Nullable<BigInt>, _>(dataset.map(DatasetId::as_i64))
        .bind::<Timestamptz, _>(starts_at)
        .bind::<Timestamptz, _>(ends_at)
        .bind::<Text, _>(who)
        .bind::<Text, _>(reason)
        .prepared()
        .row(self)
        .await?;
        Ok(id)
    }

    /// Ends a silence now. `false`: it was over, or has not begun.
    pub async fn end_silence(&self, silence_id: i64) -> Result<bool, StoreError> {
        let ended = sql_query(
            "UPDATE alert_silences SET ends_at = rastro_now()
             WHERE silence_id = $1 AND ends_at > rastro_now() AND starts_at < rastro_now()",
        )
        .bind::<BigInt, _>(silence_id)
        .prepared()
        .run(self)
        .await?;
        Ok(ended == 1)
    }

    /// The silences in force.
    pub async fn silences(&self) -> Result<Vec<Silence>, StoreError> {
        sql_query(
            "SELECT silence_id, rule, dataset_id, starts_at, ends_at, created_by, reason FROM alert_silences
             WHERE starts_at <= rastro_now() AND ends_at > rastro_now() ORDER BY ends_at",
        )
        .prepared()
        .rows(self)
        .await
    }
}
