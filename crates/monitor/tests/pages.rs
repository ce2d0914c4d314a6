//! Every page in a real Chromium, over thirty days of invented history: see `web/check.mjs` for what is
//! looked at.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::process::{Command, Stdio};

use monitor::config::Config;
use monitor::dashboard::Dashboard;
use rastro_service::clock::Clock;
use rastro_service::config::ExposeSecret as _;
use rastro_service::shutdown::Shutdown;
use rastro_store::{Dataset, DatasetSettings, KeyOrder, KeyRole, Store};
use rastro_test_support::TestDatabase;

/// What `make demo` fills its dashboard with.
const HISTORY: &str = include_str!("../../lab/src/demo/services/history.sql");
const DATASETS: [(i64, &str, i64); 3] = [
    (111_111_111_111_111, "Loja Aurora", 1400),
    (222_222_222_222_222, "Clínica Vale", 300),
    (333_333_333_333_333, "Curso Norte", 120),
];

async fn filled() -> TestDatabase {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    store.create_partitions_ahead(2).await.unwrap();
    let mut rows = Vec::new();
    for (place, (id, name, weight)) in (1..).zip(DATASETS) {
        let settings = DatasetSettings {
            name: name.into(),
            ..Default::default()
        };
        let dataset = Dataset {
            id: id.try_into().unwrap(),
            settings,
            access_token: "EAAtest0token".to_owned().into(),
        };
        store.put_dataset(&dataset).await.unwrap();
        rows.push(format!("({id}::bigint, {place}, {weight}::numeric)"));
    }
    let rows = rows.join(", ");
    database
        .execute(&format!(
            "BEGIN;
             CREATE TEMP TABLE demo_datasets ON COMMIT DROP AS SELECT * FROM (VALUES {rows}) AS d (dataset_id, place, weight);
             {HISTORY}
             COMMIT"
        ))
        .await;
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods, reason = "`make test` says here where Node.js is")]
async fn every_page_is_accessible_in_light_and_dark_on_a_desk_and_on_a_phone() {
    let node = std::env::var("RASTRO_TEST_NODE")
        .expect("RASTRO_TEST_NODE must name a Node.js: run through `make test`");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = filled().await;
    let mut config: Config = rastro_boot::testing::config(&[]).unwrap();
    config.common.database = database.config();
    config.dashboard.listen = ([127, 0, 0, 1], 0).into();
    let listening = Dashboard::new(&config, Clock::system())
        .unwrap()
        .listen(Shutdown::new())
        .unwrap();
    let store = Store::new(&database.config(), "test").unwrap();
    let order = KeyOrder {
        role: KeyRole::Admin,
        dataset_id: None,
        label: "test".into(),
        event_names: None,
    };
    let (_, key) = store.issue_api_key(&order, "test").await.unwrap().unwrap();
    let mut check = Command::new(node);
    check
        .arg("check.mjs")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/web"))
        .env("DASHBOARD_URL", format!("http://{}", listening.address()))
        .env("DASHBOARD_KEY", key.expose_secret())
        .stdin(Stdio::null());
    let check = tokio::task::spawn_blocking(move || check.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stdout);
    let problems = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "{problems}\n{said}");
    // Each page in each shape: it was looked at, and not passed over.
    let shapes = 5;
    let pages = include_str!("../web/check.mjs").matches("{ name: '").count();
    assert!(pages >= 15, "{pages}");
    assert_eq!(said.matches(" 0 violations").count(), pages * shapes, "{said}");
    for what in ["in grey", "by keyboard", "the same text"] {
        assert!(said.contains(what), "{what}: {said}");
    }
    listening.stop().await.unwrap();
}
