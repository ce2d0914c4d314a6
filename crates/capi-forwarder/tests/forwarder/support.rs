//! What these tests share: events, datasets, and what Meta does to them.

use std::time::Duration;

use rastro_core::circuit_breaker::{Breaker, Manual};
use rastro_core::dataset::DatasetId;
use rastro_core::dedup::EventKey;
use rastro_sandbox::{Fault, FaultKind};
use rastro_store::{Acceptance, Batch, Dataset, DatasetSettings, NewEvent, NewRequest, Stored};
use rastro_test_support::events::lead;
use rastro_test_support::{DATASET_ID, Key, World, eventually};
use serde_json::json;
use uuid::Uuid;

pub(crate) async fn accept(world: &World, ids: &[&str]) {
    let events: Vec<_> = ids.iter().map(|id| lead(id, world.now())).collect();
    let answer = world.post(Key::Secret, &json!({ "events": events })).await;
    assert_eq!(answer.json["accepted"], ids.len(), "{answer:?}");
}

/// Creates a dataset, or gives it another access token.
pub(crate) async fn put_dataset(world: &World, id: &str, access_token: &str) -> DatasetId {
    let dataset = Dataset {
        id: id.parse().unwrap(),
        settings: DatasetSettings {
            name: "test".into(),
            ..Default::default()
        },
        access_token: access_token.to_owned().into(),
    };
    world.store.put_dataset(&dataset).await.unwrap();
    dataset.id
}

/// Accepts events for a dataset for which the gateway has no key.
pub(crate) async fn accept_for(world: &World, dataset_id: DatasetId, ids: &[&str]) {
    let mut writer = world.store.event_writer().await.unwrap();
    for id in ids {
        let event = NewEvent {
            key: EventKey::new(dataset_id, "Lead", id),
            dataset_id,
            name: "Lead".into(),
            id: (*id).into(),
            event_time: world.now(),
            send_by: world.now() + 86_400,
            dedup_window_seconds: 86_400,
            action_source: "website",
            facts: Default::default(),
            test_event_code: String::new(),
            key_id: None,
            withheld: false,
            payload: lead(id, world.now()).to_string(),
            recall: None,
            request_id: Uuid::nil(),
            traceparent: None,
        };
        let request = NewRequest {
            events: vec![event],
            ..NewRequest::default()
        };
        let stored = writer.accept_requests(&[&request]).await.unwrap();
        assert!(
            matches!(&stored[..], [Stored::Now { acceptances, .. }]
                if matches!(acceptances[..], [Acceptance::Accepted { .. }])),
            "{stored:?}"
        );
    }
}

pub(crate) async fn accept_many(world: &World, requests: u32, events: u32) {
    for request in 0..requests {
        let ids: Vec<String> = (0..events).map(|event| format!("{request}-{event}")).collect();
        accept(world, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
}

/// An answer with which Meta says that it is unwell.
pub(crate) fn outage() -> FaultKind {
    FaultKind::Error {
        http_status: 503,
        code: 2,
        subcode: None,
        is_transient: true,
        message: None,
        retry_after: None,
        headers: Default::default(),
        processed: false,
    }
}

/// Does what retry-worker does, after time enough for any retry.
pub(crate) async fn retry(world: &World) {
    world.advance(Duration::from_secs(60)).await;
    world.store.requeue_due(1_000).await.unwrap();
}

/// Waits until the events are between two attempts.
pub(crate) async fn all_waiting(world: &World, events: i64) {
    eventually("the events wait for their retry", || async {
        (world.census().await.waiting == events).then_some(())
    })
    .await;
}

/// Meta dislikes these events, for a reason that only it knows.
pub(crate) fn poison() -> Fault {
    Fault::new(FaultKind::RefuseEvent {
        event_id_contains: "poison".into(),
        code: 100,
        subcode: Some(2_804_036),
    })
}

/// Meta's error of this status and code, until cleared, asking to wait for so many seconds.
pub(crate) fn error(http_status: u16, code: i32, subcode: Option<i32>, retry_after: Option<u64>) -> Fault {
    Fault::new(FaultKind::Error {
        http_status,
        code,
        subcode,
        is_transient: false,
        message: None,
        retry_after,
        headers: Default::default(),
        processed: false,
    })
}

/// Any answer.
pub(crate) fn answer(http_status: u16, body: &str, processed: bool) -> Fault {
    Fault::new(FaultKind::Answer {
        http_status,
        body: body.to_owned(),
        headers: Default::default(),
        processed,
    })
}

pub(crate) fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number:03}")).collect()
}

pub(crate) async fn accept_ids(world: &World, ids: &[String]) {
    accept(world, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// The dataset of every world.
pub(crate) fn dataset() -> DatasetId {
    DATASET_ID.parse().unwrap()
}

/// Has another forwarder claim what is ready of the dataset, at most so many events.
pub(crate) async fn claim(world: &World, limit: usize) -> Batch {
    let lanes = world.store.ready_lanes().await.unwrap();
    let lane = lanes
        .iter()
        .find(|lane| lane.lane.dataset_id == dataset())
        .unwrap();
    let claimed = world
        .store
        .claim_batch(lane, limit, Duration::from_secs(60), "another");
    claimed.await.unwrap().unwrap()
}

/// An operator's order that traffic flows whatever Meta says.
pub(crate) async fn force_closed(world: &World) {
    let force = |breaker: &Breaker, _| Some(breaker.set_manual(Manual::ForcedClosed, None));
    assert!(
        world
            .store
            .update_breaker(dataset(), Some("test"), force)
            .await
            .unwrap()
    );
}

/// State and reason of the dataset's breaker.
pub(crate) async fn breaker(world: &World) -> String {
    let sql = format!(
        "SELECT state || ' ' || coalesce(reason, '') FROM circuit_breakers WHERE dataset_id = {DATASET_ID}"
    );
    match world.database.query(&sql).await.pop() {
        Some(row) => row[0].clone().unwrap(),
        None => "closed ".to_owned(),
    }
}
