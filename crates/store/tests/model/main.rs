//! Random histories of everything that can happen to an event, run against PostgreSQL and against a model of
//! a few maps, and compared after every step. The database's clock stands still and is moved by the history,
//! so that leases, retries and breakers are compared to the millisecond.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

#[path = "../common/mod.rs"]
mod common;
mod history;
mod memory;
mod steps;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use rastro_core::dataset::DatasetId;
use rastro_store::{EventWriter, Store};
use rastro_test_support::TestDatabase;
use tokio_postgres::{Client, NoTls};

use crate::history::History;
use crate::steps::{Step, step};

#[test]
fn whatever_happens_in_whatever_order_the_tables_hold_what_the_model_says() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut bench = runtime.block_on(Bench::new());
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Default::default()
    };
    let bench = std::cell::RefCell::new(&mut bench);
    TestRunner::new(config)
        .run(&vec(step(), 10..60), |steps| {
            runtime.block_on(bench.borrow_mut().replay(&steps))
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// A database, and the hands that act on it.
struct Bench {
    _database: TestDatabase,
    store: Store,
    writer: EventWriter,
    sql: Client,
    /// When every history begins.
    began_ms: i64,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::new(&database.config(), "test").unwrap();
        store.put_dataset(&common::dataset(1)).await.unwrap();
        let writer = store.event_writer().await.unwrap();
        let (sql, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let now = sql
            .query_one("SELECT (extract(epoch FROM now()) * 1000)::bigint", &[])
            .await
            .unwrap();
        Bench {
            _database: database,
            store,
            writer,
            sql,
            began_ms: now.get(0),
        }
    }

    /// Runs one history from empty tables, then brings everything to its end.
    async fn replay(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        self.sql
            .batch_execute(
                "DELETE FROM events; DELETE FROM meta_events_dedup; DELETE FROM event_outcomes; DELETE FROM send_attempts;
                 DELETE FROM send_queue; DELETE FROM send_batches; DELETE FROM meta_retry_queue; DELETE FROM circuit_breakers;
                 DELETE FROM breaker_transitions",
            )
            .await
            .unwrap();
        let mut history = History::new(self);
        history.set_clock().await;
        for step in steps {
            history.apply(step).await?;
            history.compare().await?;
        }
        history.drain().await
    }
}

fn dataset_id() -> DatasetId {
    1.try_into().unwrap()
}
