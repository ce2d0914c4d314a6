//! Runs a client of Meta's API, in another language, against a world's gateway.

#![allow(dead_code, reason = "not every test that uses this uses all of it")]

use std::process::Command;

use rastro_test_support::{DATASET_ID, Key, World};
use serde_json::Value;

/// printf ana.souza@example.com | sha256sum
pub(crate) const EMAIL_SHA256: &str = "7fd726011aa08d90d14a923ea0e5e3edf63bfe14b51ee6f6429483118d197c9b";
/// Where the clients are.
pub(crate) const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

#[expect(
    clippy::disallowed_methods,
    reason = "`make test` says here which interpreters have the clients"
)]
pub(crate) fn interpreter(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} must be set: run through `make test`"))
}

/// Runs a client, and returns what it printed.
pub(crate) async fn run(world: &World, mut client: Command) -> Value {
    let url = world.conversions_url();
    let (url, _) = url.split_once("/api/").unwrap();
    client
        .args([url, DATASET_ID, Key::Secret.as_str()])
        .env("no_proxy", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || client.output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
