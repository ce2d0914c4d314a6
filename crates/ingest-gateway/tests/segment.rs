//! Segment's Facebook destination against the gateway. Its packages are 102 MB: `make test-clients` installs
//! them and runs this.
#![cfg(feature = "heavy-clients")]
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod clients_support;

use std::process::Command;

use clients_support::{CLIENTS, EMAIL_SHA256, interpreter, run};
use rastro_test_support::{DATASET_ID, World};
use serde_json::{Value, json};

#[tokio::test]
async fn segments_facebook_destination_delivers() {
    let world = World::start().await;
    let mut client = Command::new(interpreter("RASTRO_TEST_NODE"));
    client.arg(format!("{CLIENTS}/segment/client.js"));
    let seen = run(&world, client).await;
    assert_eq!(seen["statuses"], json!([200, 200, 200]), "{seen}");
    let path = seen["asked"][0]["path"].as_str().unwrap();
    assert!(path.ends_with(&format!("/{DATASET_ID}/events")), "{seen}");
    let payloads = world.database.payloads().await;
    assert_eq!(payloads.len(), 3);
    for (id, payload) in payloads {
        let payload: Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(payload["user_data"]["em"], EMAIL_SHA256, "{id}");
    }
}
