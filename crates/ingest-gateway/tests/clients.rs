//! Clients that exist, unmodified but for the host, against the gateway. proto-docs/clients.md lists them.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod clients_support;

use std::process::Command;

use clients_support::{CLIENTS, EMAIL_SHA256, interpreter, run};
use rastro_test_support::World;
use serde_json::{Value, json};

/// printf 5511912345678 | sha256sum
const PHONE_SHA256: &str = "eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704";

/// What both of Meta's SDKs must have made of it: a batch of 20, the same again, 5 at once, and four
/// refusals.
async fn check(world: &World, seen: &Value, prefix: &str) {
    for name in ["batch", "again"] {
        let answer = &seen[name];
        assert_eq!(
            (&answer["events_received"], &answer["messages"]),
            (&json!(20), &json!([])),
            "{seen}"
        );
    }
    assert_eq!(seen["async"], json!([1, 1, 1, 1, 1]));
    for (name, status, code, subcode) in [
        ("too_old", 400, 100, json!(2_804_003)),
        ("other_dataset", 400, 100, json!(33)),
        ("wrong_key", 401, 190, Value::Null),
    ] {
        let answer = &seen[name];
        assert_eq!(
            (&answer["status"], &answer["code"], &answer["subcode"]),
            (&json!(status), &json!(code), &subcode),
            "{name} {seen}"
        );
    }
    let trace = seen["batch"]["trace"].as_str().unwrap();
    let logged = format!("SELECT count(*) FROM meta_events_log WHERE request_id = '{trace}'");
    assert_eq!(world.database.value(&logged).await, "20");
    let census = world.census().await;
    assert_eq!((census.accepted, census.duplicates), (25, 20));
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads
        .iter()
        .find(|(id, _)| *id == format!("{prefix}-0"))
        .unwrap();
    let payload: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(payload["user_data"]["em"], EMAIL_SHA256);
    assert_eq!(payload["user_data"]["ph"], PHONE_SHA256);
    assert_eq!(payload["custom_data"]["currency"], "BRL");
}

#[tokio::test]
async fn metas_python_sdk_sends_batches_and_at_once() {
    let world = World::start().await;
    let mut client = Command::new(interpreter("RASTRO_TEST_PYTHON"));
    client.args(["-I", &format!("{CLIENTS}/python.py")]);
    let seen = run(&world, client).await;
    check(&world, &seen, "py").await;
}

#[tokio::test]
async fn metas_node_sdk_sends_batches_and_at_once() {
    let world = World::start().await;
    let mut client = Command::new(interpreter("RASTRO_TEST_NODE"));
    client.arg(format!("{CLIENTS}/node/client.js"));
    let seen = run(&world, client).await;
    check(&world, &seen, "node").await;
}
