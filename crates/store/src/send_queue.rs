//! `send_queue`: events ready to be sent, a thin row each. Rows come with [`crate::events`] and [`crate::meta_retry_queue`],
//! and go with [`crate::send_batches`].

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{Array, BigInt, Date, SmallInt, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::circuit_breaker::Breaker;
use rastro_core::dataset::DatasetId;

use crate::circuit_breakers::BreakerRow;
use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::statement::Prepare;

/// Events that may share a request to Meta: one dataset, one test event code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    pub dataset_id: DatasetId,
    /// Empty for real events.
    pub test_event_code: String,
}

/// A lane in which something is ready, and whether its dataset may be sent to.
#[derive(Clone, Debug)]
pub struct ReadyLane {
    pub lane: Lane,
    /// The number of its oldest event that was ready. One of a lower number may still become ready: accepts commit in any
    /// order, and events come back.
    pub first_number: i64,
    pub breaker: Breaker,
    /// The database's time, which the breaker goes by.
    pub now_ms: i64,
}

#[derive(QueryableByName)]
struct LaneRow {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = Text)]
    test_event_code: String,
    #[diesel(sql_type = BigInt)]
    first_number: i64,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(embed)]
    breaker: BreakerRow,
}

impl Store {
    /// The lanes in which something is ready, by dataset. A dataset whose breaker this program does not understand (a newer
    /// one wrote it) is left out, logged and counted.
    pub async fn ready_lanes(&self) -> Result<Vec<ReadyLane>, StoreError> {
        let rows: Vec<LaneRow> = sql_query(include_str!("sql/ready_lanes.sql"))
            .prepared()
            .load(&mut self.connection().await?)
            .await?;
        let mut lanes = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(breaker) = row.breaker.breaker(row.now) else {
                self.unknown_words.note("circuit_breakers", row.dataset_id);
                continue;
            };
            lanes.push(ReadyLane {
                lane: Lane {
                    dataset_id: dataset_id(row.dataset_id)?,
                    test_event_code: row.test_event_code,
                },
                first_number: row.first_number,
                breaker,
                now_ms: row.now.timestamp_millis(),
            });
        }
        Ok(lanes)
    }
}

/// A row of the queue.
pub(crate) struct ReadyEvent<'r> {
    pub(crate) dataset_id: i64,
    pub(crate) test_event_code: &'r str,
    pub(crate) event_number: i64,
    pub(crate) day: NaiveDate,
    pub(crate) retries: i16,
    /// In seconds since 1970.
    pub(crate) send_by: i64,
}

/// Makes events ready, as a part of the caller's transaction.
pub(crate) async fn insert_ready<'r>(
    mut connection: &AsyncPgConnection,
    events: impl Iterator<Item = ReadyEvent<'r>>,
) -> Result<(), StoreError> {
    let events: Vec<ReadyEvent<'r>> = events.collect();
    if events.is_empty() {
        return Ok(());
    }
    fn column<'r, T>(events: &[ReadyEvent<'r>], value: impl Fn(&ReadyEvent<'r>) -> T) -> Vec<T> {
        events.iter().map(value).collect()
    }
    sql_query(include_str!("sql/insert_ready.sql"))
        .bind::<Array<BigInt>, _>(column(&events, |event| event.dataset_id))
        .bind::<Array<Text>, _>(column(&events, |event| event.test_event_code))
        .bind::<Array<BigInt>, _>(column(&events, |event| event.event_number))
        .bind::<Array<Date>, _>(column(&events, |event| event.day))
        .bind::<Array<SmallInt>, _>(column(&events, |event| event.retries))
        .bind::<Array<BigInt>, _>(column(&events, |event| event.send_by))
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}
