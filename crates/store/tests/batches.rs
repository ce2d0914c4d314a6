//! A batch has one owner, whoever sleeps, dies or comes back.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::collections::HashSet;
use std::time::Duration;

use rastro_core::circuit_breaker::{Breaker, State};
use rastro_core::dedup::EventKey;
use rastro_store::{
    AttemptRecord, Batch, Dataset, DatasetSettings, DeadLetterReason, Evidence, Fate, Lane, NewEvent,
    ReadyLane, Store,
};
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
                        send_by: 4_000_000_000,
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
        let ready = self.look(dataset, code).await?;
        self.store.claim_batch(&ready, limit, LEASE, "one").await.unwrap()
    }

    async fn look(&self, dataset: i64, code: &str) -> Option<ReadyLane> {
        let lane = Lane {
            dataset_id: dataset.try_into().unwrap(),
            test_event_code: code.into(),
        };
        let lanes = self.store.ready_lanes().await.unwrap();
        lanes.into_iter().find(|ready| ready.lane == lane)
    }

    async fn take_over(&self) -> Option<Batch> {
        self.store.take_over_batch(LEASE, "other").await.unwrap()
    }

    async fn finish(&self, batch: &Batch) -> bool {
        self.store
            .finish_batch(batch, &AttemptRecord::default())
            .await
            .unwrap()
    }

    async fn settle(&self, batch: &Batch, fate: Fate) -> bool {
        let fates = vec![fate; batch.events.len()];
        let record = AttemptRecord::default();
        self.store
            .settle_batch(batch, &record, &fates, Evidence::None)
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

#[tokio::test]
async fn a_claim_takes_the_oldest_of_its_own_lane_and_no_more_than_asked() {
    let queue = Queue::with_events(&[(1, "", 25), (1, "TEST1", 5), (2, "", 5)]).await;
    let lanes = queue.store.ready_lanes().await.unwrap();
    let names: Vec<_> = lanes
        .iter()
        .map(|ready| {
            (
                ready.lane.dataset_id.as_i64(),
                ready.lane.test_event_code.as_str(),
            )
        })
        .collect();
    assert_eq!(names, [(1, ""), (1, "TEST1"), (2, "")]);
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert_eq!((batch.events.len(), batch.attempt, batch.id.fence), (10, 1, 1));
    assert!(batch.events.is_sorted_by_key(|event| event.number));
    let left = queue
        .database
        .value("SELECT min(first_number) FROM send_queue WHERE dataset_id = 1 AND test_event_code = ''");
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
async fn a_claim_leaves_what_came_back_before_its_lane_began_to_the_next_look() {
    let queue = Queue::with_events(&[(1, "", 10)]).await;
    let first = queue.claim(1, "", 5).await.unwrap();
    let ready = queue.look(1, "").await.unwrap();
    assert!(queue.settle(&first, Fate::Release).await);

    let second = queue
        .store
        .claim_batch(&ready, 1_000, LEASE, "one")
        .await
        .unwrap();
    let second = second.unwrap();
    assert_eq!(second.events.len(), 5);
    assert_eq!(second.events[0].number, ready.first_number);
    let third = queue
        .store
        .claim_batch(&ready, 1_000, LEASE, "one")
        .await
        .unwrap();
    assert!(third.is_none());

    let again = queue.claim(1, "", 1_000).await.unwrap();
    let numbers = |batch: &Batch| batch.events.iter().map(|event| event.number).collect::<Vec<_>>();
    assert_eq!(numbers(&again), numbers(&first));
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn nothing_is_claimed_by_one_who_has_not_seen_that_the_breaker_changed() {
    let queue = Queue::with_events(&[(1, "", 5)]).await;
    let dataset = Dataset {
        id: 1.try_into().unwrap(),
        settings: DatasetSettings {
            name: "test".into(),
            defaults: Default::default(),
            test_event_code: None,
        },
        access_token: "EAAtest".to_owned().into(),
    };
    queue.store.put_dataset(&dataset).await.unwrap();
    let ready = queue.look(1, "").await.unwrap();
    let stopped = Breaker {
        generation: ready.breaker.generation + 1,
        state: State::Open,
        ..ready.breaker
    };
    let change = queue
        .store
        .change_breaker(dataset.id, &ready.breaker, &stopped, None);
    assert!(change.await.unwrap());
    let claimed = queue.store.claim_batch(&ready, 10, LEASE, "one").await.unwrap();
    assert!(claimed.is_none());
    assert_eq!(queue.claim(1, "", 10).await.unwrap().events.len(), 5);
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
        let lanes = store.ready_lanes().await.unwrap();
        let batch = store.claim_batch(&lanes[0], 10, LEASE, "one").await.unwrap();
        let batch = batch.unwrap();
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
    let queue = Queue::with_events(&[(1, "", 4)]).await;
    let zombie = queue.claim(1, "", 10).await.unwrap();
    queue.lapse().await;
    let owner = queue.take_over().await.unwrap();
    let mut before = Vec::new();
    for table in [
        "send_batches",
        "send_queue",
        "meta_retry_queue",
        "meta_events_log",
        "send_attempts",
    ] {
        before.push(queue.database.query(&format!("SELECT * FROM {table}")).await);
    }

    assert!(!queue.finish(&zombie).await);
    for fate in [
        Fate::Done,
        Fate::Release,
        Fate::Wait {
            delay: LEASE,
            retries: 1,
        },
        Fate::Dead(DeadLetterReason::Refused),
    ] {
        assert!(!queue.settle(&zombie, fate).await, "{fate:?}");
    }
    assert!(!queue.store.renew_lease(zombie.id, LEASE).await.unwrap());
    assert!(
        queue
            .store
            .split_batch(zombie, true, LEASE)
            .await
            .unwrap()
            .is_none()
    );

    let mut after = Vec::new();
    for table in [
        "send_batches",
        "send_queue",
        "meta_retry_queue",
        "meta_events_log",
        "send_attempts",
    ] {
        after.push(queue.database.query(&format!("SELECT * FROM {table}")).await);
    }
    assert_eq!(after, before);
    assert!(queue.finish(&owner).await);
    assert!(!queue.finish(&owner).await, "a batch ends once");
    assert_eq!(
        queue.database.value("SELECT count(*) FROM meta_events_log").await,
        "4"
    );
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn each_event_of_a_batch_goes_where_its_fate_says() {
    let queue = Queue::with_events(&[(1, "", 4)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    let fates = [
        Fate::Done,
        Fate::Release,
        Fate::Wait {
            delay: Duration::from_secs(5),
            retries: 2,
        },
        Fate::Dead(DeadLetterReason::Expired),
    ];
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
            .settle_batch(&batch, &attempt, &fates, Evidence::Failing)
            .await
            .unwrap()
    );
    let text = |rows: Vec<Vec<Option<String>>>| {
        let row = |row: Vec<Option<String>>| {
            row.into_iter()
                .map(Option::unwrap_or_default)
                .collect::<Vec<_>>()
                .join(" ")
        };
        rows.into_iter().map(row).collect::<Vec<_>>()
    };
    let log = "SELECT outcome, http_status, error_code, error_message, fbtrace_id, latency_ms, attempt
        FROM meta_events_log ORDER BY event_number";
    let rows = text(queue.database.query(log).await);
    assert_eq!(rows[0], "success 503 2  A1 12 1");
    assert_eq!(rows[1], "error 503 2 HTTP 503, code 2 A1 12 1");
    assert_eq!(rows[2], rows[1]);
    assert!(rows[3].starts_with("expired"));
    let ready = queue
        .database
        .value("SELECT event_numbers::text FROM send_queue")
        .await;
    let released = batch.events[1].number;
    assert_eq!(ready, format!("{{[{released},{})}}", released + 1));
    let kept = "SELECT event_number, status, retry_count, reason, next_retry_at - failed_at, payload
        FROM meta_retry_queue ORDER BY event_number";
    let rows = text(queue.database.query(kept).await);
    assert_eq!(
        rows[0],
        format!(
            "{} waiting 2  00:00:05 {}",
            batch.events[2].number, batch.events[2].payload
        )
    );
    assert_eq!(
        rows[1],
        format!(
            "{} failed 0 expired  {}",
            batch.events[3].number, batch.events[3].payload
        )
    );
    assert_eq!(
        queue.database.value("SELECT failed FROM send_attempts").await,
        "t"
    );
    let account = queue.store.account().await.unwrap();
    assert_eq!(
        (account.delivered, account.ready, account.waiting, account.failed),
        (1, 1, 1, 1)
    );
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn a_split_batch_is_two_whose_events_are_the_same() {
    let queue = Queue::with_events(&[(1, "", 7)]).await;
    queue
        .database
        .execute(
            "WITH old AS (DELETE FROM send_queue RETURNING *)
             INSERT INTO send_queue
             SELECT dataset_id, test_event_code, n, day, 1, ranges_of(ARRAY[n]), (n % 5)::smallint
             FROM old CROSS JOIN unnest(numbers_in(event_numbers)) AS n",
        )
        .await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert_eq!(batch.events.len(), 7);
    let all: Vec<_> = batch
        .events
        .iter()
        .map(|event| (event.number, event.retries))
        .collect();
    let (first, second) = queue
        .store
        .split_batch(batch, true, LEASE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((first.events.len(), second.events.len()), (3, 4));
    for half in [&first, &second] {
        let numbers: Vec<i64> = half.events.iter().map(|event| event.number).collect();
        let stored = format!(
            "SELECT event_numbers::text FROM send_batches WHERE batch_id = {}",
            half.id.batch_id
        );
        assert_eq!(
            queue.database.value(&stored).await.replace(['{', '}'], ""),
            numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
        );
    }
    queue.lapse().await;
    let mut taken = Vec::new();
    while let Some(batch) = queue.take_over().await {
        taken.extend(batch.events.iter().map(|event| (event.number, event.retries)));
        assert!(queue.finish(&batch).await);
    }
    taken.sort_unstable();
    assert_eq!(taken, all, "the retries behind an event stay with it");
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn numbers_beyond_32_bits_are_carried_everywhere() {
    let queue = Queue::with_events(&[]).await;
    queue
        .database
        .execute("SELECT setval('event_numbers', 8589934000)")
        .await;
    let mut writer = queue.store.event_writer().await.unwrap();
    let dataset_id = 1.try_into().unwrap();
    let event = NewEvent {
        key: EventKey::new(dataset_id, "Lead", "big"),
        dataset_id,
        name: "Lead".into(),
        id: "big".into(),
        send_by: 4_000_000_000,
        dedup_window_seconds: 1,
        test_event_code: String::new(),
        payload: "{}".into(),
        request_id: Uuid::now_v7(),
        traceparent: None,
    };
    writer.accept(&[&event]).await.unwrap();
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert_eq!(batch.events[0].number, 8_589_935_000);
    assert!(queue.finish(&batch).await);
    queue.assert_nothing_is_lost().await;
}
