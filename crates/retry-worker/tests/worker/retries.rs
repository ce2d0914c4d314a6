//! Events that failed: how long they wait, how often they are tried, and what becomes of them.

use std::time::Duration;

use rastro_sandbox::Fault;
use rastro_test_support::{World, eventually};

use crate::support::{accept, error, ids, outage, pass, pass_until_settled, quiet};

/// A world in which no breaker opens, so that each event is on its own.
async fn world_without_breaker() -> World {
    let mut world = World::start().await;
    world.start_forwarder();
    world.start_retry_worker_with(|config| {
        config.common.breaker.consecutive_failures = 0;
        config.common.breaker.min_requests = 1_000_000;
    });
    world
}

/// How long the one waiting event waits, in seconds, once it has so many retries behind it.
async fn wait_of_retry(world: &World, retry_count: i64) -> f64 {
    let sql = format!(
        "SELECT extract(epoch FROM next_retry_at - failed_at)::text FROM meta_retry_queue
         WHERE status = 'waiting' AND retry_count = {retry_count}"
    );
    eventually("the event waits for its next retry", || async {
        let rows = world.database.query(&sql).await;
        Some(rows.first()?[0].as_ref()?.parse().unwrap())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_event_waits_1_then_5_then_30_seconds_and_is_a_dead_letter_after_the_4th_failure() {
    let world = world_without_breaker().await;
    world.sandbox.fail_with(Fault::new(outage())).unwrap();
    accept(&world, &ids("a", 1)).await;
    for (retry, seconds) in [(1, 1.0), (2, 5.0), (3, 30.0)] {
        let wait = wait_of_retry(&world, retry).await;
        assert!(
            (seconds..=seconds * 1.2 + 0.001).contains(&wait),
            "retry {retry} waits {wait} s"
        );
        world.advance(Duration::from_secs_f64(wait.ceil())).await;
    }
    eventually("it is a dead letter", || async {
        (world.census().await.dead == 1).then_some(())
    })
    .await;
    let letter = "SELECT concat_ws('|', status, reason, retry_count, error_code, last_error <> '') FROM meta_retry_queue";
    assert_eq!(world.database.value(letter).await, "failed|exhausted|3|2|t");
    let log =
        "SELECT string_agg(outcome || ' ' || http_status || ' ' || error_code, ', ') FROM meta_events_log";
    assert_eq!(
        world.database.value(log).await,
        "error 503 2, error 503 2, error 503 2, error 503 2"
    );

    world.sandbox.clear_faults();
    pass(&world, Duration::from_secs(3_600)).await;
    assert_eq!(
        world.sandbox.requests().len(),
        4,
        "a dead letter is not sent again by itself"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_failed_arrives_once_with_the_next_attempt() {
    let world = world_without_breaker().await;
    world.sandbox.fail_with(Fault::new(outage()).times(2)).unwrap();
    accept(&world, &ids("a", 1)).await;
    pass_until_settled(&world, Duration::from_secs(60)).await;
    let census = world.census().await;
    assert_eq!((census.delivered, census.dead), (1, 0));
    assert_eq!(
        (world.sandbox.counts().unique, world.sandbox.counts().repeated),
        (1, 0)
    );
    let rows = "SELECT string_agg(outcome, ' ' ORDER BY created_at) FROM meta_events_log";
    assert_eq!(world.database.value(rows).await, "accepted error error success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_waits_at_least_as_long_as_meta_asks() {
    let world = world_without_breaker().await;
    world
        .sandbox
        .fail_with(Fault::new(error(503, 2, Some(40))).times(1))
        .unwrap();
    accept(&world, &ids("a", 1)).await;
    let wait = wait_of_retry(&world, 1).await;
    assert!((40.0..=48.001).contains(&wait), "{wait}");
    world.advance(Duration::from_secs(35)).await;
    quiet(&world).await;
    assert_eq!(world.sandbox.requests().len(), 1);
    pass_until_settled(&world, Duration::from_secs(60)).await;
    assert_eq!(world.census().await.delivered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_request_in_ten_failing_at_random_999_of_1000_events_arrive() {
    let mut world = World::start().await;
    // One event a request: each meets its own luck.
    world.start_forwarder_with(|config| config.batch_size = 1);
    world.start_retry_worker();
    world
        .sandbox
        .fail_with(Fault::new(outage()).with_probability(0.1, 42))
        .unwrap();
    accept(&world, &ids("a", 1_000)).await;
    pass_until_settled(&world, Duration::from_secs(24 * 3_600)).await;
    let (census, faults) = (world.census().await, world.sandbox.faults());
    assert!(
        faults[0].struck >= 50,
        "the fault struck only {} times",
        faults[0].struck
    );
    assert!(census.delivered >= 999, "{census:?}");
    let counts = world.sandbox.counts();
    assert_eq!(
        (counts.unique, counts.repeated),
        (census.delivered.unsigned_abs(), 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_becomes_too_old_while_it_waits_is_a_dead_letter_and_is_never_sent() {
    let world = world_without_breaker().await;
    world
        .sandbox
        .fail_with(Fault::new(error(503, 2, Some(7_200))).times(1))
        .unwrap();
    accept(&world, &ids("a", 1)).await;
    wait_of_retry(&world, 1).await;
    // Meta takes events of seven days.
    world.advance(Duration::from_secs(8 * 24 * 3_600)).await;
    eventually("it is a dead letter", || async {
        (world.census().await.dead == 1).then_some(())
    })
    .await;
    let letter = "SELECT concat_ws('|', status, reason) FROM meta_retry_queue";
    assert_eq!(world.database.value(letter).await, "failed|expired");
    let log = "SELECT string_agg(outcome, ' ' ORDER BY created_at) FROM meta_events_log";
    assert_eq!(world.database.value(log).await, "accepted error expired");
    pass(&world, Duration::from_secs(3_600)).await;
    assert_eq!(world.sandbox.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_workers_and_two_forwarders_change_nothing_twice() {
    let mut world = World::start().await;
    for _ in 0..2 {
        world.start_forwarder_with(|config| config.batch_size = 20);
        world.start_retry_worker_with(|config| {
            config.sweep.step_events = 7;
            config.common.breaker.consecutive_failures = 0;
            config.common.breaker.min_requests = 1_000_000;
        });
    }
    world.sandbox.fail_with(Fault::new(outage()).times(50)).unwrap();
    accept(&world, &ids("a", 1_000)).await;
    pass_until_settled(&world, Duration::from_secs(600)).await;
    // The fault struck 50 requests of at most 20 events; each event has exactly the retries that its failures
    // say.
    let counts = world.sandbox.counts();
    let census = world.census().await;
    assert_eq!(
        (census.delivered, census.confirmations),
        (1_000 - census.dead, 1_000 - census.dead)
    );
    assert_eq!(
        (counts.unique, counts.repeated),
        (census.delivered.unsigned_abs(), 0)
    );
    let uneven = "SELECT count(*)::text FROM (
            SELECT count(*) FILTER (WHERE outcome = 'error') AS failures, count(*) FILTER (WHERE outcome = 'success') AS successes
            FROM meta_events_log GROUP BY event_number
        ) AS events WHERE successes > 1 OR failures > 4 OR successes = 0 AND failures <> 4";
    assert_eq!(world.database.value(uneven).await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_that_fails_keeps_no_event_from_being_due() {
    let mut world = World::start().await;
    world.start_forwarder();
    let slow = error(503, 2, Some(7_200));
    world.sandbox.fail_with(Fault::new(slow).times(1)).unwrap();
    accept(&world, &ids("old", 1)).await;
    wait_of_retry(&world, 1).await;
    world
        .database
        .execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
             CREATE TRIGGER fail BEFORE UPDATE ON meta_retry_queue FOR EACH ROW
             WHEN (NEW.reason = 'expired') EXECUTE FUNCTION fail()",
        )
        .await;
    world.advance(Duration::from_secs(8 * 24 * 3_600)).await;
    world.sandbox.fail_with(Fault::new(outage()).times(1)).unwrap();
    accept(&world, &ids("a", 1)).await;
    eventually("both wait", || async {
        (world.census().await.waiting == 2).then_some(())
    })
    .await;
    world.start_retry_worker();
    world.advance(Duration::from_secs(60)).await;
    eventually("the event that is due is delivered", || async {
        (world.census().await.delivered == 1).then_some(())
    })
    .await;
    assert_eq!(world.census().await.waiting, 1, "the other one still waits");
    world
        .database
        .execute("DROP TRIGGER fail ON meta_retry_queue")
        .await;
    eventually("and expires when it can", || async {
        (world.census().await.dead == 1).then_some(())
    })
    .await;
}
