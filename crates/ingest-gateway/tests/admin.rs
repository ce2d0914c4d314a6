//! Datasets and keys without SQL: over the admin API and by the commands, with what each leaves in the log.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::io::Write;
use std::process::{Command, Stdio};

use rastro_core::dataset::DatasetId;
use rastro_store::{DatasetSettings, KeyOrder, KeyRole};
use rastro_test_support::events::lead;
use rastro_test_support::{ACCESS_TOKEN, Answer, DATASET_ID, Key, World, eventually};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const ADMIN_KEY: &str = "ak_0123456789abcdef0123456789abcdef";
const OTHER: &str = "222222222222222";

/// A world whose gateway, which reads its keys every second, knows an admin key.
async fn start() -> World {
    let world = World::with(DatasetSettings::default(), |gateway| {
        gateway.key_refresh_seconds = 1;
    })
    .await;
    let key = Sha256::digest(ADMIN_KEY).into();
    world.store.put_admin_key(key, "on call").await.unwrap();
    eventually("the gateway has read the new key", || async {
        (get(&world, "log").await.status == 200).then_some(())
    })
    .await;
    world
}

fn dataset() -> DatasetId {
    DATASET_ID.parse().unwrap()
}

fn request(world: &World, method: Method, path: &str) -> reqwest::RequestBuilder {
    let url = world
        .conversions_url()
        .replace("meta/conversions", &format!("admin/{path}"));
    world
        .client
        .request(method, url)
        .bearer_auth(ADMIN_KEY)
        .header("x-operator", "ana")
}

async fn get(world: &World, path: &str) -> Answer {
    World::answer(request(world, Method::GET, path)).await
}

async fn send(world: &World, method: Method, path: &str, body: Value) -> Answer {
    World::answer(request(world, method, path).json(&body)).await
}

fn pointers(answer: &Answer) -> Vec<&str> {
    let errors = answer.json["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

/// The status of an event that comes with this key.
async fn event_with(world: &World, key: &str, id: &str) -> u16 {
    let event = lead(id, world.now());
    World::answer(
        world
            .client
            .post(world.conversions_url())
            .bearer_auth(key)
            .json(&event),
    )
    .await
    .status
}

#[tokio::test]
async fn a_dataset_is_created_changed_and_retired_and_its_key_works_meanwhile() {
    let world = start().await;
    let body = json!({"dataset_id": OTHER, "access_token": "EAAother", "default_country": "br"});
    let refused = send(&world, Method::POST, "datasets", body).await;
    assert_eq!((refused.status, pointers(&refused)), (422, vec!["/access_token"]));
    assert!(
        refused.json["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("190"),
        "Meta's code: {refused:?}"
    );

    // The token of the other dataset opens this one neither; it may be one for sending only.
    let body =
        json!({"dataset_id": OTHER, "access_token": ACCESS_TOKEN, "allowed_origins": ["https://a.example"]});
    let created = send(&world, Method::POST, "datasets", body.clone()).await;
    assert_eq!(
        (created.status, &created.json["token"]["result"]),
        (201, &json!("not_readable")),
        "{created:?}"
    );
    assert!(
        created.json["token"]["message"]
            .as_str()
            .unwrap()
            .contains("100/33")
    );
    assert_eq!(created.json["dataset"]["name"], OTHER, "nobody said another");
    assert_eq!(send(&world, Method::POST, "datasets", body).await.status, 409);
    assert_eq!(created.headers["cache-control"], "no-store");

    let key = json!({"kind": "secret", "label": "servidor", "dataset_id": OTHER});
    let made = send(&world, Method::POST, "keys", key).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (key, key_id) = (
        made.json["api_key"].as_str().unwrap().to_owned(),
        &made.json["key"]["key_id"],
    );
    assert_eq!(event_with(&world, &key, "a").await, 202);

    let path = format!("datasets/{OTHER}");
    let change =
        json!({"name": "Clínica", "allowed_origins": null, "lead_events": {"customer": "Subscribe"}});
    let changed = send(&world, Method::PATCH, &path, change).await;
    assert_eq!((changed.status, &changed.json["name"]), (200, &json!("Clínica")));
    assert_eq!(changed.json["allowed_origins"], json!([]));
    assert_eq!(get(&world, &path).await.json, changed.json);

    assert_eq!(
        send(&world, Method::POST, &format!("{path}/retire"), json!({}))
            .await
            .status,
        200
    );
    assert_eq!(event_with(&world, &key, "b").await, 403);
    assert_eq!(
        send(&world, Method::POST, &format!("{path}/restore"), json!({}))
            .await
            .status,
        200
    );
    assert_eq!(event_with(&world, &key, "b").await, 202);
    assert_eq!(
        send(&world, Method::DELETE, &format!("keys/{key_id}"), json!({}))
            .await
            .status,
        200
    );
    assert_eq!(event_with(&world, &key, "c").await, 401);

    let log = get(&world, &format!("log?dataset_id={OTHER}")).await;
    let entries = log.json["entries"].as_array().unwrap();
    let told: Vec<(&str, &str)> = entries
        .iter()
        .rev()
        .map(|entry| (entry["who"].as_str().unwrap(), entry["action"].as_str().unwrap()))
        .collect();
    let who = "ana (on call)";
    let expected = [
        "dataset.create",
        "key.create",
        "dataset.change",
        "dataset.retire",
        "dataset.restore",
        "key.revoke",
    ];
    assert_eq!(told, expected.map(|action| (who, action)));
    let everything = log.json.to_string();
    assert!(
        !everything.contains(ACCESS_TOKEN) && !everything.contains(&key),
        "{everything}"
    );
}

#[tokio::test]
async fn a_change_that_another_made_reaches_a_running_gateway_by_itself() {
    let world = start().await;
    let store = &world.store;
    let order = KeyOrder {
        role: KeyRole::Secret,
        dataset_id: Some(dataset()),
        label: "x".into(),
        event_names: None,
    };
    let (key, secret) = store.issue_api_key(&order, "bia").await.unwrap().unwrap();
    let secret = secret.expose_secret();
    eventually("the new key is known", || async {
        (event_with(&world, secret, "a").await == 202).then_some(())
    })
    .await;
    store.revoke_api_key(key.key_id, "bia").await.unwrap();
    eventually("the revoked key opens nothing", || async {
        (event_with(&world, secret, "a").await == 401).then_some(())
    })
    .await;
    store.retire_dataset(dataset(), "bia").await.unwrap();
    eventually("the retired dataset takes nothing", || async {
        (event_with(&world, Key::Secret.as_str(), "a").await == 403).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_accepted_of_a_retired_dataset_is_still_sent() {
    let mut world = start().await;
    assert_eq!(event_with(&world, Key::Secret.as_str(), "a").await, 202);
    world.store.retire_dataset(dataset(), "bia").await.unwrap();
    world.start_forwarder();
    assert_eq!(world.settle().await.delivered, 1);
    assert_eq!(world.sandbox.counts().received, 1);
}

#[tokio::test]
async fn a_token_is_checked_when_it_is_entered_and_frees_the_dataset() {
    let world = start().await;
    let path = format!("datasets/{DATASET_ID}/token");
    let refused = send(&world, Method::PUT, &path, json!({"access_token": "EAArevoked"})).await;
    assert_eq!(
        (refused.status, &refused.json["type"]),
        (422, &json!("urn:rastro:problem:token-refused"))
    );
    assert_eq!(
        world
            .store
            .access_token(dataset())
            .await
            .unwrap()
            .unwrap()
            .expose_secret(),
        ACCESS_TOKEN
    );
    let entered = send(
        &world,
        Method::PUT,
        &path,
        json!({"access_token": format!(" {ACCESS_TOKEN}\n")}),
    )
    .await;
    let name = json!(format!("Dataset {DATASET_ID}"));
    assert_eq!(
        (entered.status, &entered.json["token"]["meta_name"]),
        (200, &name)
    );
    assert_eq!(entered.json["dataset"]["meta_name"], name);
    assert!(entered.json["dataset"]["token_checked_at"].is_string());
    assert!(!entered.json.to_string().contains(ACCESS_TOKEN));
    let unknown = send(
        &world,
        Method::PUT,
        "datasets/7/token",
        json!({"access_token": "EAA"}),
    )
    .await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn every_wrong_field_of_an_order_is_named_and_nothing_is_done() {
    let world = start().await;
    let before = get(&world, "datasets").await.json;
    let wrong = json!({"dataset_id": 7, "name": "", "time_zone": "Brasil", "colour": "red"});
    let answer = send(&world, Method::POST, "datasets", wrong).await;
    let expected = vec!["/dataset_id", "/access_token", "/name", "/time_zone", "/colour"];
    assert_eq!((answer.status, pointers(&answer)), (422, expected));
    let path = format!("datasets/{DATASET_ID}");
    let wrong =
        json!({"cookie_domain": "br", "lead_events": {"customer": "Purchase"}, "access_token": "EAA"});
    let answer = send(&world, Method::PATCH, &path, wrong).await;
    assert_eq!(
        (answer.status, pointers(&answer)),
        (
            422,
            vec!["/cookie_domain", "/lead_events/customer", "/access_token"]
        )
    );
    for (order, pointer) in [
        (json!({"kind": "secret", "label": "x"}), "/dataset_id"),
        (
            json!({"kind": "secret", "label": "x", "dataset_id": "7"}),
            "/dataset_id",
        ),
        (
            json!({"kind": "admin", "label": "x", "dataset_id": DATASET_ID}),
            "/dataset_id",
        ),
        (
            json!({"kind": "viewer", "label": "x", "event_names": ["Lead"]}),
            "/event_names",
        ),
        (json!({"kind": "root", "label": "x"}), "/kind"),
        (json!({"kind": "viewer", "label": "a\nb"}), "/label"),
    ] {
        let answer = send(&world, Method::POST, "keys", order.clone()).await;
        assert_eq!(
            (answer.status, pointers(&answer)),
            (422, vec![pointer]),
            "{order}"
        );
    }
    assert_eq!(get(&world, "datasets").await.json, before);
    assert_eq!(world.database.value("SELECT count(*) FROM admin_log").await, "0");
    assert_eq!(get(&world, "datasets/7").await.status, 404);
    assert_eq!(
        send(&world, Method::DELETE, "keys/7000", json!({})).await.status,
        404
    );
    assert_eq!(
        send(&world, Method::PATCH, "datasets", json!({})).await.status,
        405
    );
}

#[tokio::test]
async fn only_an_admin_key_administers_and_a_viewer_sends_nothing() {
    let world = start().await;
    let url = world.conversions_url().replace("meta/conversions", "admin/keys");
    let viewer = send(
        &world,
        Method::POST,
        "keys",
        json!({"kind": "viewer", "label": "painel"}),
    )
    .await;
    let viewer = viewer.json["api_key"].as_str().unwrap();
    eventually("the new key is known", || async {
        (event_with(&world, viewer, "a").await == 403).then_some(())
    })
    .await;
    for (key, status) in [
        (Key::Secret.as_str(), 403),
        (Key::Publishable.as_str(), 403),
        (viewer, 403),
        ("ak_wrong", 401),
    ] {
        assert_eq!(
            World::answer(world.client.get(&url).bearer_auth(key))
                .await
                .status,
            status
        );
    }
}

/// Runs the program against the world's database, and returns whether it succeeded, and what it said.
fn run(world: &World, arguments: &[&str], input: &str) -> (bool, String) {
    let config = world.database.config();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ingest-gateway"))
        .args(arguments)
        .env("RASTRO__DATABASE__URL", config.url.expose_secret())
        .env(
            "RASTRO__DATABASE__SEALING_KEY",
            config.sealing_key.expose_secret(),
        )
        .env("RASTRO__GRAPH_API__URL", world.sandbox.url())
        .env("USER", "carla")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may have ended.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_do_the_same_and_log_who_typed_them() {
    let world = start().await;
    let (done, said) = run(
        &world,
        &["dataset", "token", DATASET_ID],
        &format!("{ACCESS_TOKEN}\n"),
    );
    assert!(done && said.contains("opens it"), "{said}");
    let (done, said) = run(&world, &["dataset", "token", DATASET_ID], "EAAwrong");
    assert!(
        !done && said.contains("--access-token was refused by Meta") && !said.contains("EAAwrong"),
        "{said}"
    );
    let set = [
        "dataset",
        "set",
        DATASET_ID,
        "--name",
        "Clínica",
        "--lead-events=lost=Perdido",
        "--lead-value=predicted",
        "--lead-value-minimum-orders",
        "50",
        "--as",
        "ana",
    ];
    let (done, said) = run(&world, &set, "");
    assert!(done && said.contains("Clínica"), "{said}");
    let (done, said) = run(
        &world,
        &[
            "dataset",
            "set",
            DATASET_ID,
            "--colour",
            "red",
            "--time-zone",
            "X",
        ],
        "",
    );
    assert!(
        !done && said.contains("--colour is not known") && said.contains("--time-zone"),
        "{said}"
    );
    let (done, said) = run(&world, &["dataset", "list"], "");
    assert!(
        done && said.starts_with("DATASET") && said.contains(DATASET_ID),
        "{said}"
    );
    let (done, said) = run(&world, &["dataset", "show", DATASET_ID, "--json"], "");
    let shown: Value = serde_json::from_str(&said).unwrap();
    assert!(
        done && shown["lead_events"] == json!({"lost": "Perdido"}),
        "{said}"
    );
    assert_eq!(
        (&shown["lead_value"], &shown["lead_value_minimum_orders"]),
        (&json!("predicted"), &json!(50))
    );

    let create = [
        "key",
        "create",
        "--kind",
        "secret",
        "--label",
        "x",
        "--dataset-id",
        DATASET_ID,
    ];
    let (done, key) = run(&world, &create, "");
    assert!(done, "{key}");
    eventually("the new key opens", || async {
        (event_with(&world, key.trim(), "a").await == 202).then_some(())
    })
    .await;
    let (_, listed) = run(&world, &["key", "list", "--dataset-id", DATASET_ID], "");
    let line = listed.lines().find(|line| line.contains("sk_...")).unwrap();
    assert!(!listed.contains(key.trim()), "a key is shown once");
    let number = line.split_whitespace().next().unwrap();
    assert!(run(&world, &["key", "revoke", number], "").0);
    eventually("the key opens nothing", || async {
        (event_with(&world, key.trim(), "a").await == 401).then_some(())
    })
    .await;
    assert!(run(&world, &["dataset", "retire", DATASET_ID], "").0);
    assert!(!run(&world, &["dataset", "retire", "7"], "").0);
    let told = "SELECT string_agg(who || ' ' || action, ', ' ORDER BY entry_id) FROM admin_log";
    assert_eq!(
        world.database.value(told).await,
        "carla dataset.token, ana dataset.change, carla key.create, carla key.revoke, carla dataset.retire"
    );
    let (done, said) = run(&world, &["log"], "");
    assert!(done && said.contains("dataset.retire"), "{said}");
    assert!(!run(&world, &["dataset"], "").0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_due_before_a_restore_is_set_aside_by_command() {
    let world = start().await;
    for id in ["a", "b"] {
        assert_eq!(event_with(&world, Key::Secret.as_str(), id).await, 202);
    }
    let (done, said) = run(&world, &["set-aside", DATASET_ID], "");
    assert!(!done && said.contains("--received-before is required"), "{said}");
    let wrong = [
        "set-aside",
        DATASET_ID,
        "--received-before=2999-01-01T00:00:00Z",
        "--colour=red",
    ];
    let (done, said) = run(&world, &wrong, "");
    assert!(
        !done && said.contains("--received-before must be a time that is over") && said.contains("--colour"),
        "{said}"
    );
    let now = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
    let now = world.database.value(now).await;
    let order = ["set-aside", DATASET_ID, "--received-before", &now, "--as", "bia"];
    let (done, said) = run(&world, &[&order[..], &["--dry-run"]].concat(), "");
    assert!(
        done && said.starts_with("2 events") && said.contains("would be set aside"),
        "{said}"
    );
    assert_eq!(world.census().await.ready, 2);
    let (done, said) = run(&world, &order, "");
    assert!(
        done && said.contains("were set aside: 2 ready, 0 waiting"),
        "{said}"
    );
    let census = world.census().await;
    assert_eq!((census.ready, census.dead), (0, 2));
    let (done, said) = run(&world, &["log"], "");
    assert!(
        done && said.contains("events.set_aside") && said.contains("bia"),
        "{said}"
    );
    // Two rows of an event, in the order in which they were written.
    let story =
        "SELECT string_agg(outcome, ' ' ORDER BY created_at) FROM meta_events_log WHERE event_id = 'a'";
    assert_eq!(world.database.value(story).await, "accepted set_aside");
    assert!(!run(&world, &["dataset", "list", "--dry-run"], "").0);
}
