//! What must hold in every browser, in Firefox and WebKit (`make test-browsers`): `web/tests/engines`.
#![cfg(feature = "all-browsers")]
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod clients_support;
mod pages_support;

#[tokio::test]
async fn firefox_and_webkit_lose_nothing_either() {
    // Node.js 20 has the client of Firefox's protocol behind a switch.
    let more = [
        ("RASTRO_ENGINES", "all"),
        ("NODE_OPTIONS", "--experimental-websocket"),
    ];
    pages_support::run("tests/engines/engines.test.js", &more).await;
}
