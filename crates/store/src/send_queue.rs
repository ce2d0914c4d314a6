//! `send_queue`: events ready to be sent, as ids. Rows come with [`crate::events`] and [`crate::meta_retry_queue`], and go
//! with [`crate::send_batches`].

use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use rastro_core::circuit_breaker::Breaker;
use rastro_core::dataset::DatasetId;

use crate::circuit_breakers::{BreakerRow, BreakerSql, breaker_from_row};
use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::statement;

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

impl Store {
    /// The lanes in which something is ready, by dataset.
    pub async fn ready_lanes(&self) -> Result<Vec<ReadyLane>, StoreError> {
        let statement = Lanes {
            lifetime: PhantomData,
        };
        let rows: Vec<(i64, String, i64, DateTime<Utc>, BreakerRow)> =
            statement.load(&mut self.connection().await?).await?;
        rows.into_iter()
            .map(|(dataset_id, test_event_code, first_number, now, breaker)| {
                let dataset_id = dataset_id
                    .try_into()
                    .map_err(|_| StoreError::Invalid { what: "dataset_id" })?;
                Ok(ReadyLane {
                    lane: Lane {
                        dataset_id,
                        test_event_code,
                    },
                    first_number,
                    breaker: breaker_from_row(breaker, now)?,
                    now_ms: now.timestamp_millis(),
                })
            })
            .collect()
    }
}

statement! {
    Lanes<'q>("sql/lanes.sql") -> (BigInt, Text, BigInt, Timestamptz, BreakerSql) {}
}
