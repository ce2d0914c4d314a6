//! What every service's program says of an installation that is not right, and whether it ends or waits: the
//! table in `proto-docs/operation.md`, for all of them.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_store::{Dataset, DatasetSettings, Store};
use rastro_test_support::process::{Process, Program, beside};
use rastro_test_support::{TestDatabase, eventually, http};

/// Programs with what they are told to do.
const SERVICES: [(&str, &[&str]); 5] = [
    ("ingest-gateway", &[]),
    ("capi-forwarder", &[]),
    ("retry-worker", &[]),
    ("attribution", &[]),
    ("monitor", &["dashboard"]),
];
/// `openssl rand -base64 32`, twice.
const KEY: &str = "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=";
const OTHER_KEY: &str = "Zp0dqZJmVtEo4m6N1yJ3rP0mH1aZc2J8b2o9rXlYk1s=";

fn program((name, arguments): (&str, &[&str])) -> Program {
    Program::new(&beside(), name).arguments(arguments).with(&[
        ("RASTRO__HEALTH__LISTEN", "127.0.0.1:0"),
        ("RASTRO__TELEMETRY__LOG_FORMAT", "json"),
        match name {
            "ingest-gateway" => ("RASTRO__GATEWAY__LISTEN", "127.0.0.1:0"),
            "monitor" => ("RASTRO__DASHBOARD__LISTEN", "127.0.0.1:0"),
            _ => ("RASTRO__DATABASE__CONNECT_TIMEOUT_SECONDS", "2"),
        },
    ])
}

fn over(service: (&str, &[&str]), database: &TestDatabase, key: &str) -> Program {
    program(service).with(&[
        ("RASTRO__DATABASE__URL", database.url()),
        ("RASTRO__DATABASE__SEALING_KEYS", key),
    ])
}

/// It ends with a failure, and one line says all of these.
async fn refuses(program: Program, says: &[&str]) {
    let name = program.path().display().to_string();
    let (status, log) = program.start().unwrap().ended().await.unwrap();
    assert!(!status.success(), "{name} ended well: {log:?}");
    let is_said = |line: &String| says.iter().all(|text| line.contains(text));
    assert!(log.iter().any(is_said), "{name} says not {says:?}: {log:?}");
}

/// What `/readyz` answers.
async fn ready(process: &Process) -> (u16, String) {
    let address = process.address_after("health endpoint listens on ").await;
    http::get(address.parse().unwrap(), "/readyz").await.unwrap()
}

async fn becomes_ready(name: &str, process: &Process) {
    let is_ready = async || (ready(process).await.0 == 200).then_some(());
    eventually(&format!("{name} is ready"), is_ready).await;
}

/// All of them wait, not ready, each with a line in its log and at `/readyz` that says this; and go on once
/// it is mended.
async fn wait_and_go_on(database: &TestDatabase, says: &str, mend: impl AsyncFnOnce()) {
    let waiting = SERVICES.map(|service| (service.0, over(service, database, KEY).start().unwrap()));
    for (name, process) in &waiting {
        let (status, body) = ready(process).await;
        assert!(status == 503 && body.contains(says), "{name}: {status} {body}");
        process.logged(says).await;
    }
    refuses(over(("monitor", &["check"]), database, KEY), &[says]).await;
    mend().await;
    for (name, process) in waiting {
        becomes_ready(name, &process).await;
        process.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waiting_cannot_mend_ends_every_service_with_a_line_that_names_it() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let dataset = Dataset {
        id: "123456789012345".parse().unwrap(),
        settings: DatasetSettings::default(),
        access_token: "EAAtest0token".to_owned().into(),
    };
    store.put_dataset(&dataset).await.unwrap();
    for service in SERVICES.into_iter().chain([("monitor", ["check"].as_slice())]) {
        let no_file = ("RASTRO__DATABASE__URL_FILE", "/run/secrets/not-there");
        refuses(program(service).with(&[no_file]), &[no_file.0, no_file.1]).await;
        refuses(program(service), &["RASTRO__DATABASE__URL"]).await;
        let no_key = program(service).with(&[("RASTRO__DATABASE__URL", database.url())]);
        refuses(no_key, &["RASTRO__DATABASE__SEALING_KEYS"]).await;
        let misspelt = ("RASTRO__DATABASE__SCHEMAA", "public");
        refuses(over(service, &database, KEY).with(&[misspelt]), &[misspelt.0]).await;
        refuses(over(service, &database, "c2hvcnQ="), &["32 bytes in base64"]).await;
        let says = ["the configured sealing keys open none", "database.sealing_keys"];
        refuses(over(service, &database, OTHER_KEY), &says).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_too_old_is_waited_for_and_a_newer_one_is_fine() {
    let database = TestDatabase::create_empty().await;
    let says = "the schema is older than this program; run `ingest-gateway migrate`";
    wait_and_go_on(&database, says, async || {
        let migrating = over(("ingest-gateway", &["migrate"]), &database, KEY)
            .start()
            .unwrap();
        let (status, log) = migrating.ended().await.unwrap();
        assert!(status.success(), "{log:?}");
    })
    .await;
    database
        .execute("INSERT INTO __diesel_schema_migrations (version, run_on) VALUES ('20991231235959', now())")
        .await;
    for service in SERVICES {
        let process = over(service, &database, KEY).start().unwrap();
        becomes_ready(service.0, &process).await;
        process.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_is_waited_for() {
    let database = TestDatabase::create().await;
    let read_only = |to: &str| {
        format!(
            "ALTER DATABASE {} SET default_transaction_read_only = {to}",
            database.name()
        )
    };
    database.execute(&read_only("on")).await;
    wait_and_go_on(&database, "the database takes no writes", async || {
        // From beside it: in it nobody may write.
        let beside = database.url().replace(database.name(), "postgres");
        let (client, connection) = tokio_postgres::connect(&beside, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client.batch_execute(&read_only("off")).await.unwrap();
        let ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        database.execute(ours).await;
    })
    .await;
}
