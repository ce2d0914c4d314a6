//! `send_attempts`: requests to Meta, a row each, whatever came of them. Written in the transaction that
//! settles the batch.

use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Date, Integer, Nullable, SmallInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::error::StoreError;
use crate::send_batches::{Batch, QueuedEvent};
use crate::statement::Prepare;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Meta took every event of it.
    Delivered,
    /// Meta will never take one of its events, or all, as they are. It is alive.
    Refused,
    /// No answer, or one that may be better later.
    Unavailable,
    /// Meta said wait.
    Throttled,
    /// A person must act first: access token, permission, configuration.
    Blocked,
}

impl AttemptOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptOutcome::Delivered => "delivered",
            AttemptOutcome::Refused => "refused",
            AttemptOutcome::Unavailable => "unavailable",
            AttemptOutcome::Throttled => "throttled",
            AttemptOutcome::Blocked => "blocked",
        }
    }
}

/// One request to Meta and its answer. `None` where there was no answer, or it did not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    pub outcome: AttemptOutcome,
    pub http_status: Option<u16>,
    pub fbtrace_id: Option<String>,
    pub error_code: Option<i32>,
    pub error_subcode: Option<i32>,
    pub error_message: Option<String>,
    /// From the first byte sent to the last byte of the answer.
    pub latency_ms: Option<i32>,
    /// How many events Meta says that it received.
    pub events_received: Option<i32>,
}

impl AttemptRecord {
    /// A request of which nothing but its outcome is known.
    pub fn of(outcome: AttemptOutcome) -> Self {
        AttemptRecord {
            outcome,
            http_status: None,
            fbtrace_id: None,
            error_code: None,
            error_subcode: None,
            error_message: None,
            latency_ms: None,
            events_received: None,
        }
    }
}

/// The longest message kept, in characters.
const LONGEST_MESSAGE: usize = 1_000;

/// A message as it can be stored and read: PostgreSQL stores no NUL, and a message may quote anything.
pub(crate) fn clean(message: &str) -> String {
    message
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(LONGEST_MESSAGE)
        .collect()
}

/// Logs an attempt for those events of the batch that were in the request.
pub(crate) async fn insert(
    mut connection: &AsyncPgConnection,
    batch: &Batch,
    sent: &[&QueuedEvent],
    attempt: &AttemptRecord,
) -> Result<(), StoreError> {
    let days = sent.iter().map(|event| event.day);
    let (Some(first_day), Some(last_day)) = (days.clone().min(), days.max()) else {
        return Ok(());
    };
    let numbers: Vec<i64> = sent.iter().map(|event| event.number).collect();
    sql_query(include_str!("sql/insert_attempt.sql"))
        .bind::<BigInt, _>(batch.id.dataset_id.as_i64())
        .bind::<BigInt, _>(batch.id.batch_id)
        .bind::<Integer, _>(batch.attempt)
        .bind::<Text, _>(batch.test_event_code.as_str())
        .bind::<Nullable<Integer>, _>(attempt.latency_ms)
        .bind::<Text, _>(attempt.outcome.as_str())
        .bind::<Nullable<SmallInt>, _>(attempt.http_status.and_then(|status| i16::try_from(status).ok()))
        .bind::<Nullable<Integer>, _>(attempt.error_code)
        .bind::<Nullable<Integer>, _>(attempt.error_subcode)
        .bind::<Nullable<Text>, _>(attempt.error_message.as_deref().map(clean))
        .bind::<Nullable<Text>, _>(attempt.fbtrace_id.as_deref().map(clean))
        .bind::<Nullable<Integer>, _>(attempt.events_received)
        .bind::<Array<BigInt>, _>(numbers)
        .bind::<Date, _>(first_day)
        .bind::<Date, _>(last_day)
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}
