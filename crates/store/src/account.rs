//! The books: where every accepted event is, counted in one snapshot.

use std::marker::PhantomData;

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use crate::connection::Store;
use crate::error::StoreError;
use crate::statement::statement;

/// How many events are where. It counts whole tables: for tests, demos and benchmarks, not for every scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub accepted: i64,
    pub ready: i64,
    pub in_flight: i64,
    /// Failed, and due again later.
    pub waiting: i64,
    /// Dead letters.
    pub failed: i64,
    /// Events that Meta confirmed, each counted once.
    pub delivered: i64,
    /// Confirmations; more than `delivered` would mean that an event was finished twice.
    pub confirmations: i64,
    /// Events refused because their key was taken. They are not part of `accepted`.
    pub duplicates: i64,
}

impl Account {
    /// Accepted events that are nowhere. Anything but 0 is a defect; below 0 an event is in two places.
    pub fn lost(&self) -> i64 {
        self.accepted - self.ready - self.in_flight - self.waiting - self.failed - self.delivered
    }

    /// Events that still have to reach Meta, and will without anybody's help.
    pub fn pending(&self) -> i64 {
        self.ready + self.in_flight + self.waiting
    }
}

impl Store {
    /// Counts where every event is.
    pub async fn account(&self) -> Result<Account, StoreError> {
        let row: (i64, i64, i64, i64, i64, i64, i64, i64) = CountEverything {
            lifetime: PhantomData,
        }
        .get_result(&mut self.connection().await?)
        .await?;
        let (accepted, ready, in_flight, waiting, failed, delivered, confirmations, duplicates) = row;
        Ok(Account {
            accepted,
            ready,
            in_flight,
            waiting,
            failed,
            delivered,
            confirmations,
            duplicates,
        })
    }
}

statement! {
    CountEverything<'q>("sql/account.sql") ->
        (BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt) {}
}
