//! What `make bench` sends through the other ways in is what a gateway takes, and a browser can be asked what
//! the script costs it.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_lab::bench::doors::{everything, templates};
use rastro_lab::sample::lead;
use rastro_service::clock::Clock;
use rastro_test_support::http::Connection;
use rastro_test_support::process::Process;
use rastro_test_support::{Key, World};
use serde_json::Value;

#[expect(
    clippy::disallowed_methods,
    reason = "`make test` says here which interpreter runs the script"
)]
fn node() -> String {
    std::env::var("RASTRO_TEST_NODE").expect("RASTRO_TEST_NODE must be set: run through `make test`")
}

#[tokio::test]
async fn every_way_in_that_is_measured_takes_what_is_sent_there() {
    let world = World::start().await;
    let gateway = Process::gateway(&world.database, &[]);
    let address = gateway.address_after("\"listening on ").await;
    let event = lead("doors", Clock::system().now());
    let keys = (Key::Secret.as_str(), Key::Publishable.as_str());
    let doors = templates(&event, keys.0, keys.1);
    let all = ("everything", everything(&event, keys.1));
    for (number, (name, template)) in doors.into_iter().chain([all]).enumerate() {
        let mut connection = Connection::open(address.parse().unwrap()).await.unwrap();
        let request = template.filled(number as u64).unwrap();
        let answer = connection.exchange(request.as_bytes()).await.unwrap();
        let said = String::from_utf8_lossy(answer.body);
        assert_eq!(answer.status, 202, "{name}: {said}");
    }
    assert_eq!(world.census().await.accepted, 7);
    for (table, rows) in [
        ("leads", "2"),
        ("purchases", "1"),
        ("idempotency_keys", "2"),
        ("touchpoints", "1"),
    ] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(world.database.value(&count).await, rows, "{table}");
    }

    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../ingest-gateway/web/tests/support/track-time.mjs"
    );
    let mut measuring = std::process::Command::new(node());
    measuring.args([script, &format!("http://{address}"), Key::Publishable.as_str()]);
    let output = tokio::task::spawn_blocking(move || measuring.output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    // `{}` where there is no browser.
    if found != serde_json::json!({}) {
        assert!(found["calls"] == 200 && found["median_ms"].is_number(), "{found}");
        let views = "SELECT count(*) FROM events WHERE event_name = 'ViewContent'";
        assert_eq!(world.database.value(views).await, "200");
    }
}
