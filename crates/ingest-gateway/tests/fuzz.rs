//! The API as its OpenAPI document describes it, against what a fuzzer makes of that: no answer is a 500, and
//! none is one that the document does not know. On the public listener with a dataset's key, on the private
//! one with an admin key.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::path::{Path, PathBuf};
use std::process::Command;

use rastro_sandbox::{Sandbox, SandboxConfig};
use rastro_store::Store;
use rastro_test_support::process::Process;
use rastro_test_support::{ACCESS_TOKEN, DATASET_ID, Key, TestDatabase};
use sha2::{Digest, Sha256};

const ADMIN_KEY: &str = "ak_0123456789abcdef0123456789abcdef";
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// Of each operation, in each way of making them up.
const EXAMPLES: &str = "25";

/// The fuzzer beside the interpreter that `make test` prepares.
#[expect(
    clippy::disallowed_methods,
    reason = "`make test` says here which interpreter has the fuzzer"
)]
fn fuzzer() -> PathBuf {
    let python = std::env::var("RASTRO_TEST_PYTHON")
        .expect("RASTRO_TEST_PYTHON must name a Python that has schemathesis: run through `make test`");
    Path::new(&python).with_file_name("st")
}

/// The dataset and the key that operations are tried on: what is made up exists nowhere, and the admin key
/// must not be revoked.
fn known() -> String {
    format!("[parameters]\n\"path.dataset_id\" = \"{DATASET_ID}\"\n\"path.key_id\" = 1\n")
}

/// Fuzzes the operations of these tags, some twenty seconds, and makes sure that the key opened the door.
fn fuzz_behind_the_door(document: &Path, url: &str, key: &str, tags: &[&str]) {
    let said = fuzz(document, url, key, tags);
    assert!(!said.contains("Authentication failed"), "{said}");
}

/// Fuzzes the operations of these tags; returns what was said of it.
fn fuzz(document: &Path, url: &str, key: &str, tags: &[&str]) -> String {
    let folder = document.parent().unwrap();
    std::fs::write(folder.join("schemathesis.toml"), known()).unwrap();
    let mut command = Command::new(fuzzer());
    command.arg("run").arg(document).args(["--url", url]);
    command.args(["--max-examples", EXAMPLES, "--max-time", "20"]);
    // What a well-formed request is refused for, no document can say: an order that is there, a token that
    // Meta refuses.
    command.args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"]);
    // A key in the query that differs from the header's is refused before anything is looked at.
    command.args([
        "--generation-deterministic",
        "--generation-with-security-parameters",
        "false",
    ]);
    command.args(["--continue-on-failure", "--no-color", "--no-shrink"]);
    command
        .arg(format!("--header=Authorization: Bearer {key}"))
        .current_dir(folder);
    for tag in tags {
        command.args(["--include-tag", tag]);
    }
    let output = command.output().expect("the fuzzer starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("passed"), "{said}");
    said.into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_a_500_or_outside_of_the_document() {
    let database = TestDatabase::create().await;
    let sandbox = Sandbox::start(SandboxConfig::default().with_token(DATASET_ID, ACCESS_TOKEN))
        .await
        .unwrap();
    let gateway = Process::gateway(&database, &[("RASTRO__GRAPH_API__URL", &sandbox.url())]);
    let public = gateway
        .conversions_url()
        .await
        .replace("/api/meta/conversions", "");
    let private = format!(
        "http://{}",
        gateway.address_after("health endpoint listens on ").await
    );
    let store = Store::new(&database.config(), "test").unwrap();
    store
        .put_admin_key(Sha256::digest(ADMIN_KEY).into(), "fuzzer")
        .await
        .unwrap();

    let folder = std::env::temp_dir().join(format!("rastro-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let document = folder.join("openapi.yaml");
    std::fs::write(&document, ingest_gateway::openapi::document().unwrap()).unwrap();
    fuzz_behind_the_door(&document, &public, Key::Secret.as_str(), &["events", "business"]);
    // Meta's edge takes keys in the body, too, and those that are made up there open nothing: `graph.rs` goes
    // further.
    fuzz(&document, &public, Key::Secret.as_str(), &["drop-in"]);
    fuzz_behind_the_door(
        &document,
        &private,
        ADMIN_KEY,
        &["administration", "people", "operators"],
    );
    std::fs::remove_dir_all(&folder).unwrap();
}
