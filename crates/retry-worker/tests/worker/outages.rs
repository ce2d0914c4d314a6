//! Meta away, throttling or refusing the dataset: events wait, hardly anything is sent, and everything goes
//! on by itself.

use std::time::Duration;

use rastro_core::circuit_breaker::{Breaker, BreakerSettings, Reason};
use rastro_sandbox::{Fault, FaultKind};
use rastro_test_support::process::Process;
use rastro_test_support::{DATASET_ID, World, eventually};

use crate::support::{accept, breaker, error, ids, outage, pass, pass_until_settled, quiet};

const MINUTE: Duration = Duration::from_secs(60);

async fn world() -> World {
    let mut world = World::start().await;
    world.start_forwarder();
    world.start_retry_worker();
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_event_a_minute_all_arrive_after_an_outage_of_30_minutes() {
    let world = world().await;
    world.sandbox.fail_with(Fault::new(outage())).unwrap();
    for minute in 0..30 {
        accept(&world, &[format!("minute-{minute}")]).await;
        pass(&world, MINUTE).await;
        if minute >= 1 {
            assert_eq!(
                breaker(&world).await,
                ("open".into(), "errors".into()),
                "in minute {minute}"
            );
        }
    }
    // Three in a row open it; then one probe after 30 s, 1, 2, 4, 8 and 10 minutes, each wait up to a fifth
    // longer.
    let requests = world.sandbox.requests().len();
    assert!((6..=12).contains(&requests), "{requests} requests in 30 minutes");
    let spent =
        "SELECT coalesce(sum(retry_count), 0)::text FROM meta_retry_queue WHERE event_id <> 'minute-0'";
    assert_eq!(
        world.database.value(spent).await,
        "0",
        "retries were spent while the breaker was open"
    );
    assert_eq!(world.census().await.dead, 0);

    world.sandbox.clear_faults();
    pass_until_settled(&world, 15 * MINUTE).await;
    assert_eq!(world.census().await.delivered, 30);
    let counts = world.sandbox.counts();
    assert_eq!((counts.unique, counts.repeated), (30, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_2000_events_at_once_all_arrive_after_an_outage_of_30_minutes() {
    let world = world().await;
    world.sandbox.fail_with(Fault::new(outage())).unwrap();
    accept(&world, &ids("a", 2_000)).await;
    pass(&world, 30 * MINUTE).await;
    assert_eq!(breaker(&world).await, ("open".into(), "errors".into()));
    let requests = world.sandbox.requests().len();
    assert!(requests <= 20, "{requests} requests in 30 minutes");
    let census = world.census().await;
    assert_eq!((census.delivered, census.dead), (0, 0), "{census:?}");

    world.sandbox.clear_faults();
    pass_until_settled(&world, 15 * MINUTE).await;
    assert_eq!(world.census().await.delivered, 2_000);
    assert_eq!(breaker(&world).await, ("closed".into(), String::new()));
    let counts = world.sandbox.counts();
    assert_eq!((counts.unique, counts.repeated), (2_000, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_ran_out_of_retries_in_an_outage_arrive_when_it_is_over_and_no_other_dead_letter_does() {
    let mut world = World::start().await;
    world.start_forwarder();
    // Nothing opens by itself, so that events run out of retries first.
    world.start_retry_worker_with(|config| {
        config.common.breaker.consecutive_failures = 0;
        config.common.breaker.min_requests = 1_000_000;
    });
    let refuse = FaultKind::RefuseEvent {
        event_id_contains: "poison".into(),
        code: 100,
        subcode: None,
    };
    world.sandbox.fail_with(Fault::new(refuse)).unwrap();
    accept(&world, &["poison".to_owned()]).await;
    pass_until_settled(&world, MINUTE).await;

    let down = world.sandbox.fail_with(Fault::new(outage())).unwrap();
    accept(&world, &ids("long-before", 1)).await;
    pass_until_settled(&world, 2 * MINUTE).await;
    pass(&world, 10 * MINUTE).await;
    let before = world.census().await;
    assert_eq!(
        (before.dead, breaker(&world).await.0.as_str()),
        (2, "closed"),
        "{before:?}"
    );

    // More than all probes together can carry.
    accept(&world, &ids("exhausted", 300)).await;
    eventually("one after the other they run out of retries", || async {
        let next = world
            .database
            .value("SELECT count(*)::text FROM meta_retry_queue WHERE status = 'waiting'")
            .await;
        if next != "0" {
            world.advance(Duration::from_secs(40)).await;
        }
        (world.census().await.dead == 302).then_some(())
    })
    .await;
    let settings = BreakerSettings::default();
    let open = |breaker: &Breaker, now_ms| breaker.stop(Reason::Errors, None, now_ms, &settings, 0.0);
    let dataset = DATASET_ID.parse().unwrap();
    assert!(world.store.update_breaker(dataset, None, open).await.unwrap());
    accept(&world, &ids("last", 1)).await;

    assert!(world.sandbox.clear_fault(down));
    pass(&world, 10 * MINUTE).await;
    // Dead letters are nothing that one would wait for, until the breaker closes and they are due again.
    eventually("all arrive", || async {
        pass_until_settled(&world, 10 * MINUTE).await;
        (world.census().await.delivered == 301).then_some(())
    })
    .await;
    let census = world.census().await;
    assert_eq!(census.dead, 2, "{census:?}");
    let dead =
        "SELECT string_agg(event_id || ' ' || reason, ', ' ORDER BY event_number) FROM meta_retry_queue";
    assert_eq!(
        world.database.value(dead).await,
        "poison refused, long-before-0 exhausted"
    );
    let pending = "SELECT count(*)::text FROM circuit_breakers WHERE outage_since IS NOT NULL";
    eventually("the outage is done with", || async {
        (world.database.value(pending).await == "0").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_left_to_revive_is_revived_by_the_next_worker() {
    let mut world = World::start().await;
    world.sandbox.fail_with(Fault::new(outage()).times(1)).unwrap();
    world.start_forwarder();
    accept(&world, &ids("a", 50)).await;
    eventually("they wait", || async {
        (world.census().await.waiting == 50).then_some(())
    })
    .await;
    // As it is after a forwarder closed the breaker, with nobody there to go on.
    world
        .database
        .execute(
            "UPDATE meta_retry_queue SET status = 'failed', reason = 'exhausted', retry_count = 3, next_retry_at = NULL;
             INSERT INTO circuit_breakers SELECT dataset_id, 'closed', 9, NULL, rastro_now(), NULL,
                rastro_now() - interval '1 hour', 0, NULL, 0, 0, 'automatic', NULL, '', rastro_now() FROM datasets",
        )
        .await;
    world.start_retry_worker();
    pass_until_settled(&world, MINUTE).await;
    // `settled` may be seen before they were revived.
    eventually("all are delivered", || async {
        (world.census().await.delivered == 50).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_dataset_waits_as_long_as_meta_asks_and_spends_no_retry() {
    let world = world().await;
    world
        .sandbox
        .fail_with(Fault::new(error(400, 17, Some(300))).times(1))
        .unwrap();
    accept(&world, &ids("a", 20)).await;
    eventually("Meta throttles", || async {
        (breaker(&world).await.1 == "throttled").then_some(())
    })
    .await;
    pass(&world, 4 * MINUTE).await;
    assert_eq!(
        world.sandbox.requests().len(),
        1,
        "nothing is sent before the time that Meta named"
    );
    let census = world.census().await;
    assert_eq!(
        (census.ready, census.waiting, census.dead),
        (0, 20, 0),
        "{census:?}"
    );
    let retries = "SELECT sum(retry_count)::text FROM meta_retry_queue";
    assert_eq!(world.database.value(retries).await, "0");
    pass_until_settled(&world, 3 * MINUTE).await;
    assert_eq!(world.census().await.delivered, 20);
    assert_eq!(breaker(&world).await.0, "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_dataset_waits_without_spending_retries_and_goes_on_once_its_token_is_mended() {
    let world = world().await;
    world
        .sandbox
        .fail_with(Fault::new(error(400, 190, None)))
        .unwrap();
    accept(&world, &ids("a", 200)).await;
    eventually("Meta refuses the token", || async {
        (breaker(&world).await.1 == "blocked").then_some(())
    })
    .await;
    pass(&world, 60 * MINUTE).await;
    let requests = world.sandbox.requests().len();
    assert!((2..=12).contains(&requests), "{requests} requests in an hour");
    let census = world.census().await;
    assert_eq!((census.pending(), census.dead), (200, 0), "{census:?}");

    world.sandbox.clear_faults();
    pass_until_settled(&world, 15 * MINUTE).await;
    let counts = world.sandbox.counts();
    assert_eq!((world.census().await.delivered, counts.repeated), (200, 0));
    assert_eq!(breaker(&world).await.0, "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_forwarders_and_two_workers_one_probes_at_a_time() {
    let mut world = world().await;
    world.start_forwarder();
    world.start_retry_worker();
    world.sandbox.fail_with(Fault::new(outage())).unwrap();
    accept(&world, &ids("a", 500)).await;
    eventually("the breaker opens", || async {
        pass(&world, Duration::from_secs(1)).await;
        (breaker(&world).await.0 == "open").then_some(())
    })
    .await;
    quiet(&world).await;
    // Long enough for the other forwarder to look many times while one probe is out.
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 300 }))
        .unwrap();
    for wait in [1, 2, 4] {
        let before = world.sandbox.requests().len();
        let until =
            "SELECT ceil(extract(epoch FROM open_until - rastro_now()))::bigint::text FROM circuit_breakers";
        let left: u64 = world.database.value(until).await.parse().unwrap();
        world.advance(Duration::from_secs(left)).await;
        quiet(&world).await;
        assert_eq!(
            world.sandbox.requests().len(),
            before + 1,
            "one probe after wait {wait}"
        );
        assert_eq!(breaker(&world).await.0, "open");
    }
    world.sandbox.clear_faults();
    pass_until_settled(&world, 30 * MINUTE).await;
    assert_eq!(
        (world.census().await.delivered, world.sandbox.counts().repeated),
        (500, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_workers_one_says_that_meta_is_down_and_one_says_that_it_is_probed() {
    let mut world = World::start().await;
    world.start_forwarder();
    let workers = [
        Process::retry_worker(&world.database, &[]),
        Process::retry_worker(&world.database, &[]),
    ];
    let said = |text: &str| -> usize {
        workers
            .iter()
            .flat_map(Process::log)
            .filter(|line| line.contains(text))
            .count()
    };
    world.sandbox.fail_with(Fault::new(outage())).unwrap();
    accept(&world, &ids("a", 1)).await;
    pass(&world, Duration::from_secs(85)).await;
    eventually("both changes are logged", || async {
        (said("Meta API down") > 0 && said("the breaker is half-open") > 0).then_some(())
    })
    .await;
    // Opened once by evidence, half-opened after 30 to 36 s, opened again by its probe, for more than a
    // minute.
    assert_eq!((said("Meta API down"), said("the breaker is half-open")), (1, 1));
    let error = workers
        .iter()
        .flat_map(Process::log)
        .find(|line| line.contains("Meta API down"))
        .unwrap();
    assert!(
        error.contains("ERROR") && error.contains("3 of the last 3 requests failed"),
        "{error}"
    );

    world.sandbox.clear_faults();
    pass_until_settled(&world, 15 * MINUTE).await;
    assert_eq!(world.census().await.delivered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dataset_whose_only_events_are_in_a_batch_of_a_dead_sender_recovers_by_itself() {
    let mut world = World::start().await;
    accept(&world, &ids("a", 5)).await;
    let lanes = world.store.ready_lanes().await.unwrap();
    let lease = Duration::from_secs(60);
    let claimed = world
        .store
        .claim_batch(&lanes[0], 10, lease, "a sender that dies")
        .await;
    assert_eq!(claimed.unwrap().unwrap().events.len(), 5);
    let settings = BreakerSettings::default();
    let dataset = DATASET_ID.parse().unwrap();
    let open = |breaker: &Breaker, now_ms| breaker.stop(Reason::Errors, None, now_ms, &settings, 0.0);
    assert!(world.store.update_breaker(dataset, None, open).await.unwrap());
    world.start_forwarder();
    world.start_retry_worker();
    world.advance(2 * MINUTE).await;
    assert_eq!(world.settle().await.delivered, 5);
    assert_eq!(world.sandbox.counts().repeated, 0);
}
