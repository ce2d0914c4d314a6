//! One event that Meta cannot digest: its neighbours arrive, and it ends as a dead letter.

use std::time::Duration;

use rastro_sandbox::{Fault, FaultKind};
use rastro_test_support::{World, eventually};

use crate::support::{accept, breaker, ids, pass, pass_until_settled, quiet};

const MINUTE: Duration = Duration::from_secs(60);

/// Meta fails, with its own words for an outage, on every request that holds such an event.
fn indigestible() -> Fault {
    Fault::new(FaultKind::RefuseEvent {
        event_id_contains: "poison".into(),
        code: 2,
        subcode: None,
    })
}

async fn dead(world: &World) -> String {
    let letters = "SELECT coalesce(string_agg(event_id || ' ' || reason, ', '), '') FROM meta_retry_queue
        WHERE status = 'failed'";
    world.database.value(letters).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_neighbours_of_an_event_on_which_meta_fails_arrive() {
    let mut world = World::start().await;
    world.sandbox.fail_with(indigestible()).unwrap();
    world.start_forwarder();
    // A dataset with so much other traffic that a few failures open nothing.
    world.start_retry_worker_with(|config| {
        config.common.breaker.consecutive_failures = 0;
        config.common.breaker.min_requests = 1_000;
    });
    let mut all = ids("good", 199);
    all.insert(70, "poison".to_owned());
    accept(&world, &all).await;
    pass_until_settled(&world, 10 * MINUTE).await;
    let census = world.census().await;
    assert_eq!((census.delivered, census.dead), (199, 1), "{census:?}");
    assert_eq!(dead(&world).await, "poison exhausted");
    // By chance a batch comes back in one piece or in several. Cut in halves, the culprit is found with few
    // requests for each of them, and never with one for each event.
    let counts = world.sandbox.counts();
    assert!(counts.requests < 100, "{} requests", counts.requests);
    assert_eq!((counts.unique, counts.repeated), (199, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_an_outage_a_batch_is_not_cut_into_all_its_events() {
    let mut world = World::start().await;
    world
        .sandbox
        .fail_with(Fault::new(crate::support::outage()))
        .unwrap();
    world.start_forwarder();
    world.start_retry_worker();
    accept(&world, &ids("a", 200)).await;
    pass(&world, 10 * MINUTE).await;
    assert_eq!(breaker(&world).await.1, "errors");
    assert_eq!(world.census().await.dead, 0);
    // Two whole; a third that is cut eight times down to one event, with the parts beside it once each; and a
    // few probes.
    let requests = world.sandbox.requests().len();
    assert!(
        requests <= 2 + 1 + 8 + 8 + 8,
        "{requests} requests for 200 events"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_on_which_meta_fails_does_not_keep_a_quiet_dataset_closed() {
    let mut world = World::start().await;
    world.sandbox.fail_with(indigestible()).unwrap();
    world.start_forwarder();
    world.start_retry_worker();
    // Alone it opens the breaker.
    accept(&world, &["poison".to_owned()]).await;
    pass(&world, MINUTE).await;
    assert_eq!(breaker(&world).await.1, "errors");
    // One event an hour: each arrives soon, and the one that cannot is given up.
    for hour in 0..14 {
        accept(&world, &ids(&format!("hour-{hour}"), 1)).await;
        pass(&world, 15 * MINUTE).await;
        assert_eq!(world.census().await.delivered, hour + 1, "in hour {hour}");
        pass(&world, 45 * MINUTE).await;
    }
    quiet(&world).await;
    assert_eq!(dead(&world).await, "poison exhausted");
    assert_eq!(breaker(&world).await, ("closed".into(), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_holds_such_an_event_is_followed_by_one_that_does_not() {
    let mut world = World::start().await;
    let down = world
        .sandbox
        .fail_with(Fault::new(crate::support::outage()))
        .unwrap();
    world.start_forwarder();
    let mut all = ids("good", 8);
    all.insert(0, "poison".to_owned());
    accept(&world, &all).await;
    world.start_retry_worker();
    eventually("the breaker opens", || async {
        world.advance(Duration::from_secs(2)).await;
        (breaker(&world).await.0 == "open").then_some(())
    })
    .await;
    world.sandbox.fail_with(indigestible()).unwrap();
    assert!(world.sandbox.clear_fault(down));
    pass(&world, 60 * MINUTE).await;
    let census = world.census().await;
    assert_eq!(census.delivered, 8, "{census:?}");
}
