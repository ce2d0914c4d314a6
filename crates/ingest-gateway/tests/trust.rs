//! What a key that everyone can read may do, and what keys may do that this version does not know.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_store::{ApiKeyKind, NewApiKey};
use rastro_test_support::events::{lead, purchase};
use rastro_test_support::process::Process;
use rastro_test_support::{Answer, DATASET_ID, Key, TestDatabase, World, eventually};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Where the answer says that something is wrong.
fn pointers(json: &Value) -> Vec<&str> {
    let errors = json["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

fn batch(events: &[Value]) -> Value {
    json!({ "events": events })
}

#[tokio::test]
async fn a_publishable_key_cannot_claim_an_order() {
    let world = World::start().await;
    let order = purchase("order-1043", world.now());
    let refused = world.post(Key::Publishable, &order).await;
    assert_eq!(
        (refused.status, &refused.json["type"], pointers(&refused.json)),
        (403, &json!("urn:rastro:problem:forbidden"), vec!["/event_name"])
    );
    let mixed = batch(&[lead("a", world.now()), order.clone()]);
    let answer = world.post(Key::Publishable, &mixed).await;
    assert_eq!(
        (answer.status, &answer.json["accepted"]),
        (200, &json!(1)),
        "{answer:?}"
    );
    let results = &answer.json["results"];
    assert_eq!(results[1]["status"], "rejected");
    assert_eq!(pointers(&results[1]), ["/events/1/event_name"]);

    // The business's own server can: nobody was there before it.
    assert_eq!(world.post(Key::Secret, &order).await.status, 202);
    assert_eq!(world.census().await.accepted, 2);
}

#[tokio::test]
async fn a_key_with_a_list_of_its_own_sends_what_is_on_it() {
    let world = World::start().await;
    let key = "pk_with_a_list_of_its_own";
    let names = ["Purchase".to_owned()];
    let new = NewApiKey {
        hash: Sha256::digest(key).into(),
        kind: ApiKeyKind::Publishable,
        label: "till",
        event_names: Some(&names),
    };
    world
        .store
        .create_api_key(&new, DATASET_ID.parse().unwrap())
        .await
        .unwrap();
    let post = async |event: &Value| -> Answer {
        World::answer(
            world
                .client
                .post(world.conversions_url())
                .bearer_auth(key)
                .json(event),
        )
        .await
    };
    eventually("the gateway knows the key", || async {
        (post(&json!({})).await.status != 401).then_some(())
    })
    .await;
    let mut order = purchase("order-1", world.now());
    assert_eq!(post(&order).await.status, 202);
    order["action_source"] = json!("physical_store");
    let refused = post(&order).await;
    assert_eq!(
        (refused.status, pointers(&refused.json)),
        (403, vec!["/action_source"])
    );
    assert_eq!(post(&lead("a", world.now())).await.status, 403);
}

#[tokio::test]
async fn what_only_a_server_can_know_is_not_a_pages_to_say() {
    let world = World::start().await;
    // A dataset without a Page is refused for a message, and a lead of Meta's own that there is not too.
    let mut message = lead("message", world.now());
    message["event_name"] = json!("ViewContent");
    message["action_source"] = json!("business_messaging");
    message["messaging_channel"] = json!("whatsapp");
    message["user_data"] = json!({ "ctwa_clid": "ARinvented", "page_id": "1" });
    let refused = world.post(Key::Publishable, &message).await;
    assert_eq!(
        (refused.status, pointers(&refused.json)),
        (403, vec!["/action_source"]),
        "{refused:?}"
    );
    for path in ["leads/capture", "purchases/record"] {
        let mut event = message.clone();
        event["event_name"] = json!("Purchase");
        let body = json!({
            "lead": { "email": "ana@example.com" }, "event": event,
            "purchase": { "order_id": "o-1", "value": 5, "currency": "BRL", "status": "pending" },
        });
        let mut body = body.as_object().unwrap().clone();
        body.remove(if path.starts_with("leads") {
            "purchase"
        } else {
            "lead"
        });
        if path.starts_with("leads") {
            body["event"]["event_name"] = json!("Lead");
            body["event"]["action_source"] = json!("phone_call");
        }
        let url = world.conversions_url().replace("meta/conversions", path);
        let request = world.client.post(url).bearer_auth(Key::Publishable.as_str());
        let refused = World::answer(request.json(&body)).await;
        assert_eq!(
            (refused.status, pointers(&refused.json)),
            (403, vec!["/event/action_source"]),
            "{refused:?}"
        );
    }
    assert_eq!(world.census().await.accepted, 0);

    // On a page's own event what only a server knows is left out, and the event stays.
    let mut event = lead("page", world.now());
    event["messaging_channel"] = json!("whatsapp");
    event["user_data"]["lead_id"] = json!("123456789012345");
    event["user_data"]["page_id"] = json!("1");
    let answer = world.post(Key::Publishable, &event).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let warned: Vec<&str> = answer.json["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["pointer"].as_str().unwrap())
        .collect();
    for pointer in ["/messaging_channel", "/user_data/lead_id", "/user_data/page_id"] {
        assert!(warned.contains(&pointer), "{warned:?}");
    }
    let stored = "SELECT payload FROM events";
    let payload = world.database.value(stored).await;
    assert!(
        !payload.contains("lead_id") && !payload.contains("whatsapp") && !payload.contains("page_id"),
        "{payload}"
    );
    // A server knows.
    message["event_id"] = json!("by-server");
    event["event_id"] = json!("by-server");
    for event in [&message, &event] {
        assert_eq!(world.post(Key::Secret, event).await.status, 202);
    }
}

#[tokio::test]
async fn a_publishable_key_brings_no_test_codes_of_its_own() {
    let world = World::start().await;
    let mut event = lead("a", world.now());
    event["test_event_code"] = json!("TEST12345");
    let mut events = batch(&[lead("a", world.now())]);
    events["test_event_code"] = json!("TEST12345");
    for body in [&event, &events] {
        let refused = world.post(Key::Publishable, body).await;
        assert_eq!(
            (refused.status, pointers(&refused.json)),
            (403, vec!["/test_event_code"])
        );
    }
    assert_eq!(world.census().await.accepted, 0);
    assert_eq!(world.post(Key::Secret, &event).await.status, 202);
}

#[tokio::test]
async fn what_a_publishable_key_sends_at_once_is_small() {
    let world = World::start().await;
    // Two events, padded to a body of this size.
    let of_size = |bytes: usize| {
        let padded = |id: &str, length: usize| {
            let mut event = lead(id, world.now());
            event["custom_data"]["padding"] = json!("x".repeat(length));
            event
        };
        let body = |length: usize| batch(&[padded("a", 30_000), padded("b", length)]);
        let length = bytes - body(0).to_string().len();
        body(length)
    };
    let (small, large) = (of_size(65_536), of_size(65_537));
    assert_eq!(
        (small.to_string().len(), large.to_string().len()),
        (65_536, 65_537)
    );
    assert_eq!(world.post(Key::Publishable, &large).await.status, 413);
    let answer = world.post(Key::Publishable, &small).await;
    assert_eq!(
        (answer.status, &answer.json["accepted"]),
        (200, &json!(2)),
        "{answer:?}"
    );
    let answer = world.post(Key::Secret, &large).await;
    assert_eq!(
        (answer.status, &answer.json["duplicate"]),
        (200, &json!(2)),
        "{answer:?}"
    );

    // More than the default lets a publishable key send in a second; of a secret key nothing is asked.
    let many: Vec<_> = (0..101)
        .map(|n| {
            let mut event = lead(&format!("{n}"), world.now());
            event["user_data"] = json!({"em": "ana@example.com", "client_user_agent": "x"});
            event
        })
        .collect();
    assert_eq!(world.post(Key::Publishable, &batch(&many)).await.status, 413);
    assert_eq!(world.post(Key::Secret, &batch(&many)).await.status, 200);
}

#[tokio::test]
async fn a_key_of_a_later_version_costs_the_others_nothing() {
    // An error means that an earlier test of this process did so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = TestDatabase::create().await;
    database.execute("SELECT create_day_partitions(7)").await;
    database
        .execute(
            "ALTER TABLE api_keys DROP CONSTRAINT api_keys_kind_check, DROP CONSTRAINT api_keys_scope;
             INSERT INTO api_keys (key_hash, kind, label) VALUES
                (sha256('ro_of_a_later_version_1'), 'read', 'dashboard'),
                (sha256('ro_of_a_later_version_2'), 'read', 'dashboard')",
        )
        .await;
    let gateway = Process::gateway(&database, &[("RASTRO__GATEWAY__KEY_REFRESH_SECONDS", "1")]);
    let url = gateway.conversions_url().await;
    let post = async |key: &str| {
        let event = lead("a", now(&database).await);
        let client = reqwest::Client::new();
        World::answer(client.post(&url).bearer_auth(key).json(&event))
            .await
            .status
    };
    assert_eq!(post(Key::Secret.as_str()).await, 202);
    assert_eq!(post("ro_of_a_later_version_1").await, 401);

    let health = gateway.address_after("health endpoint listens on ").await;
    let metrics = reqwest::get(format!("http://{health}/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("\nrastro_ingest_skipped_keys 2\n"), "{metrics}");
    let said = gateway.logged("not understood by this version").await;
    assert!(said.contains("\"ERROR\"") && said.contains("read"), "{said}");
    // A key that nobody knows makes it read them again.
    assert_eq!(post("sk_nobody_knows").await, 401);
    let log = gateway.log();
    let said = log
        .iter()
        .filter(|line| line.contains("not understood by this version"));
    assert_eq!(said.count(), 1, "said once, not at every reading");
}

/// The database's clock, in seconds since 1970.
async fn now(database: &TestDatabase) -> i64 {
    let now = database
        .value("SELECT extract(epoch FROM now())::bigint::text")
        .await;
    now.parse().unwrap()
}
