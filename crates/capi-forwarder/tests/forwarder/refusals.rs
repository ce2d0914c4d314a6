//! Refused events: one among a thousand, and all of them.

use std::time::Duration;

use rastro_sandbox::{Fault, FaultKind};
use rastro_test_support::events::lead;
use rastro_test_support::process::Process;
use rastro_test_support::{DATASET_ID, Key, World, eventually};
use serde_json::json;

use crate::support::{accept, accept_ids, breaker, error, force_closed, ids, poison};

#[tokio::test]
async fn three_poisoned_events_of_a_thousand_cost_nobody_else_anything() {
    let mut world = World::start().await;
    world.sandbox.fail_with(poison()).unwrap();
    let ids: Vec<String> = (0..1_000)
        .map(|id| {
            if [17, 500, 999].contains(&id) {
                format!("poison-{id}")
            } else {
                format!("good-{id}")
            }
        })
        .collect();
    accept(&world, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.start_forwarder();
    let census = world.settle().await;
    assert_eq!((census.delivered, census.dead), (997, 3));
    let counts = world.sandbox.counts();
    assert_eq!((counts.unique, counts.repeated), (997, 0));
    // The first, and for each culprit at most two for each of the ten times that a thousand can be cut in
    // half.
    assert!(counts.requests <= 1 + 3 * 2 * 10, "{} requests", counts.requests);
    let dead = world
        .database
        .query("SELECT event_id, reason, error_code || '/' || error_subcode, last_error FROM meta_retry_queue ORDER BY 1")
        .await;
    let names: Vec<_> = dead.iter().map(|row| row[0].clone().unwrap()).collect();
    assert_eq!(names, ["poison-17", "poison-500", "poison-999"]);
    for row in dead {
        assert_eq!(
            (row[1].as_deref(), row[2].as_deref()),
            (Some("refused"), Some("100/2804036"))
        );
        assert!(row[3].as_deref().unwrap().contains("100/2804036"));
    }
    // Every request is logged, also those that were refused as a whole.
    let attempts = "SELECT string_agg(outcome || ' ' || requests || ' ' || events, ', ') FROM (
        SELECT outcome, count(*) AS requests, sum(event_count) FILTER (WHERE outcome = 'delivered' OR event_count = 1) AS events
        FROM send_attempts GROUP BY 1 ORDER BY 1
    ) AS o";
    let refused: u64 = counts.refused.values().sum();
    let expected = format!("delivered {} 997, refused {refused} 3", counts.requests - refused);
    assert_eq!(world.database.value(attempts).await, expected);
}

#[tokio::test]
async fn a_message_for_which_the_dataset_has_no_page_costs_nobody_else_anything() {
    let mut world = World::start().await;
    let no_page = FaultKind::RefuseEvent {
        event_id_contains: "message".into(),
        code: 100,
        subcode: Some(2_804_131),
    };
    world.sandbox.fail_with(Fault::new(no_page)).unwrap();
    let mut all = ids("good", 30);
    all.insert(11, "message".to_owned());
    accept_ids(&world, &all).await;
    world.start_forwarder();
    let census = world.settle().await;
    assert_eq!((census.delivered, census.dead), (30, 1));
    assert_eq!(breaker(&world).await, "closed ");
    let letter =
        "SELECT event_id || ' ' || reason || ' ' || (last_error LIKE '%has no Page%') FROM meta_retry_queue";
    assert_eq!(world.database.value(letter).await, "message refused true");
}

/// A rule of Meta's that every event breaks.
fn refuses_everything() -> Fault {
    error(400, 100, Some(2_804_016), None)
}

#[tokio::test]
async fn when_meta_refuses_everything_for_one_cause_the_rest_is_kept_back_and_the_dataset_is_left_alone() {
    let mut world = World::start().await;
    world.sandbox.fail_with(refuses_everything()).unwrap();
    accept_ids(&world, &ids("a", 400)).await;
    world.start_forwarder();
    eventually("everything has its place", || async {
        let census = world.census().await;
        (census.dead + census.waiting == 400).then_some(())
    })
    .await;
    assert_eq!(breaker(&world).await, "open refused");
    assert_eq!(world.census().await.dead, 8, "so many in a row are systematic");
    // Nine cuts down to the first event, and two requests at most for each of the other seven.
    let requests = world.sandbox.counts().requests;
    assert!(requests <= 9 + 1 + 2 * 7 + 3, "{requests} requests");
    let parked = "SELECT count(*) || ' ' || min(retry_count) || ' ' || max(retry_count) || ' '
            || (min(next_retry_at - failed_at) >= interval '29 seconds')
        FROM meta_retry_queue WHERE status = 'waiting'";
    assert_eq!(world.database.value(parked).await, "392 0 0 true");
    let alert = "SELECT string_agg(state || ' ' || reason, ', ') FROM breaker_transitions";
    assert_eq!(world.database.value(alert).await, "open refused");
}

#[tokio::test]
async fn each_probe_of_a_dataset_that_is_refused_costs_one_event_and_all_others_arrive_in_the_end() {
    let mut world = World::start().await;
    let refusing = world.sandbox.fail_with(refuses_everything()).unwrap();
    accept_ids(&world, &ids("a", 200)).await;
    world.start_forwarder();
    world.start_retry_worker();
    eventually("the breaker opens", || async {
        (breaker(&world).await == "open refused").then_some(())
    })
    .await;
    // Waits of 30, 60 and 120 s, each up to a fifth longer.
    for (probes, seconds) in [(1, 40), (2, 75), (3, 145)] {
        world.advance(Duration::from_secs(seconds)).await;
        eventually("a probe was refused", || async {
            let census = world.census().await;
            (census.dead == 8 + probes && breaker(&world).await == "open refused").then_some(())
        })
        .await;
    }
    world.sandbox.clear_fault(refusing);
    world.advance(Duration::from_secs(300)).await;
    let census = world.settle().await;
    assert_eq!((census.delivered, census.dead), (200 - 11, 11), "{census:?}");
    assert_eq!(breaker(&world).await, "closed ");
}

#[tokio::test]
async fn under_an_order_to_send_a_dataset_that_is_refused_loses_few_events_to_it() {
    let mut world = World::start().await;
    force_closed(&world).await;
    world.sandbox.fail_with(refuses_everything()).unwrap();
    accept_ids(&world, &ids("a", 400)).await;
    world.start_forwarder_with(|config| config.batch_size = 100);
    eventually("everything has its place", || async {
        let census = world.census().await;
        (census.dead + census.waiting == 400).then_some(())
    })
    .await;
    let dead = world.census().await.dead;
    assert!((8..=8 + 4 * 2).contains(&dead), "{dead} dead letters");
}

#[tokio::test]
async fn refusals_of_single_events_count_over_batches_and_a_delivery_ends_them() {
    let mut world = World::start().await;
    world.sandbox.fail_with(poison()).unwrap();
    world.start_forwarder();
    for round in 0..3 {
        for number in 0..7 {
            let id = format!("poison-{round}-{number}");
            accept(&world, &[&id]).await;
            let letter =
                format!("SELECT 1 FROM meta_retry_queue WHERE event_id = '{id}' AND status = 'failed'");
            eventually("it is a dead letter", || async {
                world.database.query(&letter).await.pop()
            })
            .await;
        }
        accept(&world, &[&format!("good-{round}")]).await;
        eventually("the good one is delivered", || async {
            (world.census().await.delivered == round + 1).then_some(())
        })
        .await;
    }
    assert_eq!(breaker(&world).await, "closed ");
    accept_ids(&world, &ids("poison", 8)).await;
    eventually("the breaker opens", || async {
        (breaker(&world).await == "open refused").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_parts_of_a_batch_that_is_being_cut_stay_its_senders() {
    let mut world = World::start().await;
    world.sandbox.fail_with(poison()).unwrap();
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 250 }))
        .unwrap();
    let mut ids = ids("good", 32);
    ids[0] = "poison-0".to_owned();
    ids[31] = "poison-31".to_owned();
    accept_ids(&world, &ids).await;
    // Some twenty requests of a quarter of a second, with leases of one second: another forwarder looks on.
    world.start_forwarder_with(|config| config.lease_seconds = 1);
    eventually("it is claimed", || async {
        (world.census().await.in_flight == 32).then_some(())
    })
    .await;
    world.start_forwarder_with(|config| config.lease_seconds = 1);
    let census = world.settle().await;
    assert_eq!((census.delivered, census.dead), (30, 2));
    assert_eq!(world.sandbox.counts().repeated, 0);
    let attempts = "SELECT max(attempt)::text FROM send_attempts";
    assert_eq!(world.database.value(attempts).await, "1", "a part was taken over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_that_stops_while_it_cuts_a_batch_gives_the_parts_back() {
    let world = World::start().await;
    world.sandbox.fail_with(poison()).unwrap();
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 100 }))
        .unwrap();
    let mut ids = ids("good", 64);
    ids[0] = "poison".to_owned();
    let events: Vec<_> = ids.iter().map(|id| lead(id, world.now())).collect();
    let answer = world.post(Key::Secret, &json!({ "events": events })).await;
    assert_eq!(answer.json["accepted"], 64);
    let forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
    eventually("the bisection is under way", || async {
        (world.sandbox.counts().requests >= 3).then_some(())
    })
    .await;
    let (code, log) = forwarder.terminate().await;
    assert_eq!(code, Some(0), "{log:#?}");
    let census = world.census().await;
    assert_eq!(census.in_flight, 0, "{census:?}");
    assert!(census.ready > 0, "{census:?}");
    assert!(
        world
            .sandbox
            .requests()
            .iter()
            .all(|request| request.dataset_id == DATASET_ID)
    );
}
