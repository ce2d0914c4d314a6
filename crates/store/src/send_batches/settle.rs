//! The end of a batch: each of its events goes where its fate says.

use diesel_async::AsyncPgConnection;

use super::{Batch, Fate, QueuedEvent, delete};
use crate::error::StoreError;
use crate::event_outcomes::{self, EventOutcome, Outcome};
use crate::meta_retry_queue::{self, DeadLetterReason, LastError, RetryRow};
use crate::send_attempts::{self, AttemptOutcome, AttemptRecord};

pub(super) async fn settle(
    connection: &mut AsyncPgConnection,
    batch: &Batch,
    fates: &[Fate],
    attempt: Option<&AttemptRecord>,
) -> Result<bool, StoreError> {
    if !delete(connection, batch.id).await? {
        return Ok(false);
    }
    let connection = &*connection;
    let of = |reason| with_fates(batch, fates).filter(move |(_, fate)| unsent(fate) == reason);
    if let Some(attempt) = attempt {
        let sent: Vec<&QueuedEvent> = of(None).map(|(event, _)| event).collect();
        send_attempts::insert(connection, batch, &sent, attempt).await?;
    }
    let error = attempt.map(LastError::of).unwrap_or_default();
    let failed_alone = of(None).count() == 1
        && attempt.is_some_and(|attempt| attempt.outcome == AttemptOutcome::Unavailable);
    let (dataset, code) = (batch.id.dataset_id, batch.test_event_code.as_str());
    meta_retry_queue::insert(
        connection,
        dataset,
        code,
        &error,
        of(None)
            .filter_map(retry_row)
            .map(|row| RetryRow { failed_alone, ..row })
            .collect(),
    )
    .await?;
    for (reason, logged, error) in [
        (DeadLetterReason::Expired, Outcome::Expired, LastError::expired()),
        (
            DeadLetterReason::DatasetDeleted,
            Outcome::DatasetDeleted,
            LastError::dataset_deleted(),
        ),
    ] {
        let rows = of(Some(reason)).filter_map(retry_row).collect();
        meta_retry_queue::insert(connection, dataset, code, &error, rows).await?;
        let outcomes = of(Some(reason)).map(|(event, _)| outcome(batch, event, logged));
        event_outcomes::insert(connection, outcomes).await?;
    }
    dead_letter_missing(connection, batch).await?;
    Ok(true)
}

/// Why an event was left out of its request.
fn unsent(fate: &Fate) -> Option<DeadLetterReason> {
    match fate {
        Fate::Dead(reason @ (DeadLetterReason::Expired | DeadLetterReason::DatasetDeleted)) => Some(*reason),
        _ => None,
    }
}

fn with_fates<'b>(
    batch: &'b Batch,
    fates: &'b [Fate],
) -> impl Iterator<Item = (&'b QueuedEvent, &'b Fate)> + Clone {
    batch.events.iter().zip(fates)
}

/// The row of an event that is not done.
fn retry_row<'b>((event, fate): (&'b QueuedEvent, &'b Fate)) -> Option<RetryRow<'b>> {
    let (retries, delay, reason) = match *fate {
        Fate::Done => return None,
        Fate::Wait { delay, retries } => (retries, Some(delay), None),
        Fate::Dead(reason) => (event.retries, None, Some(reason)),
    };
    Some(RetryRow {
        number: event.number,
        day: event.day,
        name: Some(&event.name),
        id: Some(&event.id),
        send_by: Some(event.send_by),
        retries,
        delay,
        reason,
        failed_alone: false,
    })
}

fn outcome<'b>(batch: &Batch, event: &'b QueuedEvent, outcome: Outcome) -> EventOutcome<'b> {
    EventOutcome {
        event_number: Some(event.number),
        event_name: Some(&event.name),
        event_id: Some(&event.id),
        request_id: Some(event.request_id),
        ..EventOutcome::new(batch.id.dataset_id.as_i64(), outcome)
    }
}

/// Events whose row is gone must not go with the batch that listed them.
pub(super) async fn dead_letter_missing(
    connection: &AsyncPgConnection,
    batch: &Batch,
) -> Result<(), StoreError> {
    let rows = batch.missing.iter().map(|event| RetryRow {
        number: event.number,
        day: event.day,
        name: None,
        id: None,
        send_by: None,
        retries: event.retries,
        delay: None,
        reason: Some(DeadLetterReason::Missing),
        failed_alone: false,
    });
    let (dataset, code) = (batch.id.dataset_id, batch.test_event_code.as_str());
    meta_retry_queue::insert(connection, dataset, code, &LastError::missing(), rows.collect()).await?;
    let outcomes = batch.missing.iter().map(|event| EventOutcome {
        event_number: Some(event.number),
        ..EventOutcome::new(dataset.as_i64(), Outcome::Missing)
    });
    event_outcomes::insert(connection, outcomes).await
}
