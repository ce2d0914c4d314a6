//! From an accepted event to Meta and into the log, by way of failures.

use std::collections::HashSet;
use std::time::Duration;

use rastro_sandbox::{EventFilter, Fault, FaultKind};
use rastro_test_support::events::{lead, purchase};
use rastro_test_support::{ACCESS_TOKEN, Key, World, eventually};
use serde_json::json;

use crate::support::{accept, accept_many, all_waiting, answer, outage, retry};

#[tokio::test]
async fn an_event_arrives_as_it_was_accepted_and_its_outcome_is_logged() {
    let mut world = World::start().await;
    let answer = world.post(Key::Secret, &purchase("order-1", world.now())).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    world.start_forwarder();
    assert_eq!(world.settle().await.delivered, 1);

    let received = world.sandbox.events(&EventFilter::default());
    assert_eq!(received.len(), 1);
    let payloads = world.database.payloads().await;
    assert_eq!(
        received[0].event.get(),
        payloads[0].1,
        "Meta gets the stored bytes"
    );
    assert_eq!(received[0].json()["custom_data"]["value"], json!(129.9));

    let rows = world
        .database
        .query(
            "SELECT l.outcome, l.http_status, l.fbtrace_id, l.latency_ms >= 0, l.attempt, l.request_id::text, l.event_name,
                l.event_id, l.event_number = e.event_number, l.error_message
             FROM meta_events_log l CROSS JOIN events e WHERE l.outcome <> 'accepted'",
        )
        .await;
    let row: Vec<&str> = rows[0]
        .iter()
        .map(|value| value.as_deref().unwrap_or("NULL"))
        .collect();
    let (trace, request_id) = (
        world.sandbox.requests()[0].fbtrace_id.clone(),
        answer.json["request_id"].as_str().unwrap(),
    );
    assert_eq!(
        row,
        [
            "success", "200", &trace, "t", "1", request_id, "Purchase", "order-1", "t", "NULL"
        ]
    );
}

#[tokio::test]
async fn a_batch_is_one_request_and_test_events_go_apart() {
    let mut world = World::start().await;
    accept(&world, &["a", "b", "c"]).await;
    let mut test_event = lead("t", world.now());
    test_event["test_event_code"] = json!("TEST123");
    assert_eq!(world.post(Key::Secret, &test_event).await.status, 202);
    world.start_forwarder();
    world.settle().await;
    let requests = world.sandbox.requests();
    let mut sizes: Vec<_> = requests.iter().map(|request| request.events.unwrap()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 3]);
    for event in world.sandbox.events(&EventFilter::default()) {
        let code = (event.event_id.as_deref() == Some("t")).then_some("TEST123");
        assert_eq!(event.test_event_code.as_deref(), code);
    }
}

#[tokio::test]
async fn more_events_than_fit_in_a_request_become_several_and_arrive_once() {
    let mut world = World::start().await;
    accept_many(&world, 5, 500).await;
    world.start_forwarder();
    world.start_forwarder();
    world.settle().await;
    let counts = world.sandbox.counts();
    assert_eq!((counts.unique, counts.repeated), (2_500, 0));
    assert!(
        world
            .sandbox
            .requests()
            .iter()
            .all(|request| request.events.unwrap() <= 1_000)
    );
}

#[tokio::test]
async fn a_failed_event_waits_in_the_retry_queue_with_what_meta_said() {
    let mut world = World::start().await;
    world.sandbox.fail_with(Fault::new(outage()).times(1)).unwrap();
    accept(&world, &["a", "b"]).await;
    world.start_forwarder();
    all_waiting(&world, 2).await;
    let rows = world
        .database
        .query(
            "SELECT q.event_id, q.status, q.retry_count, q.error_code, q.last_error LIKE '%503%',
                extract(epoch FROM q.next_retry_at - q.failed_at)
             FROM meta_retry_queue q ORDER BY q.event_id",
        )
        .await;
    assert_eq!(rows.len(), 2);
    for (row, id) in rows.iter().zip(["a", "b"]) {
        let row: Vec<&str> = row
            .iter()
            .map(|value| value.as_deref().unwrap_or("NULL"))
            .collect();
        assert_eq!(row[..5], [id, "waiting", "1", "2", "t"]);
        let wait: f64 = row[5].parse().unwrap();
        assert!((1.0..=1.2).contains(&wait), "{wait}");
    }
    retry(&world).await;
    assert_eq!(world.settle().await.delivered, 2);
    let log =
        "SELECT string_agg(outcome, ', ' ORDER BY created_at) FROM meta_events_log WHERE event_id = 'a'";
    assert_eq!(world.database.value(log).await, "accepted, error, success");
    assert_eq!(world.sandbox.counts().repeated, 0);
}

#[tokio::test]
async fn whatever_meta_does_to_a_connection_every_event_counts_once_there() {
    for fault in [
        FaultKind::ResetBefore,
        FaultKind::ResetAfter,
        FaultKind::Empty {
            http_status: 200,
            processed: true,
        },
        FaultKind::Html {
            http_status: 502,
            processed: false,
        },
        FaultKind::ErrorIn200 {
            code: 2,
            subcode: None,
        },
    ] {
        let mut world = World::start().await;
        let processed = matches!(fault, FaultKind::ResetAfter | FaultKind::Empty { .. });
        world
            .sandbox
            .fail_with(Fault::new(fault.clone()).times(1))
            .unwrap();
        accept(&world, &["a", "b", "c"]).await;
        world.start_forwarder();
        all_waiting(&world, 3).await;
        retry(&world).await;
        assert_eq!(world.settle().await.delivered, 3, "{fault:?}");
        let counts = world.sandbox.counts();
        assert_eq!(
            (counts.unique, counts.repeated),
            (3, if processed { 3 } else { 0 }),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn an_event_that_became_too_old_is_left_out_and_does_not_cost_its_batch() {
    let mut world = World::start().await;
    let week = 7 * 86_400;
    let events = [lead("old", world.now() - week + 90), lead("fresh", world.now())];
    assert_eq!(
        world.post(Key::Secret, &json!({ "events": events })).await.json["accepted"],
        2
    );
    world.advance(Duration::from_secs(120)).await;
    world.start_forwarder();
    let census = world.settle().await;
    assert_eq!((census.delivered, census.dead), (1, 1));
    let received = world.sandbox.events(&EventFilter::default());
    assert_eq!(
        received
            .iter()
            .map(|event| event.event_id.as_deref().unwrap())
            .collect::<Vec<_>>(),
        ["fresh"]
    );
    assert_eq!(world.sandbox.requests().len(), 1);
    let log =
        "SELECT string_agg(outcome, ' ' ORDER BY created_at) FROM meta_events_log WHERE event_id = 'old'";
    assert_eq!(world.database.value(log).await, "accepted expired");
}

#[tokio::test]
async fn while_a_transaction_is_left_open_what_is_new_and_what_comes_back_is_sent() {
    /// So many dead tuples before the lane that the forwarder seldom polls it.
    const GONE: &str = "
        INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
        SELECT dataset_id, '', n, n, '2026-01-01', 'infinity' FROM datasets, generate_series(-200000, -1) AS n;
        DELETE FROM send_queue WHERE first_number < 0";
    let mut world = World::start().await;
    accept(&world, &["back"]).await;
    let lanes = world.store.ready_lanes().await.unwrap();
    let lease = Duration::from_secs(60);
    let claimed = world.store.claim_batch(&lanes[0], 1, lease, "another").await;
    let claimed = claimed.unwrap().unwrap();
    world.start_forwarder();

    let left_open = world.database.execute("SELECT pg_sleep(60)");
    let work = async {
        let is_open = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query = 'SELECT pg_sleep(60)'";
        eventually("the transaction is open", || async {
            world.database.query(is_open).await.pop()
        })
        .await;
        world.database.execute(GONE).await;
        accept(&world, &["a"]).await;
        eventually("the first is sent", || async {
            (world.census().await.delivered == 1).then_some(())
        })
        .await;
        // Its number is lower than that of the event with which its lane began.
        let released = world.store.release_batch(&claimed).await;
        assert!(released.unwrap());
        let mut test_event = lead("t", world.now());
        test_event["test_event_code"] = json!("TEST123");
        assert_eq!(world.post(Key::Secret, &test_event).await.status, 202);
        accept(&world, &["b", "c"]).await;
        assert_eq!(world.settle().await.delivered, 5);
    };
    tokio::select! {
        () = left_open => panic!("the transaction has ended"),
        () = work => {}
    }
    let counts = world.sandbox.counts();
    assert_eq!((counts.unique, counts.repeated), (5, 0));
}

#[tokio::test]
async fn no_token_and_no_raw_identifier_reaches_a_log_row_or_an_error() {
    let mut world = World::start().await;
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::ResetBefore).times(1))
        .unwrap();
    accept(&world, &["a"]).await;
    world.start_forwarder();
    all_waiting(&world, 1).await;
    let everything: HashSet<String> = {
        let mut texts = HashSet::new();
        texts.extend(
            world
                .database
                .payloads()
                .await
                .into_iter()
                .map(|(_, payload)| payload),
        );
        for table in [
            "events",
            "send_attempts",
            "event_outcomes",
            "meta_events_log",
            "send_queue",
            "send_batches",
            "meta_events_dedup",
            "meta_retry_queue",
        ] {
            texts.extend(
                world
                    .database
                    .query(&format!("SELECT t::text FROM {table} t"))
                    .await
                    .into_iter()
                    .flatten()
                    .flatten(),
            );
        }
        texts
    };
    assert!(everything.len() > 2);
    for secret in ["souza", "Souza", "91234", ACCESS_TOKEN] {
        assert!(
            !everything.iter().any(|text| text.contains(secret)),
            "{secret} is stored"
        );
    }
}

#[tokio::test]
async fn a_count_of_received_events_below_those_sent_is_logged_and_nothing_is_sent_again() {
    let mut world = World::start().await;
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::WrongCount).times(1))
        .unwrap();
    accept(&world, &["a", "b", "c"]).await;
    world.start_forwarder();
    assert_eq!(world.settle().await.delivered, 3);
    let attempts =
        "SELECT string_agg(concat_ws(' ', outcome, event_count, events_received), ', ') FROM send_attempts";
    assert_eq!(world.database.value(attempts).await, "delivered 3 2");
    assert_eq!(world.sandbox.requests().len(), 1);
}

#[tokio::test]
async fn answers_of_odd_types_are_successes_all_the_same() {
    for body in [
        r#"{"events_received":$N,"messages":null,"fbtrace_id":"A"}"#,
        r#"{"events_received":"$N"}"#,
    ] {
        let mut world = World::start().await;
        world.sandbox.fail_with(answer(200, body, true).times(1)).unwrap();
        accept(&world, &["a", "b"]).await;
        world.start_forwarder();
        assert_eq!(world.settle().await.delivered, 2, "{body}");
        let counts = world.sandbox.counts();
        assert_eq!((counts.requests, counts.repeated), (1, 0), "{body}");
    }
}

#[tokio::test]
async fn a_request_too_large_for_something_on_the_way_is_cut_in_halves() {
    let mut world = World::start().await;
    world
        .sandbox
        .fail_with(answer(413, "<html>", false).times(1))
        .unwrap();
    accept(&world, &["a", "b", "c", "d"]).await;
    world.start_forwarder();
    assert_eq!(world.settle().await.delivered, 4);
    assert_eq!(world.sandbox.requests().len(), 3);
}

#[tokio::test]
async fn an_event_whose_content_is_gone_is_a_visible_dead_letter_and_costs_no_other() {
    let mut world = World::start().await;
    accept(&world, &["gone", "erased", "kept"]).await;
    world
        .database
        .execute(
            "DELETE FROM events WHERE event_id = 'gone';
             UPDATE events SET payload = '' WHERE event_id = 'erased'",
        )
        .await;
    world.start_forwarder();
    eventually("the rest is sent", || async {
        let census = world.census().await;
        (census.pending() == 0).then_some(())
    })
    .await;
    let letters = "SELECT string_agg(reason, ' ') FROM meta_retry_queue WHERE status = 'failed'";
    assert_eq!(world.database.value(letters).await, "missing missing");
    let log = "SELECT count(*)::text FROM meta_events_log WHERE outcome = 'missing'";
    assert_eq!(world.database.value(log).await, "2");
    let received = world.sandbox.events(&EventFilter::default());
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].event_id.as_deref(), Some("kept"));
    // So that the count at the world's end, which knows of no row that was deleted, is right.
    world
        .database
        .execute("DELETE FROM meta_retry_queue WHERE event_id IS NULL AND event_number NOT IN (SELECT event_number FROM events)")
        .await;
}
