//! A busy dataset leaves the others their share.

use std::time::Duration;

use rastro_sandbox::{Fault, FaultKind};
use rastro_test_support::events::lead;
use rastro_test_support::{ACCESS_TOKEN, DATASET_ID, Key, World, eventually};
use serde_json::json;

use crate::support::{accept_for, accept_many, claim, put_dataset};

#[tokio::test]
async fn a_dataset_with_a_backlog_does_not_keep_another_waiting() {
    let mut world = World::start().await;
    // Behind a slow Meta, a backlog of forty requests; then one event of somebody else.
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 100 }).on_dataset(DATASET_ID))
        .unwrap();
    accept_many(&world, 4, 100).await;
    let small = put_dataset(&world, "1", ACCESS_TOKEN).await;
    world.start_forwarder_with(|config| config.batch_size = 10);
    eventually("the backlog is being sent", || async {
        (world.sandbox.counts().requests > 4).then_some(())
    })
    .await;
    accept_for(&world, small, &["small"]).await;
    // Meta does not let this token write to it, so the attempt fails; that it came, and when, is the
    // question.
    let attempted = "SELECT 1 FROM meta_events_log WHERE dataset_id = 1 AND outcome <> 'accepted'";
    eventually("the small dataset has its turn", || async {
        world.database.query(attempted).await.pop()
    })
    .await;
    assert!(
        world.census().await.ready > 0,
        "the backlog was already gone: this proves nothing"
    );
    world.sandbox.clear_faults();
    eventually("the backlog is sent", || async {
        let left = world.census().await;
        (left.delivered == 400).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_test_event_has_its_turn_while_its_own_dataset_has_a_backlog() {
    let mut world = World::start().await;
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 100 }))
        .unwrap();
    accept_many(&world, 10, 100).await;
    world.start_forwarder_with(|config| (config.batch_size, config.max_in_flight_per_dataset) = (10, 1));
    eventually("the backlog is being sent", || async {
        (world.sandbox.counts().requests > 4).then_some(())
    })
    .await;
    let mut test_event = lead("t", world.now());
    test_event["test_event_code"] = json!("TEST123");
    assert_eq!(world.post(Key::Secret, &test_event).await.status, 202);
    let sent = "SELECT 1 FROM meta_events_log WHERE event_id = 't'";
    eventually("the test event has its turn", || async {
        world.database.query(sent).await.pop()
    })
    .await;
    assert!(
        world.census().await.ready > 0,
        "the backlog was already gone: this proves nothing"
    );
    world.sandbox.clear_faults();
    assert_eq!(world.settle().await.delivered, 1_001);
}

#[tokio::test]
async fn lapsed_batches_of_one_dataset_do_not_take_the_requests_of_another() {
    let mut world = World::start().await;
    accept_many(&world, 3, 10).await;
    for _ in 0..3 {
        claim(&world, 10).await;
    }
    world.advance(Duration::from_secs(120)).await;
    // Meta does not answer for the dataset whose three batches lapsed.
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Timeout { processed: false }).on_dataset(DATASET_ID))
        .unwrap();
    world.start_forwarder_with(|config| (config.max_in_flight, config.max_in_flight_per_dataset) = (2, 1));
    let other = put_dataset(&world, "1", ACCESS_TOKEN).await;
    accept_for(&world, other, &["small"]).await;
    let attempted = "SELECT 1 FROM send_attempts WHERE dataset_id = 1";
    eventually("the other dataset has its turn", || async {
        world.database.query(attempted).await.pop()
    })
    .await;
    let held = world.sandbox.requests();
    let of_lapsed = held
        .iter()
        .filter(|request| request.dataset_id == DATASET_ID)
        .count();
    assert!(
        of_lapsed <= 1,
        "{of_lapsed} requests of the dataset whose batches lapsed"
    );
    world.sandbox.clear_faults();
    eventually("all is sent", || async {
        world.store.requeue_due(100).await.unwrap();
        (world.census().await.delivered == 30).then_some(())
    })
    .await;
}
