//! `event_outcomes`: what happens to events beside being accepted (`events`) and sent (`send_attempts`). Rows
//! are written in the transaction that decides the outcome, never after it.

use diesel::sql_query;
use diesel::sql_types::{self, Array, BigInt, Integer, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use uuid::Uuid;

use crate::error::StoreError;
use crate::send_attempts::clean;
use crate::statement::{Prepare, column};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Duplicate,
    Refused,
    Expired,
    Retried,
    Missing,
    DatasetDeleted,
    SetAside,
    Withheld,
    Erased,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Duplicate => "duplicate",
            Outcome::Refused => "refused",
            Outcome::Expired => "expired",
            Outcome::Retried => "retried",
            Outcome::Missing => "missing",
            Outcome::DatasetDeleted => "dataset_deleted",
            Outcome::SetAside => "set_aside",
            Outcome::Withheld => "withheld",
            Outcome::Erased => "erased",
        }
    }
}

/// A row; the columns are explained in the migration.
pub(crate) struct EventOutcome<'o> {
    pub(crate) dataset_id: i64,
    pub(crate) outcome: Outcome,
    pub(crate) event_number: Option<i64>,
    pub(crate) event_name: Option<&'o str>,
    pub(crate) event_id: Option<&'o str>,
    pub(crate) key_id: Option<i64>,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) detail: Option<&'o str>,
    pub(crate) event_count: i32,
}

impl EventOutcome<'_> {
    /// Of one event, and nothing else is said of it.
    pub(crate) fn new(dataset_id: i64, outcome: Outcome) -> Self {
        EventOutcome {
            dataset_id,
            outcome,
            event_number: None,
            event_name: None,
            event_id: None,
            key_id: None,
            request_id: None,
            detail: None,
            event_count: 1,
        }
    }
}

/// Writes outcomes, at the time of the transaction.
pub(crate) async fn insert<'o>(
    mut connection: &AsyncPgConnection,
    outcomes: impl Iterator<Item = EventOutcome<'o>>,
) -> Result<(), StoreError> {
    let outcomes: Vec<EventOutcome<'o>> = outcomes.collect();
    if outcomes.is_empty() {
        return Ok(());
    }
    sql_query(include_str!("sql/insert_outcomes.sql"))
        .bind::<Array<BigInt>, _>(column(&outcomes, |row| row.dataset_id))
        .bind::<Array<Text>, _>(column(&outcomes, |row| row.outcome.as_str()))
        .bind::<Array<Nullable<BigInt>>, _>(column(&outcomes, |row| row.event_number))
        .bind::<Array<Nullable<Text>>, _>(column(&outcomes, |row| row.event_name))
        .bind::<Array<Nullable<Text>>, _>(column(&outcomes, |row| row.event_id))
        .bind::<Array<Nullable<BigInt>>, _>(column(&outcomes, |row| row.key_id))
        .bind::<Array<Nullable<sql_types::Uuid>>, _>(column(&outcomes, |row| row.request_id))
        .bind::<Array<Nullable<Text>>, _>(column(&outcomes, |row| row.detail.map(clean)))
        .bind::<Array<Integer>, _>(column(&outcomes, |row| row.event_count))
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// Events of one request that were refused at the door for the same field. Nothing else of them is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub dataset_id: DatasetId,
    /// If it looks like a name that events have.
    pub event_name: Option<String>,
    pub key_id: Option<i64>,
    pub request_id: Uuid,
    /// JSON pointer of the field in its event; empty: the event as a whole, or the whole request. No values.
    pub field: String,
    pub event_count: usize,
}

impl Refusal {
    pub(crate) fn outcome(&self) -> EventOutcome<'_> {
        EventOutcome {
            event_name: self.event_name.as_deref(),
            key_id: self.key_id,
            request_id: Some(self.request_id),
            detail: Some(&self.field),
            event_count: i32::try_from(self.event_count).unwrap_or(i32::MAX),
            ..EventOutcome::new(self.dataset_id.as_i64(), Outcome::Refused)
        }
    }
}
