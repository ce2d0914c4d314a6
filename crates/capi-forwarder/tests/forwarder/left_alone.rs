//! Datasets that are left alone: throttled, blocked, deleted. Their events come back at a time, never at
//! once.

use std::time::Duration;

use rastro_sandbox::FaultKind;
use rastro_test_support::{ACCESS_TOKEN, DATASET_ID, World, eventually};

use crate::support::{
    accept, accept_for, accept_ids, all_waiting, breaker, claim, error, force_closed, ids, put_dataset,
};

/// The seconds for which each waiting event waits, rounded down, and the retries behind it.
const WAITS: &str =
    "SELECT DISTINCT floor(extract(epoch FROM next_retry_at - failed_at))::text, retry_count::text
    FROM meta_retry_queue WHERE status = 'waiting'";

/// Every waiting event waits for so many seconds, and has spent no retry.
async fn all_parked_for(world: &World, least: u64, longest: u64) {
    for row in world.database.query(WAITS).await {
        let seconds: u64 = row[0].as_ref().unwrap().parse().unwrap();
        assert!((least..=longest).contains(&seconds), "an event waits {seconds} s");
        assert_eq!(row[1].as_deref(), Some("0"), "a retry was spent");
    }
}

#[tokio::test]
async fn the_events_of_a_throttled_dataset_are_parked_until_it_is_not() {
    let mut world = World::start().await;
    let usage = r#"{"1":[{"type":"ads_management","estimated_time_to_regain_access":2}]}"#;
    let mut throttled = error(400, 80_004, Some(2_446_079), None);
    if let FaultKind::Error { headers, .. } = &mut throttled.kind {
        headers.insert("X-Business-Use-Case-Usage".to_owned(), usage.to_owned());
    }
    world.sandbox.fail_with(throttled.times(1)).unwrap();
    accept(&world, &["a"]).await;
    world.start_forwarder();
    all_waiting(&world, 1).await;
    let open =
        "SELECT state || ' ' || reason || ' ' || (extract(epoch FROM open_until - since) BETWEEN 120 AND 145)
        FROM circuit_breakers";
    assert_eq!(world.database.value(open).await, "open throttled true");
    // The breaker waits up to a fifth longer than asked, and the event up to ten seconds longer than the
    // breaker.
    all_parked_for(&world, 119, 154).await;
    let log = "SELECT string_agg(outcome, ' ' ORDER BY created_at) FROM meta_events_log";
    assert_eq!(world.database.value(log).await, "accepted parked");

    // Nothing is sent while it lasts, and both events afterwards.
    accept(&world, &["b"]).await;
    world.advance(Duration::from_secs(100)).await;
    assert_eq!(world.store.requeue_due(100).await.unwrap(), 0);
    assert_eq!(world.sandbox.counts().requests, 1);
    world.start_retry_worker();
    world.advance(Duration::from_secs(100)).await;
    assert_eq!(world.settle().await.delivered, 2);
    let requests = world.sandbox.counts().requests;
    assert!(
        (2..=3).contains(&requests),
        "{requests} requests: together or each by itself"
    );
}

#[tokio::test]
async fn a_wrong_token_stops_the_dataset_and_parks_its_events() {
    let mut world = World::start().await;
    put_dataset(&world, DATASET_ID, "EAArevoked").await;
    accept(&world, &["a"]).await;
    world.start_forwarder();
    all_waiting(&world, 1).await;
    assert_eq!(breaker(&world).await, "open blocked");
    all_parked_for(&world, 30, 44).await;
    let attempts = "SELECT outcome || ' ' || error_code FROM send_attempts";
    assert_eq!(world.database.value(attempts).await, "blocked 190");
    assert_eq!(world.sandbox.counts().requests, 1);
}

#[tokio::test]
async fn under_an_order_to_send_a_throttled_dataset_is_not_asked_without_end() {
    for (status, code, state) in [(429, 4, "open throttled"), (400, 190, "open blocked")] {
        let mut world = World::start().await;
        force_closed(&world).await;
        world.sandbox.fail_with(error(status, code, None, None)).unwrap();
        accept_ids(&world, &ids("a", 50)).await;
        world.start_retry_worker();
        world.start_forwarder_with(|config| config.batch_size = 10);
        all_waiting(&world, 50).await;
        assert_eq!(breaker(&world).await, state);
        assert_eq!(world.sandbox.counts().requests, 5, "one for each batch");
        all_parked_for(&world, 29, 44).await;
        let outcomes = "SELECT count(*)::text FROM meta_events_log";
        assert_eq!(world.database.value(outcomes).await, "100", "accepted and parked");

        // When their time has come each is tried once more, and not before.
        world.advance(Duration::from_secs(45)).await;
        let again = "SELECT count(*)::text FROM send_attempts a, unnest(a.event_numbers)";
        eventually("each was tried once more", || async {
            (world.database.value(again).await == "100").then_some(())
        })
        .await;
        all_waiting(&world, 50).await;
        let requests = world.sandbox.counts().requests;
        assert!((10..=20).contains(&requests), "{requests} requests");
    }
}

/// Deletes a dataset as an operator does.
async fn delete_dataset(world: &World) {
    world
        .database
        .execute(&format!("DELETE FROM datasets WHERE dataset_id = {DATASET_ID}"))
        .await;
}

#[tokio::test]
async fn queued_events_of_a_deleted_dataset_are_dead_letters_after_a_handful_of_rows() {
    let mut world = World::start().await;
    accept_ids(&world, &ids("a", 5)).await;
    delete_dataset(&world).await;
    world.start_forwarder();
    world.start_retry_worker_with(|config| config.maintenance.tidy_every_seconds = 0);
    eventually("they are dead letters", || async {
        (world.census().await.dead == 5).then_some(())
    })
    .await;
    let letters = "SELECT DISTINCT status || ' ' || reason FROM meta_retry_queue";
    assert_eq!(world.database.value(letters).await, "failed dataset_deleted");
    let log = "SELECT string_agg(DISTINCT outcome, ' ') || ' ' || count(*) FROM meta_events_log";
    assert_eq!(world.database.value(log).await, "accepted dataset_deleted 10");
    assert_eq!(world.sandbox.counts().requests, 0);
}

#[tokio::test]
async fn events_of_a_dataset_that_is_deleted_while_they_are_on_their_way_are_dead_letters() {
    let mut world = World::start().await;
    accept_ids(&world, &ids("a", 5)).await;
    claim(&world, 5).await;
    delete_dataset(&world).await;
    world.advance(Duration::from_secs(120)).await;
    // Takes the batch over, and another dataset's events are sent.
    let other = put_dataset(&world, "1", ACCESS_TOKEN).await;
    accept_for(&world, other, &["b"]).await;
    world.start_forwarder();
    eventually("they are dead letters", || async {
        (world.census().await.dead == 5).then_some(())
    })
    .await;
    let letters = "SELECT DISTINCT status || ' ' || reason FROM meta_retry_queue WHERE dataset_id <> 1";
    assert_eq!(world.database.value(letters).await, "failed dataset_deleted");
    let of_deleted = world
        .sandbox
        .requests()
        .iter()
        .any(|request| request.dataset_id == DATASET_ID);
    assert!(!of_deleted, "something was sent");
}

#[tokio::test]
async fn a_token_that_this_forwarder_cannot_open_stops_nobody_else() {
    let mut world = World::start().await;
    accept(&world, &["a"]).await;
    let sealed = "SELECT encode(access_token_sealed, 'hex') FROM datasets";
    let sealed = world.database.value(sealed).await;
    world
        .database
        .execute("UPDATE datasets SET access_token_sealed = decode(repeat('00', 64), 'hex')")
        .await;
    world.start_forwarder();
    let claimed =
        "SELECT n_tup_ins > 0 AND n_tup_del > 0 FROM pg_stat_user_tables WHERE relname = 'send_batches'";
    eventually("it claims the event and gives it back", || async {
        let seen = world.database.query(claimed).await;
        (seen[0][0].as_deref() == Some("t") && world.census().await.ready == 1).then_some(())
    })
    .await;
    assert_eq!(breaker(&world).await, "closed ");
    assert_eq!(world.sandbox.counts().requests, 0);
    // A forwarder with the right key sends it.
    world
        .database
        .execute(&format!(
            "UPDATE datasets SET access_token_sealed = decode('{sealed}', 'hex')"
        ))
        .await;
    world.start_forwarder();
    assert_eq!(world.settle().await.delivered, 1);
}
