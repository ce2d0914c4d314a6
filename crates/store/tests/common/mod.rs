//! What the tests of the store share: events, a database that holds some, and how it is looked at.
#![allow(dead_code, reason = "each test uses its part of it")]

use std::time::Duration;

use rastro_core::circuit_breaker::{Breaker, Reason, State};
use rastro_core::dataset::DatasetId;
use rastro_core::dedup::EventKey;
use rastro_store::{
    Acceptance, AttemptOutcome, AttemptRecord, Batch, Dataset, DatasetSettings, EventWriter, Fate, Lane,
    NewEvent, NewRequest, QueueStretch, ReadyLane, Refusal, Store, StoreError, Stored,
};
use rastro_test_support::TestDatabase;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// In the year 2096.
const FAR: i64 = 4_000_000_000;

pub(crate) fn dataset_id(id: i64) -> DatasetId {
    id.try_into().unwrap()
}

/// A lead that no age endangers.
pub(crate) fn event(dataset: i64, code: &str, id: &str) -> NewEvent {
    let dataset_id = dataset_id(dataset);
    NewEvent {
        key: EventKey::new(dataset_id, "Lead", id),
        dataset_id,
        name: "Lead".into(),
        id: id.into(),
        event_time: 1_790_000_000,
        send_by: FAR,
        dedup_window_seconds: 8 * 86_400,
        action_source: "website",
        facts: Default::default(),
        test_event_code: code.into(),
        key_id: None,
        request_id: Uuid::now_v7(),
        traceparent: None,
        withheld: false,
        payload: format!(r#"{{"event_name":"Lead","event_id":"{id}"}}"#),
        recall: None,
    }
}

pub(crate) fn dataset(id: i64) -> Dataset {
    Dataset {
        id: dataset_id(id),
        settings: DatasetSettings {
            name: "test".into(),
            ..Default::default()
        },
        access_token: "EAAtest".to_owned().into(),
    }
}

/// As the gateway stores a request without a record or an idempotency key.
pub(crate) trait Accept {
    async fn accept(
        &mut self,
        events: &[&NewEvent],
        refusals: &[&Refusal],
    ) -> Result<Vec<Acceptance>, StoreError>;
}

impl Accept for EventWriter {
    async fn accept(
        &mut self,
        events: &[&NewEvent],
        refusals: &[&Refusal],
    ) -> Result<Vec<Acceptance>, StoreError> {
        let request = NewRequest {
            events: events.iter().copied().cloned().collect(),
            refusals: refusals.iter().copied().cloned().collect(),
            ..NewRequest::default()
        };
        let mut stored = self.accept_requests(&[&request]).await?;
        match (stored.pop(), stored.is_empty()) {
            (Some(Stored::Now { acceptances, .. }), true) => Ok(acceptances),
            other => panic!("{other:?}"),
        }
    }
}

/// A database of a test's own, as one service sees it.
pub(crate) struct Queue {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
}

impl Queue {
    /// Dataset 1, and nothing of it.
    pub(crate) async fn empty() -> Self {
        Queue::with_events(&[(1, "", 0)]).await
    }

    /// So many events of each dataset and test event code.
    pub(crate) async fn with_events(lanes: &[(i64, &str, usize)]) -> Self {
        let database = TestDatabase::create().await;
        let store = Store::new(&database.config(), "test").unwrap();
        let queue = Queue { database, store };
        for (id, code, count) in lanes {
            queue.store.put_dataset(&dataset(*id)).await.unwrap();
            let events: Vec<NewEvent> = (0..*count)
                .map(|number| event(*id, code, &format!("{code}{number}")))
                .collect();
            queue.accept(&events).await;
        }
        queue
    }

    pub(crate) async fn accept(&self, events: &[NewEvent]) -> Vec<Acceptance> {
        let mut writer = self.store.event_writer().await.unwrap();
        let events: Vec<&NewEvent> = events.iter().collect();
        writer.accept(&events, &[]).await.unwrap()
    }

    /// Events of dataset 1 by so many commits of the same writer: a run of the queue each.
    pub(crate) async fn with_runs(runs: usize, events: usize) -> Self {
        let queue = Queue::empty().await;
        let mut writer = queue.store.event_writer().await.unwrap();
        for run in 0..runs {
            let events: Vec<NewEvent> = (0..events)
                .map(|number| event(1, "", &format!("{run}-{number}")))
                .collect();
            writer
                .accept(&events.iter().collect::<Vec<_>>(), &[])
                .await
                .unwrap();
        }
        queue
    }

    /// The numbers of the events that are ready, in their order.
    pub(crate) async fn ready(&self) -> Vec<String> {
        self.rows("SELECT event_number FROM ready_events ORDER BY 1")
            .await
    }

    pub(crate) async fn look(&self, dataset: i64, code: &str) -> Option<ReadyLane> {
        let lane = Lane {
            dataset_id: dataset_id(dataset),
            test_event_code: code.into(),
        };
        let lanes = self.store.ready_lanes().await.unwrap();
        lanes.into_iter().find(|ready| ready.lane == lane)
    }

    pub(crate) async fn claim(&self, dataset: i64, code: &str, limit: usize) -> Option<Batch> {
        let ready = self.look(dataset, code).await?;
        self.store.claim_batch(&ready, limit, LEASE, "one").await.unwrap()
    }

    pub(crate) async fn take_over(&self) -> Option<Batch> {
        self.store.take_over_batch(&[], LEASE, "other").await.unwrap()
    }

    pub(crate) async fn finish(&self, batch: &Batch) -> bool {
        let delivered = AttemptRecord::of(AttemptOutcome::Delivered);
        self.settle(batch, Fate::Done, Some(&delivered)).await
    }

    /// The same fate for every event, after such an answer.
    pub(crate) async fn settle(&self, batch: &Batch, fate: Fate, attempt: Option<&AttemptRecord>) -> bool {
        let fates = vec![fate; batch.events.len()];
        self.store.settle_batch(batch, &fates, attempt).await.unwrap()
    }

    /// A step through the whole queue.
    pub(crate) async fn expire_ready(&self, limit: i64) -> usize {
        let all = QueueStretch::default();
        self.store.expire_ready(all, limit).await.unwrap()
    }

    pub(crate) async fn clear_deleted_datasets(&self, limit: i64) -> usize {
        let all = QueueStretch::default();
        self.store.clear_deleted_datasets(all, limit).await.unwrap()
    }

    pub(crate) async fn lapse(&self) {
        self.database
            .execute("UPDATE send_batches SET lease_expires_at = rastro_now() - interval '1 second'")
            .await;
    }

    /// Brings a dataset's breaker to a state, whatever it was.
    pub(crate) async fn set_breaker(&self, dataset: i64, state: State, reason: Option<Reason>) -> Breaker {
        let (before, _, _) = self.store.breaker(dataset_id(dataset)).await.unwrap();
        let after = Breaker {
            generation: before.generation + 1,
            state,
            reason,
            ..before
        };
        let change = self
            .store
            .change_breaker(dataset_id(dataset), &before, &after, None);
        assert!(change.await.unwrap());
        after
    }

    /// Moves the database's time on by a PostgreSQL interval.
    pub(crate) async fn pass(&self, interval: &str) {
        self.database
            .execute(&format!(
                "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
                 AS 'SELECT now() + interval ''{interval}'''"
            ))
            .await;
    }

    /// The rows of a query, a text each, its columns with a space in between.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let rows = self.database.query(sql).await;
        rows.into_iter()
            .map(|row| {
                let columns: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
                columns.join(" ")
            })
            .collect()
    }

    pub(crate) async fn count(&self, table: &str) -> usize {
        let count = format!("SELECT count(*) FROM {table}");
        self.database.value(&count).await.parse().unwrap()
    }

    pub(crate) async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(self.database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn assert_nothing_is_lost(&self) {
        let census = self.store.census().await.unwrap();
        assert_eq!(census.lost(), 0, "{census:?}");
        assert_eq!(census.confirmations, census.delivered, "{census:?}");
    }
}

pub(crate) fn numbers(batch: &Batch) -> Vec<i64> {
    batch.events.iter().map(|event| event.number).collect()
}
