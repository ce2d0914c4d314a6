//! Two cells on one PostgreSQL: two schemas of one database with a set of services each. Nothing of one is
//! seen by the other.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_sandbox::{EventFilter, Sandbox, SandboxConfig};
use rastro_test_support::process::{Process, Program};
use rastro_test_support::services::{Seed, Services};
use rastro_test_support::{TestDatabase, eventually, http};

const KEY: &str = "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=";
/// The same dataset, key and event in both: whatever one cell knew of the other would show.
const SEED: Seed<'_> = Seed {
    dataset_id: "123456789012345",
    access_token: "EAAcells0token",
    secret_key: "sk_0123456789abcdef0123456789abcdef",
    publishable_key: "pk_0123456789abcdef0123456789abcdef",
};

/// One cell with all of its services, before a Meta of its own.
struct Cell {
    schema: &'static str,
    sandbox: Sandbox,
    gateway: Process,
    others: Vec<(&'static str, Process)>,
}

impl Cell {
    async fn start(database: &TestDatabase, schema: &'static str) -> Self {
        let sandbox = SandboxConfig::default().with_token(SEED.dataset_id, SEED.access_token);
        let sandbox = Sandbox::start(sandbox).await.unwrap();
        let services = Services::beside_this_program(database.url(), KEY);
        let here = [("RASTRO__DATABASE__SCHEMA", schema)];
        let start = |program: Program| program.with(&here).start().unwrap();
        let migrate = Program::new(&services.programs, "ingest-gateway").arguments(&["migrate"]);
        let migrate = start(migrate.with(&[("RASTRO__DATABASE__URL", database.url())]));
        let (status, log) = migrate.ended().await.unwrap();
        assert!(status.success(), "{log:?}");
        let dashboard = ("RASTRO__DASHBOARD__LISTEN", "127.0.0.1:0");
        let attribution = Program::new(&services.programs, "attribution").with(&[
            ("RASTRO__DATABASE__URL", database.url()),
            ("RASTRO__DATABASE__SEALING_KEY", KEY),
            ("RASTRO__HEALTH__LISTEN", "127.0.0.1:0"),
            ("RASTRO__TELEMETRY__LOG_FORMAT", "json"),
        ]);
        let others = vec![
            ("capi-forwarder", start(services.forwarder(&sandbox.url()))),
            ("retry-worker", start(services.retry_worker())),
            ("attribution", start(attribution)),
            (
                "monitor",
                start(services.monitor().arguments(&["dashboard"]).with(&[dashboard])),
            ),
        ];
        Cell {
            gateway: start(services.gateway(&SEED)),
            schema,
            sandbox,
            others,
        }
    }

    async fn all_are_ready(&self) {
        let gateway = std::iter::once(("ingest-gateway", &self.gateway));
        for (name, process) in gateway.chain(self.others.iter().map(|(name, process)| (*name, process))) {
            let address = process
                .address_after("health endpoint listens on ")
                .await
                .parse()
                .unwrap();
            let is_ready = async || {
                let (status, _) = http::get(address, "/readyz").await.ok()?;
                (status == 200).then_some(())
            };
            eventually(&format!("{name} of {} is ready", self.schema), is_ready).await;
        }
    }

    /// What the gateway answers.
    async fn send(&self, id: &str) -> u16 {
        SEED.send_lead(&self.gateway, id).await.unwrap()
    }

    fn at_meta(&self) -> Vec<String> {
        let events = self.sandbox.events(&EventFilter::default());
        let mut ids: Vec<_> = events.into_iter().filter_map(|event| event.event_id).collect();
        ids.sort();
        ids
    }

    async fn count(&self, database: &TestDatabase, of: &str) -> String {
        database
            .value(&format!("SELECT count(*) FROM {}.{of}", self.schema))
            .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cells_on_one_postgresql_know_nothing_of_each_other() {
    let database = TestDatabase::create_empty().await;
    let a = Cell::start(&database, "cell_a").await;
    let b = Cell::start(&database, "cell_b").await;
    a.all_are_ready().await;
    b.all_are_ready().await;
    // A duplicate within a cell, and none beyond it.
    assert_eq!((a.send("both").await, a.send("both").await), (202, 409));
    assert_eq!((b.send("both").await, b.send("only-b").await), (202, 202));
    let arrived = async || (a.at_meta() == ["both"] && b.at_meta() == ["both", "only-b"]).then_some(());
    eventually("each cell's events are at its own Meta", arrived).await;
    assert_eq!(a.count(&database, "events").await, "1");
    assert_eq!(b.count(&database, "events").await, "2");
    // Each has a leader of its own that makes its partitions: one lock for both would keep one of them
    // waiting.
    let partitions = "pg_tables WHERE schemaname = 'cell_b' AND tablename LIKE 'events_2%'";
    assert_ne!(
        database
            .value(&format!("SELECT count(*) FROM {partitions}"))
            .await,
        "0"
    );
    // Nothing at all was made beside the two schemas.
    let elsewhere = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname NOT IN ('cell_a', 'cell_b', 'bi', 'cell_a_bi', 'cell_b_bi') AND nspname !~ '^pg_|information_schema'";
    assert_eq!(database.value(elsewhere).await, "0");
    // One that is gone takes nothing of the other with it.
    let (schema, gateway, others) = (a.schema, a.gateway, a.others);
    for process in others.into_iter().map(|(_, process)| process).chain([gateway]) {
        process.stop().await.unwrap();
    }
    database.execute(&format!("DROP SCHEMA {schema} CASCADE")).await;
    assert_eq!(b.send("after").await, 202);
    let arrived = async || b.at_meta().contains(&"after".to_owned()).then_some(());
    eventually("the other cell goes on", arrived).await;
}
