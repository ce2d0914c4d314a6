//! What operators see of failed events and of circuit breakers, and what they can do about them.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::time::Duration;

use rastro_core::circuit_breaker::{Breaker, BreakerSettings, Reason};
use rastro_core::dataset::DatasetId;
use rastro_sandbox::{EventFilter, Fault, FaultKind};
use rastro_store::{ApiKeyKind, Dataset, DatasetSettings};
use rastro_test_support::events::lead;
use rastro_test_support::{Answer, DATASET_ID, Key, World, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const ADMIN_KEY: &str = "ak_0123456789abcdef0123456789abcdef";
const FAILED: &str = "failed";
const RETRY_FAILED: &str = "retry-failed";

fn dataset() -> DatasetId {
    DATASET_ID.parse().unwrap()
}

fn breaker() -> String {
    format!("breaker/{DATASET_ID}")
}

/// A world with an admin key that its gateway knows.
async fn start() -> World {
    let world = World::start().await;
    let key = Sha256::digest(ADMIN_KEY).into();
    world.store.put_admin_key(key, "on call").await.unwrap();
    eventually("the gateway has read the new key", || async {
        (get(&world, FAILED).await.status == 200).then_some(())
    })
    .await;
    world
}

fn request(world: &World, method: Method, path: &str, key: &str) -> reqwest::RequestBuilder {
    let url = world.conversions_url().replace("conversions", path);
    world.client.request(method, url).bearer_auth(key)
}

async fn get(world: &World, path: &str) -> Answer {
    World::answer(request(world, Method::GET, path, ADMIN_KEY)).await
}

async fn post(world: &World, body: &Value) -> Answer {
    let request = request(world, Method::POST, RETRY_FAILED, ADMIN_KEY);
    World::answer(request.header("x-operator", "ana").json(body)).await
}

async fn order(world: &World, body: &Value) -> Answer {
    let request = request(world, Method::PUT, &breaker(), ADMIN_KEY);
    World::answer(request.header("x-operator", "ana").json(body)).await
}

async fn accept(world: &World, ids: &[&str]) {
    let events: Vec<_> = ids.iter().map(|id| lead(id, world.now())).collect();
    let answer = world.post(Key::Secret, &json!({ "events": events })).await;
    assert_eq!(answer.json["accepted"], ids.len(), "{answer:?}");
}

/// Meta refuses every event with "bad" in its id.
fn refuse_bad_events(world: &World) {
    let refusal = FaultKind::RefuseEvent {
        event_id_contains: "bad".into(),
        code: 100,
        subcode: Some(2_804_019),
    };
    world.sandbox.fail_with(Fault::new(refusal)).unwrap();
}

/// Accepts events that Meta refuses, and waits until they are dead letters.
async fn fail(world: &mut World, ids: &[&str]) {
    accept(world, ids).await;
    refuse_bad_events(world);
    world.start_forwarder();
    world.settle().await;
}

/// Lets the retries that are due within a minute become ready, as the retry-worker does.
async fn let_retries_come_due(world: &World) -> usize {
    world.advance(Duration::from_secs(60)).await;
    world.store.requeue_due(1_000).await.unwrap()
}

fn counts(answer: &Answer) -> [i64; 3] {
    assert_eq!(answer.status, 200, "{answer:?}");
    ["matched", "retried", "too_old"].map(|name| answer.json[name].as_i64().unwrap())
}

fn pointers(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 422, "{answer:?}");
    assert_eq!(answer.json["type"], "urn:rastro:problem:invalid-request");
    let errors = answer.json["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn refused_events_are_seen_tried_for_show_retried_and_arrive_once() {
    let mut world = start().await;
    fail(&mut world, &["bad-1", "good", "bad-2"]).await;
    let census = world.census().await;
    assert_eq!((census.delivered, census.dead), (1, 2));

    let groups = get(&world, FAILED).await.json["groups"].clone();
    assert_eq!(groups.as_array().unwrap().len(), 1, "{groups}");
    let group = &groups[0];
    assert_eq!(
        (&group["dataset_id"], &group["reason"]),
        (&json!(DATASET_ID), &json!("refused"))
    );
    assert_eq!(
        (&group["error_code"], &group["error_subcode"]),
        (&json!(100), &json!(2_804_019))
    );
    assert_eq!((&group["count"], &group["retryable"]), (&json!(2), &json!(2)));
    assert!(!group["newest_error"].as_str().unwrap().is_empty());

    let all = json!({"all": true, "dry_run": true});
    assert_eq!(counts(&post(&world, &all).await), [2, 0, 0]);
    assert_eq!(world.census().await.dead, 2, "a dry run changes nothing");

    world.sandbox.clear_faults();
    let retried = post(
        &world,
        &json!({"event_ids": ["bad-1", "good"], "dataset_id": DATASET_ID}),
    )
    .await;
    assert_eq!(counts(&retried), [1, 1, 0]);
    assert_eq!(let_retries_come_due(&world).await, 1);
    let census = world.settle().await;
    assert_eq!((census.delivered, census.dead), (2, 1));
    assert_eq!(
        counts(&post(&world, &json!({"error_code": 100, "reason": "refused"})).await),
        [1, 1, 0]
    );
    assert_eq!(
        counts(&post(&world, &json!({"all": true})).await),
        [0, 0, 0],
        "asking twice retries once"
    );
    assert_eq!(let_retries_come_due(&world).await, 1);
    let census = world.settle().await;
    assert_eq!((census.delivered, census.dead), (3, 0));
    let at_meta = world.sandbox.counts();
    assert_eq!((at_meta.unique, at_meta.repeated), (3, 0));

    let log = |columns: &str| {
        format!(
            "SELECT string_agg({columns}, ', ' ORDER BY created_at) FROM meta_events_log WHERE event_id = 'bad-1'"
        )
    };
    assert_eq!(
        world.database.value(&log("outcome")).await,
        // Refused with the others, then by halves until it stood alone.
        "accepted, error, error, error, retried, success"
    );
    let who = format!(
        "{} retried by ana (on call)",
        retried.json["request_id"].as_str().unwrap()
    );
    let row = log("CASE outcome WHEN 'retried' THEN request_id || ' ' || error_message END");
    assert_eq!(world.database.value(&row).await, who);
}

#[tokio::test]
async fn dead_letters_are_listed_page_by_page_without_what_they_say() {
    let mut world = start().await;
    fail(&mut world, &["bad-1", "bad-2", "bad-3"]).await;
    let (mut after, mut listed) = (0, Vec::new());
    for size in [2, 1] {
        let page = get(
            &world,
            &format!("failed?group=false&limit=2&after={after}&dataset_id={DATASET_ID}"),
        )
        .await;
        let events = page.json["dead_letters"].as_array().unwrap();
        assert_eq!(events.len(), size, "{page:?}");
        listed.extend(
            events
                .iter()
                .map(|event| event["event_id"].as_str().unwrap().to_owned()),
        );
        after = page.json["next"].as_i64().unwrap_or(-1);
        for event in events {
            let mut fields: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
            fields.sort_unstable();
            // No payload, no match key: only this.
            let known = [
                "dataset_id",
                "error_code",
                "error_subcode",
                "event_id",
                "event_name",
                "event_number",
                "failed_at",
                "last_error",
                "reason",
                "retry_count",
                "send_by",
            ];
            assert_eq!(fields, known);
            // printf ana.souza@example.com | sha256sum
            assert!(!event.to_string().contains("7fd726011aa08d90d14a923ea0e5e3ed"));
        }
    }
    let numbered = "SELECT string_agg(event_id, ',' ORDER BY event_number) FROM events";
    assert_eq!(listed.join(","), world.database.value(numbered).await);
    assert_eq!(after, -1, "a page that is not full is the last one");
    let nobody = get(&world, "failed?group=false&dataset_id=1").await;
    assert_eq!(nobody.json, json!({"dead_letters": [], "next": null}));
    assert_eq!(
        get(&world, "failed?reason=exhausted").await.json,
        json!({"groups": []})
    );
}

#[tokio::test]
async fn a_retry_takes_only_what_every_condition_names() {
    let mut world = start().await;
    fail(&mut world, &["bad-1"]).await;
    world.advance(Duration::from_secs(3_600)).await;
    accept(&world, &["bad-2", "bad-3"]).await;
    world.settle().await;
    let recently = (world.database_now().await - Duration::from_secs(1_800)).to_rfc3339();
    let number: i64 = world
        .database
        .value("SELECT event_number::text FROM events WHERE event_id = 'bad-2'")
        .await
        .parse()
        .unwrap();
    let rows = [
        (json!({"all": true}), 3),
        (json!({"dataset_id": DATASET_ID}), 3),
        (json!({"dataset_id": "1"}), 0),
        (json!({"failed_from": recently}), 2),
        (json!({"failed_before": recently}), 1),
        (json!({"event_numbers": [number, 987_654_321]}), 1),
        (json!({"event_numbers": [number], "event_ids": ["bad-3"]}), 0),
        (json!({"event_ids": ["bad-1", "bad-3"]}), 2),
        (json!({"error_code": 190}), 0),
        (json!({"reason": "exhausted"}), 0),
        (
            json!({"reason": "refused", "failed_from": recently, "event_ids": ["bad-1", "bad-3"]}),
            1,
        ),
    ];
    for (mut body, matched) in rows {
        body["dry_run"] = json!(true);
        assert_eq!(counts(&post(&world, &body).await), [matched, 0, 0], "{body}");
    }
    // More than may be retried at once: the rest is there for the next time.
    assert_eq!(
        counts(&post(&world, &json!({"all": true, "limit": 2})).await),
        [3, 2, 0]
    );
    assert_eq!(
        counts(&post(&world, &json!({"all": true, "limit": 2})).await),
        [1, 1, 0]
    );
    let census = world.census().await;
    assert_eq!((census.waiting, census.dead), (3, 0));
}

#[tokio::test]
async fn two_operators_at_once_retry_an_event_once() {
    let mut world = start().await;
    // Fewer than the refusals in a row after which the forwarder keeps the rest back.
    let ids: Vec<String> = (0..7).map(|id| format!("bad-{id}")).collect();
    fail(&mut world, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let all = json!({"all": true});
    let (one, other) = tokio::join!(post(&world, &all), post(&world, &all));
    let retried = one.json["retried"].as_i64().unwrap() + other.json["retried"].as_i64().unwrap();
    let logged = "SELECT count(*)::text FROM meta_events_log WHERE outcome = 'retried'";
    assert_eq!((retried, world.database.value(logged).await.as_str()), (7, "7"));
}

#[tokio::test]
async fn what_is_too_old_for_meta_is_counted_and_stays() {
    let mut world = start().await;
    fail(&mut world, &["bad-1"]).await;
    world.advance(Duration::from_secs(7 * 86_400)).await;
    assert_eq!(counts(&post(&world, &json!({"all": true})).await), [0, 0, 1]);
    let group = get(&world, FAILED).await.json["groups"][0].clone();
    assert_eq!((&group["count"], &group["retryable"]), (&json!(1), &json!(0)));
    assert_eq!(world.census().await.dead, 1);
}

/// Gives the forwarder something else to do, and waits until it has done it: whatever was ready before for
/// the dataset of the test has then been passed over, because its number is the smaller one and comes first
/// in each round.
async fn until_the_forwarder_has_looked(world: &World) {
    let other: DatasetId = "223456789012345".parse().unwrap();
    let key = format!("sk_{other}_other_business");
    let settings = DatasetSettings {
        name: "other".into(),
        ..Default::default()
    };
    let known = Dataset {
        id: other,
        settings,
        access_token: "EAAunknown".to_owned().into(),
    };
    world.store.put_dataset(&known).await.unwrap();
    let hash = Sha256::digest(&key).into();
    world
        .store
        .put_api_key(hash, other, ApiKeyKind::Secret, "other")
        .await
        .unwrap();
    let event = lead("other", world.now());
    eventually("the gateway knows the other dataset", || async {
        let send = request(world, Method::POST, "conversions", &key).json(&event);
        (World::answer(send).await.status == 202).then_some(())
    })
    .await;
    // Meta knows no such token; that it was asked is what counts.
    let asked = format!("SELECT 1 FROM meta_events_log WHERE dataset_id = {other}");
    eventually("the other dataset had its turn", || async {
        world.database.query(&asked).await.pop()
    })
    .await;
}

async fn until_delivered(world: &World, events: i64) {
    eventually("the events are delivered", || async {
        (world.census().await.delivered == events).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_breaker_forced_open_stops_a_dataset_until_it_is_automatic_again() {
    let mut world = start().await;
    let until = json!({"mode": "forced_open", "note": "Meta asked"});
    let forced = order(&world, &until).await;
    assert_eq!(forced.status, 200, "{forced:?}");
    let word = |name: &str| forced.json[name].clone();
    assert_eq!(
        (word("permission"), word("mode")),
        (json!("stopped"), json!("forced_open"))
    );
    assert_eq!((word("state"), word("until")), (json!("closed"), Value::Null));
    assert_eq!(word("note"), "ana (on call): Meta asked");
    accept(&world, &["a", "b"]).await;
    world.start_forwarder();
    until_the_forwarder_has_looked(&world).await;
    assert!(world.sandbox.events(&EventFilter::default()).is_empty());
    assert_eq!(get(&world, &breaker()).await.json, forced.json);

    let automatic = order(&world, &json!({"mode": "automatic"})).await;
    assert_eq!(
        (&automatic.json["permission"], &automatic.json["mode"]),
        (&json!("flows"), &json!("automatic"))
    );
    until_delivered(&world, 2).await;
}

#[tokio::test]
async fn an_override_ends_by_itself_at_its_time() {
    let mut world = start().await;
    let until = world.database_now().await + Duration::from_secs(600);
    let body = json!({"mode": "forced_open", "until": until.to_rfc3339(), "note": "maintenance"});
    assert_eq!(order(&world, &body).await.json["mode"], "forced_open");
    accept(&world, &["a"]).await;
    world.start_forwarder();
    until_the_forwarder_has_looked(&world).await;
    assert!(world.sandbox.events(&EventFilter::default()).is_empty());
    world.advance(Duration::from_secs(601)).await;
    until_delivered(&world, 1).await;
    let after = get(&world, &breaker()).await.json;
    assert_eq!(
        (&after["mode"], &after["until"], &after["permission"]),
        (&json!("automatic"), &Value::Null, &json!("flows"))
    );
}

async fn stop(world: &World, reason: Reason) {
    let settings = BreakerSettings::default();
    let stopped = |breaker: &Breaker, now_ms| breaker.stop(reason, None, now_ms, &settings, 0.0);
    assert!(
        world
            .store
            .update_breaker(dataset(), None, stopped)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_breaker_forced_closed_lets_everything_through_and_still_records_its_state() {
    let mut world = start().await;
    stop(&world, Reason::Blocked).await;
    let shown = get(&world, &breaker()).await.json;
    assert_eq!(
        (&shown["state"], &shown["reason"]),
        (&json!("open"), &json!("blocked"))
    );
    assert_eq!(shown["permission"], "stopped");
    assert!(shown["open_until"].is_string() && shown["since"].is_string());
    accept(&world, &["a"]).await;
    world.start_forwarder();
    until_the_forwarder_has_looked(&world).await;
    assert!(world.sandbox.events(&EventFilter::default()).is_empty());

    let forced = order(
        &world,
        &json!({"mode": "forced_closed", "note": "the token is fine"}),
    )
    .await;
    assert_eq!(
        (&forced.json["permission"], &forced.json["state"]),
        (&json!("flows"), &json!("open"))
    );
    until_delivered(&world, 1).await;
    let evidence = get(&world, &breaker()).await.json["evidence"].clone();
    let expected = json!({"window_seconds": 300, "requests": 1, "failures": 0, "consecutive_failures": 0});
    assert_eq!(evidence, expected);
}

#[tokio::test]
async fn a_dataset_that_was_never_left_alone_has_a_closed_breaker() {
    let world = start().await;
    let shown = get(&world, &breaker()).await.json;
    assert_eq!(
        (&shown["state"], &shown["permission"], &shown["mode"]),
        (&json!("closed"), &json!("flows"), &json!("automatic"))
    );
    assert_eq!(
        (&shown["since"], &shown["reason"], &shown["note"]),
        (&Value::Null, &Value::Null, &json!(""))
    );
    for unknown in ["breaker/1", "breaker/abc"] {
        let answer = get(&world, unknown).await;
        assert_eq!(
            (answer.status, &answer.json["type"]),
            (404, &json!("urn:rastro:problem:not-found")),
            "{unknown}"
        );
        let put = request(&world, Method::PUT, unknown, ADMIN_KEY).json(&json!({"mode": "automatic"}));
        assert_eq!(World::answer(put).await.status, 404);
    }
}

#[tokio::test]
async fn each_key_does_what_it_is_for_and_nothing_else() {
    let world = start().await;
    let event = lead("a", world.now());
    let (retry, order) = (json!({"all": true}), json!({"mode": "automatic"}));
    let breaker = breaker();
    let operations = [
        (Method::GET, FAILED, &Value::Null),
        (Method::POST, RETRY_FAILED, &retry),
        (Method::GET, &breaker, &Value::Null),
        (Method::PUT, &breaker, &order),
    ];
    for (method, path, body) in operations {
        let statuses = [
            Key::Publishable.as_str(),
            Key::Secret.as_str(),
            "ak_unknown",
            ADMIN_KEY,
        ];
        for (key, status) in statuses.into_iter().zip([403, 403, 401, 200]) {
            let answer = World::answer(request(&world, method.clone(), path, key).json(body)).await;
            assert_eq!(answer.status, status, "{method} {path} with {key}: {answer:?}");
            if status == 403 {
                assert_eq!(answer.json["type"], "urn:rastro:problem:forbidden");
            }
        }
    }
    let send = request(&world, Method::POST, "conversions", ADMIN_KEY).json(&event);
    let refused = World::answer(send).await;
    assert_eq!(
        (refused.status, &refused.json["type"]),
        (403, &json!("urn:rastro:problem:forbidden"))
    );
    assert_eq!(world.census().await.accepted, 0);
    assert_eq!(world.post(Key::Publishable, &event).await.status, 202);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let world = start().await;
    assert_eq!(pointers(&post(&world, &json!({})).await), [""]);
    assert_eq!(
        pointers(&post(&world, &json!({"dataset": "1", "limit": 0, "all": true})).await),
        ["/limit", "/dataset"]
    );
    assert_eq!(
        pointers(&get(&world, "failed?grouped=true&dataset_id=x").await),
        ["/dataset_id", "/grouped"]
    );
    assert_eq!(
        pointers(&order(&world, &json!({"mode": "forced_open"})).await),
        ["/note"]
    );
    for name in ["x".repeat(101).as_str(), "a\tb", ""] {
        let named = request(&world, Method::POST, RETRY_FAILED, ADMIN_KEY).header("x-operator", name);
        assert_eq!(
            pointers(&World::answer(named.json(&json!({"all": true}))).await),
            ["/X-Operator"],
            "{name:?}"
        );
    }
    let not_json = request(&world, Method::POST, RETRY_FAILED, ADMIN_KEY).body("{}");
    assert_eq!(World::answer(not_json).await.status, 415);
    for (path, allowed) in [
        (FAILED, "GET"),
        (RETRY_FAILED, "POST"),
        (breaker().as_str(), "GET, PUT"),
    ] {
        let answer = World::answer(request(&world, Method::DELETE, path, ADMIN_KEY)).await;
        assert_eq!(
            (answer.status, answer.headers["allow"].to_str().unwrap()),
            (405, allowed)
        );
        assert_eq!(answer.json["type"], "urn:rastro:problem:method-not-allowed");
    }
}
