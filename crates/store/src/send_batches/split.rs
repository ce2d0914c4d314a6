//! A batch becomes two.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::settle::dead_letter_missing;
use super::{Batch, BatchId, Contents, QueuedEvent, insert_batch};
use crate::error::StoreError;
use crate::schema::{rastro_now, send_batches as b};
use crate::send_attempts::{self, AttemptRecord};

pub(super) async fn split(
    connection: &mut AsyncPgConnection,
    batch: Batch,
    attempt: Option<&AttemptRecord>,
    lease: Duration,
) -> Result<Option<(Batch, Batch)>, StoreError> {
    let row: Option<(String, DateTime<Utc>)> =
        diesel::delete(b::table.find((batch.id.dataset_id.as_i64(), batch.id.batch_id)))
            .filter(b::fence.eq(batch.id.fence))
            .returning((b::owner, rastro_now()))
            .get_result(connection)
            .await
            .optional()?;
    let Some((owner, now)) = row else {
        return Ok(None);
    };
    let connection = &*connection;
    if let Some(attempt) = attempt {
        let sent: Vec<&QueuedEvent> = batch.events.iter().filter(|event| !event.too_old).collect();
        send_attempts::insert(connection, &batch, &sent, attempt).await?;
    }
    dead_letter_missing(connection, &batch).await?;
    let Batch {
        id,
        attempt,
        test_event_code,
        events: mut first,
        ..
    } = batch;
    // The parts before it may have taken their time.
    for event in &mut first {
        event.too_old = event.send_by <= now;
    }
    let second = first.split_off(first.len() / 2);
    let half = async |events: Vec<QueuedEvent>| {
        let days = events.iter().map(|event| event.day);
        let (Some(first_day), Some(last_day)) = (days.clone().min(), days.max()) else {
            return Err(StoreError::Invalid {
                what: "batch: one event cannot be split",
            });
        };
        let contents = Contents {
            dataset_id: id.dataset_id,
            test_event_code: &test_event_code,
            numbers: events.iter().map(|event| event.number).collect(),
            retries: events.iter().map(|event| event.retries).collect(),
            first_day,
            last_day,
        };
        let (batch_id, lease_expires_at) =
            insert_batch(connection, &contents, attempt, lease, &owner).await?;
        Ok(Batch {
            id: BatchId {
                dataset_id: id.dataset_id,
                batch_id,
                fence: 1,
            },
            attempt,
            test_event_code: test_event_code.clone(),
            lease_expires_at,
            events,
            missing: Vec::new(),
        })
    };
    Ok(Some((half(first).await?, half(second).await?)))
}
