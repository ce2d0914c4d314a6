//! From an accepted event to Meta and into the log, by way of failures.

#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::collections::HashSet;
use std::time::Duration;

use rastro_core::dedup::EventKey;
use rastro_sandbox::{EventFilter, Fault, FaultKind};
use rastro_store::{AttemptRecord, Evidence, Fate, NewEvent};
use rastro_test_support::events::{lead, purchase};
use rastro_test_support::{ACCESS_TOKEN, DATASET_ID, Key, World, eventually};
use serde_json::json;
use uuid::Uuid;

async fn accept(world: &World, ids: &[&str]) {
    let events: Vec<_> = ids.iter().map(|id| lead(id, world.now())).collect();
    let answer = world.post(Key::Secret, &json!({ "events": events })).await;
    assert_eq!(answer.json["accepted"], ids.len(), "{answer:?}");
}

async fn accept_many(world: &World, requests: u32, events: u32) {
    for request in 0..requests {
        let ids: Vec<String> = (0..events).map(|event| format!("{request}-{event}")).collect();
        accept(world, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
}

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
             FROM meta_events_log l CROSS JOIN events e",
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

/// An answer with which Meta says that it is unwell.
fn outage() -> FaultKind {
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
async fn retry(world: &World) {
    world.advance(Duration::from_secs(60)).await;
    world.store.requeue_due(1_000).await.unwrap();
}

/// Waits until the events are between two attempts.
async fn all_waiting(world: &World, events: i64) {
    eventually("the events wait for their retry", || async {
        (world.account().await.waiting == events).then_some(())
    })
    .await;
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
            "SELECT q.event_id, q.status, q.retry_count, q.error_code, q.last_error LIKE '%503%', q.payload,
                extract(epoch FROM q.next_retry_at - q.failed_at)
             FROM meta_retry_queue q JOIN events e USING (event_number) ORDER BY q.event_id",
        )
        .await;
    let payloads = world.database.payloads().await;
    for (row, id) in rows.iter().zip(["a", "b"]) {
        let row: Vec<&str> = row
            .iter()
            .map(|value| value.as_deref().unwrap_or("NULL"))
            .collect();
        let (_, accepted) = payloads.iter().find(|(event_id, _)| event_id == id).unwrap();
        assert_eq!(row[..6], [id, "waiting", "1", "2", "t", accepted]);
        let wait: f64 = row[6].parse().unwrap();
        assert!((1.0..=1.2).contains(&wait), "{wait}");
    }
    retry(&world).await;
    assert_eq!(world.settle().await.delivered, 2);
    let log =
        "SELECT string_agg(outcome, ', ' ORDER BY created_at) FROM meta_events_log WHERE event_id = 'a'";
    assert_eq!(world.database.value(log).await, "error, success");
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
        FaultKind::WrongCount,
        FaultKind::ErrorIn200 {
            code: 2,
            subcode: None,
        },
    ] {
        let mut world = World::start().await;
        let processed = matches!(
            fault,
            FaultKind::ResetAfter | FaultKind::Empty { .. } | FaultKind::WrongCount
        );
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

/// Meta dislikes these events, for a reason that only it knows.
fn poison() -> Fault {
    Fault::new(FaultKind::RefuseEvent {
        event_id_contains: "poison".into(),
        code: 100,
        subcode: Some(2_804_036),
    })
}

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
    let account = world.settle().await;
    assert_eq!((account.delivered, account.failed), (997, 3));
    let counts = world.sandbox.counts();
    assert_eq!((counts.unique, counts.repeated), (997, 0));
    // The first, and for each culprit at most two for each of the ten times that a thousand can be cut in half.
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
    let outcomes = "SELECT string_agg(outcome || ' ' || count, ', ') FROM
        (SELECT outcome, count(*) FROM meta_events_log GROUP BY 1 ORDER BY 1) AS o";
    assert_eq!(world.database.value(outcomes).await, "error 3, success 997");
}

#[tokio::test]
async fn a_throttled_dataset_is_left_alone_and_its_events_spend_no_retry() {
    let mut world = World::start().await;
    let usage = r#"{"1":[{"type":"ads_management","estimated_time_to_regain_access":2}]}"#;
    let throttled = FaultKind::Error {
        http_status: 400,
        code: 80_004,
        subcode: Some(2_446_079),
        is_transient: false,
        message: None,
        retry_after: None,
        headers: [("X-Business-Use-Case-Usage".to_owned(), usage.to_owned())].into(),
        processed: false,
    };
    world.sandbox.fail_with(Fault::new(throttled).times(1)).unwrap();
    accept(&world, &["a"]).await;
    world.start_forwarder();
    let breaker =
        "SELECT state || ' ' || reason || ' ' || (extract(epoch FROM open_until - since) BETWEEN 120 AND 145)
        FROM circuit_breakers";
    let row = eventually("the breaker is open", || async {
        world.database.query(breaker).await.pop()
    })
    .await;
    assert_eq!(row[0].as_deref(), Some("open throttled true"));
    eventually("the event is ready again", || async {
        (world.account().await.ready == 1).then_some(())
    })
    .await;
    assert_eq!(world.database.value("SELECT retries FROM send_queue").await, "0");
    // It is looked at again and again, and left alone.
    accept(&world, &["b"]).await;
    world.advance(Duration::from_secs(100)).await;
    tokio::task::yield_now().await;
    assert_eq!(world.sandbox.counts().requests, 1);
}

#[tokio::test]
async fn an_event_that_became_too_old_is_left_out_and_does_not_cost_its_batch() {
    let mut world = World::start().await;
    let week = 7 * 86_400;
    let events = [lead("old", world.now() - week + 60), lead("fresh", world.now())];
    assert_eq!(
        world.post(Key::Secret, &json!({ "events": events })).await.json["accepted"],
        2
    );
    world.advance(Duration::from_secs(120)).await;
    world.start_forwarder();
    let account = world.settle().await;
    assert_eq!((account.delivered, account.failed), (1, 1));
    let received = world.sandbox.events(&EventFilter::default());
    assert_eq!(
        received
            .iter()
            .map(|event| event.event_id.as_deref().unwrap())
            .collect::<Vec<_>>(),
        ["fresh"]
    );
    assert_eq!(world.sandbox.requests().len(), 1);
    let log = "SELECT outcome FROM meta_events_log WHERE event_id = 'old'";
    assert_eq!(world.database.value(log).await, "expired");
}

#[tokio::test]
async fn a_wrong_token_stops_the_dataset_and_keeps_its_events_untouched() {
    let mut world = World::start().await;
    let settings = rastro_store::DatasetSettings {
        name: "test".into(),
        defaults: Default::default(),
        test_event_code: None,
    };
    let revoked = rastro_store::Dataset {
        id: DATASET_ID.parse().unwrap(),
        settings,
        access_token: "EAArevoked".to_owned().into(),
    };
    world.store.put_dataset(&revoked).await.unwrap();
    accept(&world, &["a"]).await;
    world.start_forwarder();
    eventually("the refusal is logged and the event is ready again", || async {
        let logged = world
            .database
            .query("SELECT error_code FROM meta_events_log")
            .await;
        (logged == [[Some("190".to_owned())]] && world.account().await.ready == 1).then_some(())
    })
    .await;
    let breaker = "SELECT state || ' ' || reason FROM circuit_breakers";
    assert_eq!(world.database.value(breaker).await, "open blocked");
    assert_eq!(world.database.value("SELECT retries FROM send_queue").await, "0");
    assert_eq!(world.sandbox.counts().requests, 1);
}

#[tokio::test]
async fn a_dataset_with_a_backlog_does_not_keep_another_waiting() {
    let mut world = World::start().await;
    // Behind a slow Meta, a backlog of forty requests; then one event of somebody else.
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 100 }).on_dataset(DATASET_ID))
        .unwrap();
    accept_many(&world, 4, 100).await;
    let small = "INSERT INTO datasets (dataset_id, name, access_token_sealed) SELECT 1, 'small', access_token_sealed FROM datasets";
    world.database.execute(small).await;
    world.start_forwarder_with(|config| config.batch_size = 10);
    eventually("the backlog is being sent", || async {
        (world.sandbox.counts().requests > 4).then_some(())
    })
    .await;
    let dataset_id = 1.try_into().unwrap();
    let event = NewEvent {
        key: EventKey::new(dataset_id, "Lead", "small"),
        dataset_id,
        name: "Lead".into(),
        id: "small".into(),
        send_by: world.now() + 86_400,
        dedup_window_seconds: 86_400,
        test_event_code: String::new(),
        payload: "{}".into(),
        request_id: Uuid::nil(),
        traceparent: None,
    };
    let mut writer = world.store.event_writer().await.unwrap();
    assert_eq!(writer.accept(&[&event]).await.unwrap(), [true]);
    // Its token is sealed for the other dataset, so the attempt fails; that it came, and when, is the question.
    let attempted = "SELECT 1 FROM meta_events_log WHERE dataset_id = 1";
    eventually("the small dataset has its turn", || async {
        world.database.query(attempted).await.pop()
    })
    .await;
    assert!(
        world.account().await.ready > 0,
        "the backlog was already gone: this proves nothing"
    );
    world.sandbox.clear_faults();
    eventually("the backlog is sent", || async {
        let left = world.account().await;
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
        world.account().await.ready > 0,
        "the backlog was already gone: this proves nothing"
    );
    world.sandbox.clear_faults();
    assert_eq!(world.settle().await.delivered, 1_001);
}

#[tokio::test]
async fn while_a_transaction_is_left_open_what_is_new_and_what_comes_back_is_sent() {
    /// So many rows that have left the queue and cannot be cleaned up that the forwarder seldom looks at all of it.
    const GONE: &str = "
        INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers)
        SELECT 1, '', n * 1000, '2026-01-01', 1, int8multirange(int8range(n * 1000, n * 1000 + 1))
        FROM generate_series(-200000, -1) AS n;
        DELETE FROM send_queue WHERE dataset_id = 1";
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
            (world.account().await.delivered == 1).then_some(())
        })
        .await;
        // Its number is lower than that of the event with which its lane began.
        let released = world
            .store
            .settle_batch(
                &claimed,
                &AttemptRecord::default(),
                &[Fate::Release],
                Evidence::None,
            )
            .await;
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
            "event_segments",
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
