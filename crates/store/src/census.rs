//! The census: where every accepted event is, counted in one snapshot.

use diesel::sql_types::BigInt;
use diesel::{QueryableByName, sql_query};

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::Prepare;

/// How many events are where. It counts whole tables: for tests, demos and benchmarks, not for every scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Census {
    #[diesel(sql_type = BigInt)]
    pub accepted: i64,
    #[diesel(sql_type = BigInt)]
    pub ready: i64,
    #[diesel(sql_type = BigInt)]
    pub in_flight: i64,
    /// Failed or parked, and due again later.
    #[diesel(sql_type = BigInt)]
    pub waiting: i64,
    /// Dead letters.
    #[diesel(sql_type = BigInt)]
    pub dead: i64,
    /// Stored, and never to be sent: the visitor refused.
    #[diesel(sql_type = BigInt)]
    pub withheld: i64,
    /// Events that Meta confirmed, each counted once.
    #[diesel(sql_type = BigInt)]
    pub delivered: i64,
    /// Confirmations; more than `delivered` would mean that an event was finished twice.
    #[diesel(sql_type = BigInt)]
    pub confirmations: i64,
    /// Events refused because their key was taken. They are not part of `accepted`.
    #[diesel(sql_type = BigInt)]
    pub duplicates: i64,
}

impl Census {
    /// Accepted events that are nowhere. Anything but 0 is a defect; below 0 an event is in two places.
    pub fn lost(&self) -> i64 {
        self.accepted
            - self.ready
            - self.in_flight
            - self.waiting
            - self.dead
            - self.withheld
            - self.delivered
    }

    /// Events that still have to reach Meta, and will without anybody's help.
    pub fn pending(&self) -> i64 {
        self.ready + self.in_flight + self.waiting
    }
}

impl Store {
    /// Counts where every event is.
    pub async fn census(&self) -> Result<Census, StoreError> {
        sql_query(include_str!("sql/census.sql"))
            .prepared()
            .row(self)
            .await
    }
}
