//! A batch has one owner, whoever sleeps, dies or comes back.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::collections::HashSet;
use std::time::Duration;

use rastro_core::dedup::EventKey;
use rastro_store::{AttemptRecord, Batch, BatchId, EventOutcome, Lane, NewEvent, Outcome, Store};
use rastro_test_support::TestDatabase;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(60);

struct Queue {
    database: TestDatabase,
    store: Store,
}

impl Queue {
    async fn with_events(lanes: &[(i64, &str, usize)]) -> Self {
        let database = TestDatabase::create().await;
        let store = Store::new(&database.config(), "test").unwrap();
        let mut writer = store.event_writer().await.unwrap();
        for (dataset, code, count) in lanes {
            let dataset_id = (*dataset).try_into().unwrap();
            let mut events: Vec<NewEvent> = (0..*count)
                .map(|number| {
                    let id = format!("{code}{number}");
                    NewEvent {
                        key: EventKey::new(dataset_id, "Lead", &id),
                        dataset_id,
                        name: "Lead".into(),
                        payload: format!(r#"{{"event_id":"{id}"}}"#),
                        id,
                        time: 4_000_000_000,
                        max_age_seconds: 0,
                        dedup_window_seconds: 1,
                        test_event_code: (*code).into(),
                        request_id: Uuid::now_v7(),
                        traceparent: None,
                    }
                })
                .collect();
            events.sort_by_key(|event| event.key);
            writer.accept(&events.iter().collect::<Vec<_>>()).await.unwrap();
        }
        Queue { database, store }
    }

    async fn claim(&self, dataset: i64, code: &str, limit: u16) -> Option<Batch> {
        let lane = Lane {
            dataset_id: dataset.try_into().unwrap(),
            test_event_code: code.into(),
        };
        self.store.claim_batch(&lane, limit, LEASE, "one").await.unwrap()
    }

    async fn take_over(&self) -> Option<Batch> {
        self.store.take_over_batch(LEASE, "other").await.unwrap()
    }

    async fn finish(&self, id: BatchId, batch: &Batch) -> bool {
        self.store
            .finish_batch(id, &AttemptRecord::default(), &all(batch, Outcome::Success))
            .await
            .unwrap()
    }

    async fn lapse(&self) {
        self.database
            .execute("UPDATE send_batches SET lease_expires_at = rastro_now() - interval '1 second'")
            .await;
    }

    async fn assert_nothing_is_lost(&self) {
        let account = self.store.account().await.unwrap();
        assert_eq!(account.lost(), 0, "{account:?}");
        assert_eq!(account.confirmations, account.delivered, "{account:?}");
    }
}

fn all(batch: &Batch, outcome: Outcome) -> Vec<EventOutcome<'_>> {
    batch
        .events
        .iter()
        .map(|event| EventOutcome { event, outcome })
        .collect()
}

#[tokio::test]
async fn a_claim_takes_the_oldest_of_its_own_lane_and_no_more_than_asked() {
    let queue = Queue::with_events(&[(1, "", 25), (1, "TEST1", 5), (2, "", 5)]).await;
    let lanes = queue.store.lanes().await.unwrap();
    let names: Vec<_> = lanes
        .iter()
        .map(|lane| (lane.dataset_id.as_i64(), lane.test_event_code.as_str()))
        .collect();
    assert_eq!(names, [(1, ""), (1, "TEST1"), (2, "")]);
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert_eq!((batch.events.len(), batch.attempt, batch.id.fence), (10, 1, 1));
    assert!(batch.events.is_sorted_by_key(|event| event.number));
    let left = queue
        .database
        .value("SELECT min(event_number) FROM send_queue WHERE dataset_id = 1 AND test_event_code = ''");
    assert!(batch.events[9].number < left.await.parse().unwrap());
    assert!(
        batch
            .events
            .iter()
            .all(|event| event.payload == format!(r#"{{"event_id":"{}"}}"#, event.id))
    );
    assert_eq!(queue.claim(1, "TEST1", 1_000).await.unwrap().events.len(), 5);
    assert!(queue.claim(1, "TEST1", 1_000).await.is_none());
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn concurrent_claims_never_share_an_event() {
    let queue = Queue::with_events(&[(1, "", 1_000)]).await;
    let claims = (0..10).map(|_| queue.claim(1, "", 100));
    let batches: Vec<Batch> = futures_util::future::join_all(claims)
        .await
        .into_iter()
        .flatten()
        .collect();
    let numbers: HashSet<i64> = batches
        .iter()
        .flat_map(|batch| &batch.events)
        .map(|event| event.number)
        .collect();
    assert_eq!(
        numbers.len(),
        batches.iter().map(|batch| batch.events.len()).sum::<usize>()
    );
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn a_claim_stays_within_its_limit_under_every_plan() {
    let queue = Queue::with_events(&[(1, "", 200)]).await;
    let name = queue.database.name();
    for setting in [
        "enable_hashjoin",
        "enable_nestloop",
        "enable_mergejoin",
        "enable_indexscan",
        "enable_tidscan",
    ] {
        queue
            .database
            .execute(&format!("ALTER DATABASE {name} SET {setting} = off"))
            .await;
        let store = Store::new(&queue.database.config(), "test").unwrap();
        let lane = Lane {
            dataset_id: 1.try_into().unwrap(),
            test_event_code: String::new(),
        };
        let batch = store.claim_batch(&lane, 10, LEASE, "one").await.unwrap().unwrap();
        assert_eq!(batch.events.len(), 10, "{setting}");
        queue.assert_nothing_is_lost().await;
    }
}

#[tokio::test]
async fn a_batch_is_taken_over_only_when_its_lease_has_ended_and_by_one() {
    let queue = Queue::with_events(&[(1, "", 3)]).await;
    let first = queue.claim(1, "", 10).await.unwrap();
    assert!(queue.take_over().await.is_none());
    queue.lapse().await;
    let takers = futures_util::future::join_all((0..5).map(|_| queue.take_over())).await;
    let taken: Vec<Batch> = takers.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1);
    let second = &taken[0];
    assert_eq!(
        (second.id.batch_id, second.id.fence, second.attempt),
        (first.id.batch_id, 2, 2)
    );
    let payloads = |batch: &Batch| {
        batch
            .events
            .iter()
            .map(|event| event.payload.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(payloads(second), payloads(&first));
}

#[tokio::test]
async fn no_write_of_a_former_owner_changes_anything() {
    let queue = Queue::with_events(&[(1, "", 3)]).await;
    let zombie = queue.claim(1, "", 10).await.unwrap();
    queue.lapse().await;
    let owner = queue.take_over().await.unwrap();
    let rows = "SELECT * FROM send_batches";
    let before = queue.database.query(rows).await;
    let attempt = AttemptRecord::default();

    assert!(!queue.finish(zombie.id, &zombie).await);
    let outcomes = all(&zombie, Outcome::Error);
    assert!(
        !queue
            .store
            .postpone_batch(zombie.id, &attempt, &outcomes, LEASE)
            .await
            .unwrap()
    );

    assert_eq!(queue.database.query(rows).await, before);
    assert_eq!(
        queue.database.value("SELECT count(*) FROM meta_events_log").await,
        "0"
    );
    assert!(queue.finish(owner.id, &owner).await);
    assert!(!queue.finish(owner.id, &owner).await, "a batch ends once");
    assert_eq!(
        queue.database.value("SELECT count(*) FROM meta_events_log").await,
        "3"
    );
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn a_postponed_batch_waits_and_keeps_only_what_is_worth_sending() {
    let queue = Queue::with_events(&[(1, "", 3)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    let mut outcomes = all(&batch, Outcome::Error);
    outcomes[0].outcome = Outcome::Expired;
    let attempt = AttemptRecord {
        http_status: Some(503),
        error_code: Some(2),
        error_message: Some("HTTP 503, code 2".into()),
        fbtrace_id: Some("A1".into()),
        latency_ms: Some(12),
        ..AttemptRecord::default()
    };
    assert!(
        queue
            .store
            .postpone_batch(batch.id, &attempt, &outcomes, LEASE)
            .await
            .unwrap()
    );
    assert!(queue.take_over().await.is_none());
    let log = "SELECT outcome, http_status, error_code, error_message, fbtrace_id, latency_ms, attempt
        FROM meta_events_log ORDER BY event_number";
    let rows = queue.database.query(log).await;
    let text = |row: &Vec<Option<String>>| {
        row.iter()
            .map(|value| value.clone().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    assert_eq!(text(&rows[0])[0], "expired");
    assert_eq!(
        text(&rows[1]),
        ["error", "503", "2", "HTTP 503, code 2", "A1", "12", "1"]
    );
    queue.lapse().await;
    let again = queue.take_over().await.unwrap();
    assert_eq!(again.events.len(), 2);
    assert_eq!(again.attempt, 2);
    assert!(queue.finish(again.id, &again).await);
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn numbers_beyond_32_bits_are_carried_everywhere() {
    let queue = Queue::with_events(&[]).await;
    queue
        .database
        .execute("SELECT setval('event_numbers', 8589934592)")
        .await;
    let mut writer = queue.store.event_writer().await.unwrap();
    let dataset_id = 1.try_into().unwrap();
    let event = NewEvent {
        key: EventKey::new(dataset_id, "Lead", "big"),
        dataset_id,
        name: "Lead".into(),
        id: "big".into(),
        time: 4_000_000_000,
        max_age_seconds: 0,
        dedup_window_seconds: 1,
        test_event_code: String::new(),
        payload: "{}".into(),
        request_id: Uuid::now_v7(),
        traceparent: None,
    };
    writer.accept(&[&event]).await.unwrap();
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert_eq!(batch.events[0].number, 8_589_934_593);
    assert!(queue.finish(batch.id, &batch).await);
    queue.assert_nothing_is_lost().await;
}
