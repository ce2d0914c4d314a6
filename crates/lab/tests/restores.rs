//! What `proto-docs/operation.md` tells an operator to type: dump and restore, and the way back from a
//! migration. The commands are taken from there and run as they stand.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rastro_lab::books;
use rastro_sandbox::{EventFilter, Fault, FaultKind, Sandbox, SandboxConfig};
use rastro_service::clock::Clock;
use rastro_test_support::cluster::{Cluster, checkout};
use rastro_test_support::process::{Process, Program};
use rastro_test_support::services::{Seed, Services};
use rastro_test_support::{TestDatabase, eventually, http};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio_postgres::Client;

const KEY: &str = "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=";
const SEED: Seed<'_> = Seed {
    dataset_id: "123456789012345",
    access_token: "EAArestores0token",
    secret_key: "sk_0123456789abcdef0123456789abcdef",
    publishable_key: "pk_0123456789abcdef0123456789abcdef",
};
/// printf ana.souza@example.com | sha256sum
const ANA: &str = "7fd726011aa08d90d14a923ea0e5e3edf63bfe14b51ee6f6429483118d197c9b";
/// printf bob@example.com | sha256sum
const BOB: &str = "5ff860bf1190596c7188ab851db691f0f3169c453936e9e1eba2f9a47f7a0018";

/// The folder of psql, `pg_dump` and `pg_restore`, or none: the test then says that it is skipped.
#[expect(
    clippy::disallowed_methods,
    reason = "where programs are, and whether this is CI, are facts of the environment"
)]
fn programs() -> Option<PathBuf> {
    let named = Command::new("pg_config").arg("--bindir").output().ok();
    let named = named.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named
        .into_iter()
        .chain(std::env::split_paths(&path))
        .find(|folder| {
            ["psql", "pg_dump", "pg_restore"]
                .iter()
                .all(|name| folder.join(name).is_file())
        });
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(found.is_some() || !is_ci, "no psql, pg_dump and pg_restore");
    if found.is_none() {
        eprintln!("skipped: there is no psql, pg_dump and pg_restore");
    }
    found
}

/// The block of commands of operation.md that has these words.
fn commands(words: &str) -> String {
    let text = fs::read_to_string(checkout().join("proto-docs/operation.md")).unwrap();
    let mut blocks = text
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let found = blocks.find(|block| block.contains(words));
    found
        .unwrap_or_else(|| panic!("operation.md has no commands with {words:?}"))
        .to_owned()
}

/// Runs commands in a folder; each must succeed. Returns what they printed.
#[expect(
    clippy::disallowed_methods,
    reason = "what bash is given is not the service's environment"
)]
fn run(commands: &str, folder: &Path, programs: &Path, variables: &[(&str, &str)]) -> String {
    let services = rastro_test_support::process::beside();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(folder)
        .env(
            "PATH",
            format!("{}:{}:{path}", programs.display(), services.display()),
        )
        .env("RASTRO__DATABASE__SEALING_KEY", KEY)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{commands}\n{said}");
    said
}

async fn value(sql: &Client, query: &str) -> String {
    let row = sql.query_one(query, &[]).await.unwrap();
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

struct Site {
    services: Services,
    gateway: Process,
}

impl Site {
    fn start(url: &str) -> Self {
        let services = Services::beside_this_program(url, KEY);
        Site {
            gateway: services.gateway(&SEED).start().unwrap(),
            services,
        }
    }

    async fn post(&self, path: &str, body: Value) {
        let address: SocketAddr = self
            .gateway
            .address_after("\"listening on ")
            .await
            .parse()
            .unwrap();
        let bearer = format!("Bearer {}", SEED.secret_key);
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        let request = http::request("POST", path, &headers, &body.to_string());
        let mut connection = http::Connection::open(address).await.unwrap();
        let answer = connection.exchange(&request).await.unwrap();
        assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(answer.body));
    }

    async fn event(&self, id: &str, email: &str) {
        let event = json!({
            "event_name": "Contact",
            "event_time": Clock::system().now().timestamp(),
            "event_id": id,
            "action_source": "system_generated",
            "user_data": { "em": email },
        });
        self.post("/api/meta/conversions", event).await;
    }

    async fn lead(&self, email: &str) {
        self.post("/api/leads/capture", json!({ "lead": { "email": email } }))
            .await;
    }

    /// As `attribution erase` of an operator.
    async fn erase(&self, email: &str) {
        let person = format!("email={email}");
        let program = Program::new(&self.services.programs, "attribution")
            .arguments(&["erase", SEED.dataset_id, &person])
            .with(&[
                ("RASTRO__DATABASE__URL", &self.services.database_url),
                ("RASTRO__DATABASE__SEALING_KEY", KEY),
                ("USER", "bia"),
            ]);
        let (status, said) = program.start().unwrap().ended().await.unwrap();
        assert!(status.success(), "{said:?}");
    }
}

fn at_meta(sandbox: &Sandbox) -> Vec<String> {
    let events = sandbox.events(&EventFilter::default());
    let mut ids: Vec<_> = events.into_iter().filter_map(|event| event.event_id).collect();
    ids.sort();
    ids
}

/// In how many events a person is, by the hash that Meta takes.
async fn rows_with(sql: &Client, hash: &str) -> i64 {
    let query = "SELECT count(*) FROM events WHERE payload LIKE '%' || $1 || '%'";
    sql.query_one(query, &[&hash]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_restored_elsewhere_sends_what_was_ready_once_and_the_erased_stay_erased() {
    let Some(programs) = programs() else { return };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dump");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let sandbox = SandboxConfig::default().with_token(SEED.dataset_id, SEED.access_token);
    let sandbox = Sandbox::start(sandbox).await.unwrap();
    let old = TestDatabase::create().await;
    let site = Site::start(old.url());
    let store = books::store(old.url(), KEY).unwrap();
    let census = async || store.census().await.unwrap();

    // One event in each of the places in which one can be when the dump is made.
    let forwarder = site.services.forwarder(&sandbox.url()).start().unwrap();
    site.event("delivered", "carla@example.com").await;
    eventually("it is delivered", async || {
        (census().await.delivered == 1).then_some(())
    })
    .await;
    let refused = FaultKind::Error {
        http_status: 400,
        code: 100,
        subcode: Some(2_804_003),
        is_transient: false,
        message: None,
        retry_after: None,
        headers: Default::default(),
        processed: false,
    };
    sandbox.fail_with(Fault::new(refused).times(1)).unwrap();
    site.event("refused", "carla@example.com").await;
    eventually("it is refused", async || (census().await.dead == 1).then_some(())).await;
    sandbox
        .fail_with(Fault::new(FaultKind::ResetBefore).times(1))
        .unwrap();
    site.event("waits", "carla@example.com").await;
    eventually("it waits", async || (census().await.waiting == 1).then_some(())).await;
    forwarder.stop().await.unwrap();
    site.event("ready", "carla@example.com").await;
    for (name, email) in [("ana", "ana.souza@example.com"), ("bob", "bob@example.com")] {
        site.lead(email).await;
        site.event(name, email).await;
    }
    site.erase("ana.souza@example.com").await;
    let sql = books::connect(old.url()).await.unwrap();
    assert!(rows_with(&sql, ANA).await == 0 && rows_with(&sql, BOB).await > 0);
    let (before, partitions) = (census().await, "SELECT count(*)::text FROM pg_inherits");
    let of_old = value(&sql, partitions).await;

    run(
        &commands("-f rastro.dump"),
        &folder,
        &programs,
        &[("URL", old.url())],
    );
    // Whoever is erased after the dump is in it.
    site.erase("bob@example.com").await;
    assert_eq!(rows_with(&sql, BOB).await, 0);
    drop(site.gateway);

    let place = folder.join("elsewhere");
    let elsewhere = spawn_blocking(move || Cluster::fresh(&place, "--scratch"))
        .await
        .unwrap()
        .unwrap();
    let admin = books::connect(elsewhere.url()).await.unwrap();
    admin.batch_execute("CREATE DATABASE rastro").await.unwrap();
    let url = format!("{}/rastro", elsewhere.url().rsplit_once('/').unwrap().0);
    let said = run(&commands("pg_restore"), &folder, &programs, &[("NEW", &url)]);
    assert!(said.contains("the schema is current"), "{said}");

    let sql = books::connect(&url).await.unwrap();
    let store = books::store(&url, KEY).unwrap();
    assert_eq!(store.census().await.unwrap(), before);
    assert_eq!(value(&sql, partitions).await, of_old);
    assert_eq!(rows_with(&sql, ANA).await, 0);
    let erased = "SELECT count(*) FILTER (WHERE erased) || ' of ' || count(*) FROM leads";
    assert_eq!(value(&sql, erased).await, "1 of 2");

    // "Erase them again".
    assert!(rows_with(&sql, BOB).await > 0);
    let site = Site::start(&url);
    site.erase("bob@example.com").await;
    assert_eq!(rows_with(&sql, BOB).await, 0);
    assert_eq!(value(&sql, erased).await, "2 of 2");

    let _forwarder = site.services.forwarder(&sandbox.url()).start().unwrap();
    site.event("new", "carla@example.com").await;
    eventually("what was ready is sent", async || {
        let census = store.census().await.unwrap();
        (census.ready + census.in_flight == 0).then_some(())
    })
    .await;
    assert_eq!(at_meta(&sandbox), ["delivered", "new", "ready"]);
    let census = store.census().await.unwrap();
    assert_eq!((census.waiting, census.lost()), (1, 0), "{census:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_moves_with_its_views_and_is_current_where_it_comes_to() {
    let Some(programs) = programs() else { return };
    // A name of its own: roles are the whole server's, and other tests have cells, too.
    const CELL: &str = "cell_moved";
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cell");
    fs::create_dir_all(&folder).unwrap();
    let (old, new) = (
        TestDatabase::create_empty().await,
        TestDatabase::create_empty().await,
    );
    let migrate = |url: &str| {
        let variables = [("RASTRO__DATABASE__URL", url), ("RASTRO__DATABASE__SCHEMA", CELL)];
        run("ingest-gateway migrate", &folder, &programs, &variables)
    };
    old.execute(&format!("CREATE SCHEMA {CELL}")).await;
    migrate(old.url());
    let move_it = commands("-n cell_a_bi").replace("cell_a", CELL);
    run(
        &move_it,
        &folder,
        &programs,
        &[("URL", old.url()), ("NEW", new.url())],
    );
    let said = migrate(new.url());
    assert!(said.contains("the schema is current"), "{said}");
    let views = format!("SELECT count(*) FROM pg_views WHERE schemaname = '{CELL}_bi'");
    let count = old.value(&views).await;
    assert!(count.parse::<i64>().unwrap() > 10, "{count}");
    assert_eq!(new.value(&views).await, count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_undoes_the_newest_migration_and_migrate_brings_it_again() {
    let Some(programs) = programs() else { return };
    let database = TestDatabase::create().await;
    let sql = books::connect(database.url()).await.unwrap();
    let versions = "SELECT string_agg(version, ' ' ORDER BY version DESC) FROM __diesel_schema_migrations";
    let before = value(&sql, versions).await;
    let back = commands("down.sql");
    for undone in 1..=2 {
        run(&back, checkout(), &programs, &[("URL", database.url())]);
        let wanted: Vec<&str> = before.split(' ').skip(undone).collect();
        assert_eq!(value(&sql, versions).await, wanted.join(" "));
    }
    Services::beside_this_program(database.url(), KEY)
        .migrate()
        .await
        .unwrap();
    assert_eq!(value(&sql, versions).await, before);
}
