//! Real processes that are killed, stopped and resumed. Whatever happens to them, each accepted event counts
//! once at Meta.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rastro_sandbox::{Fault, FaultKind};
use rastro_test_support::events::lead;
use rastro_test_support::process::Process;
use rastro_test_support::{Key, World, eventually};
use tokio::sync::watch;

/// Sends one event until it is known to be stored; whether this call was told so with a 202.
async fn send_until_stored(
    client: &reqwest::Client,
    url: &watch::Receiver<String>,
    event: &serde_json::Value,
) -> bool {
    loop {
        let request = client
            .post(url.borrow().clone())
            .bearer_auth(Key::Secret.as_str())
            .json(event);
        match request.send().await.map(|answer| answer.status().as_u16()) {
            Ok(202) => return true,
            Ok(409) => return false,
            Ok(503) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Ok(status) => panic!("unexpected answer {status}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_identical_leads_at_two_gateways_are_one_202_nine_409_and_one_event_at_meta() {
    let mut world = World::start().await;
    let gateways = [
        Process::gateway(&world.database, &[]),
        Process::gateway(&world.database, &[]),
    ];
    let urls = [
        gateways[0].conversions_url().await,
        gateways[1].conversions_url().await,
    ];
    for round in 0..20 {
        let event = lead(&format!("lead-{round}"), world.now());
        let sends = (0..10).map(|copy| {
            let request = world
                .client
                .post(&urls[copy % 2])
                .bearer_auth(Key::Secret.as_str())
                .json(&event);
            async move { request.send().await.unwrap().status().as_u16() }
        });
        let mut statuses = futures_util::future::join_all(sends).await;
        statuses.sort_unstable();
        assert_eq!(
            statuses,
            [202, 409, 409, 409, 409, 409, 409, 409, 409, 409],
            "round {round}"
        );
    }
    world.start_forwarder();
    let census = world.settle().await;
    assert_eq!((census.accepted, census.duplicates), (20, 180));
    let counts = world.sandbox.counts();
    assert_eq!((counts.unique, counts.repeated), (20, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_killed_under_load_loses_nothing_it_acknowledged() {
    let mut world = World::start().await;
    let gateway = Process::gateway(&world.database, &[]);
    let (address, url) = watch::channel(gateway.conversions_url().await);
    let (acknowledged, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let senders: Vec<_> = (0..16)
        .map(|sender| {
            let (client, url, now) = (world.client.clone(), url.clone(), world.now());
            let (acknowledged, stop) = (acknowledged.clone(), stop.clone());
            tokio::spawn(async move {
                let mut told = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = format!("lead-{sender}-{number}");
                    send_until_stored(&client, &url, &lead(&id, now)).await;
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    told.push(id);
                }
                told
            })
        })
        .collect();
    let mut gateway = gateway;
    for _ in 0..3 {
        let before = acknowledged.load(Ordering::Relaxed);
        eventually("events flow", || async {
            (acknowledged.load(Ordering::Relaxed) > before + 200).then_some(())
        })
        .await;
        gateway.kill();
        gateway = Process::gateway(&world.database, &[]);
        address.send(gateway.conversions_url().await).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let mut told = HashSet::new();
    for sender in senders {
        told.extend(sender.await.unwrap());
    }
    let rows = world.database.query("SELECT event_id FROM events").await;
    let stored: HashSet<String> = rows.into_iter().flatten().flatten().collect();
    assert_eq!(
        stored, told,
        "what is stored and what the senders were told differ"
    );
    world.start_forwarder();
    assert_eq!(world.settle().await.delivered, i64::try_from(told.len()).unwrap());
    let counts = world.sandbox.counts();
    assert_eq!((counts.unique, counts.repeated), (told.len() as u64, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_killed_between_send_and_finish_sends_again_and_meta_counts_once() {
    let world = World::start().await;
    for id in ["a", "b", "c"] {
        assert_eq!(world.post(Key::Secret, &lead(id, world.now())).await.status, 202);
    }
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Timeout { processed: true }).times(1))
        .unwrap();
    let forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
    eventually("Meta has the events", || async {
        (world.sandbox.counts().received == 3).then_some(())
    })
    .await;
    forwarder.kill();
    let census = world.census().await;
    assert_eq!((census.in_flight, census.delivered), (3, 0));

    world.advance(Duration::from_secs(120)).await;
    let _forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
    assert_eq!(world.settle().await.delivered, 3);
    let counts = world.sandbox.counts();
    assert_eq!((counts.unique, counts.repeated), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_that_slept_past_its_lease_changes_nothing_when_it_wakes() {
    let world = World::start().await;
    for id in ["a", "b", "c"] {
        assert_eq!(world.post(Key::Secret, &lead(id, world.now())).await.status, 202);
    }
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 1_000 }).times(1))
        .unwrap();
    let zombie = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
    eventually("the batch is claimed", || async {
        (world.census().await.in_flight == 3).then_some(())
    })
    .await;
    zombie.signal("STOP");

    world.advance(Duration::from_secs(120)).await;
    let heir = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
    heir.logged("took over a batch").await;
    world.settle().await;
    let log = "SELECT count(*)::text || ' ' || min(attempt) || ' ' || max(attempt) FROM meta_events_log WHERE outcome = 'success'";
    assert_eq!(world.database.value(log).await, "3 2 2");

    zombie.signal("CONT");
    zombie.logged("the lease had ended").await;
    assert_eq!(world.database.value(log).await, "3 2 2");
    assert_eq!(world.sandbox.counts().unique, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_killed_in_the_middle_of_a_bisection_loses_nothing() {
    let world = World::start().await;
    let poison = FaultKind::RefuseEvent {
        event_id_contains: "poison".into(),
        code: 100,
        subcode: Some(2_804_036),
    };
    world.sandbox.fail_with(Fault::new(poison)).unwrap();
    let slow = world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 50 }))
        .unwrap();
    let ids = (0..64).map(|id| {
        if id % 20 == 7 {
            format!("poison-{id}")
        } else {
            format!("good-{id}")
        }
    });
    let events: Vec<_> = ids.map(|id| lead(&id, world.now())).collect();
    let answer = world
        .post(Key::Secret, &serde_json::json!({ "events": events }))
        .await;
    assert_eq!(answer.json["accepted"], 64);
    for requests in [3, 8, 14] {
        let forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
        eventually("the bisection is under way", || async {
            (world.sandbox.counts().requests >= requests).then_some(())
        })
        .await;
        forwarder.kill();
        assert_eq!(world.census().await.lost(), 0);
        world.advance(Duration::from_secs(120)).await;
    }
    world.sandbox.clear_fault(slow);
    let _forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
    let census = world.settle().await;
    assert_eq!((census.delivered, census.dead), (61, 3));
    assert_eq!(world.sandbox.counts().unique, 61);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_asked_to_stop_finish_what_they_have_in_hand() {
    let world = World::start().await;
    let gateway = Process::gateway(&world.database, &[]);
    let url = gateway.conversions_url().await;
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 500 }).times(1))
        .unwrap();
    let send = world
        .client
        .post(&url)
        .bearer_auth(Key::Secret.as_str())
        .json(&lead("a", world.now()));
    assert_eq!(send.send().await.unwrap().status(), 202);
    let forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &[]);
    eventually("the batch is claimed", || async {
        (world.census().await.in_flight == 1).then_some(())
    })
    .await;
    let (code, log) = forwarder.terminate().await;
    assert_eq!(code, Some(0), "{log:#?}");
    assert_eq!(
        world.census().await.delivered,
        1,
        "the request in flight was recorded before the end"
    );
    let (code, log) = gateway.terminate().await;
    assert_eq!(code, Some(0), "{log:#?}");
}
