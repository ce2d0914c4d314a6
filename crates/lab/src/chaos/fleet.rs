//! The services as processes: two of each, with times so short that a run of minutes sees what takes hours in
//! life.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rastro_service::clock::Clock;
use rastro_test_support::process::{Process, Program, free_address};
use rastro_test_support::services::{Seed, Services};
use tokio::sync::Mutex;

use crate::chaos::payments::{SELLER, TOKEN, WEBHOOK_SECRET};
use crate::chaos::plan::Timing;

/// How often an event is tried again; as many as `RASTRO__RETRY__DELAYS_MS` has delays.
pub const RETRIES: i16 = 3;

/// A process that was killed or stopped while it may have had answers in its hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// As it names itself to Meta.
    pub agent: String,
    /// Unix milliseconds.
    pub at_ms: i64,
}

/// One service that is killed and started again. Killed with the value.
pub struct Service {
    process: Process,
    name: String,
    /// How often it was started.
    life: u32,
    interruptions: Arc<std::sync::Mutex<Vec<Interruption>>>,
}

impl Service {
    /// Ends it as a power cut would, and starts it anew. An error if it had ended before, by itself.
    pub async fn kill(&mut self, lasts: Duration) -> anyhow::Result<()> {
        self.end()?;
        tokio::time::sleep(lasts).await;
        self.revive()
    }

    /// Ends it as a power cut would. An error if it had ended before, by itself.
    pub fn end(&mut self) -> anyhow::Result<()> {
        self.process.check()?;
        self.note_interruption();
        self.process.end();
        Ok(())
    }

    /// Starts it anew.
    pub fn revive(&mut self) -> anyhow::Result<()> {
        self.life += 1;
        let agent = self.agent();
        let is_forwarder = self.name.starts_with("forwarder");
        let variables = [(AGENT, agent.as_str())];
        self.process.revive(if is_forwarder { &variables } else { &[] })
    }

    /// Stops it as a pause of its machine would, and lets it go on.
    pub async fn freeze(&mut self, lasts: Duration) -> anyhow::Result<()> {
        self.process.check()?;
        self.note_interruption();
        self.process.signal("STOP");
        tokio::time::sleep(lasts).await;
        self.process.signal("CONT");
        Ok(())
    }

    /// Ends it as a rollout does, and starts the program of this folder in its place.
    pub async fn replace(&mut self, programs: &Path) -> anyhow::Result<()> {
        self.process.replace(programs).await
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn note_interruption(&self) {
        let mut interruptions = self.interruptions.lock().unwrap_or_else(PoisonError::into_inner);
        interruptions.push(Interruption {
            agent: self.agent(),
            at_ms: Clock::system().now().timestamp_millis(),
        });
    }

    fn agent(&self) -> String {
        format!("{}-{}", self.name, self.life)
    }
}

/// Tells Meta who sends, which tells us whose answer it was.
const AGENT: &str = "RASTRO__GRAPH_API__PARTNER_AGENT";

/// All of them. A fault holds the lock of the service that it is about.
pub struct Fleet {
    pub gateways: Vec<Mutex<Service>>,
    pub forwarders: Vec<Mutex<Service>>,
    pub retry_workers: Vec<Mutex<Service>>,
    /// Where payments are part of it.
    pub attributions: Vec<Mutex<Service>>,
    /// Those that no event passes through, where they are part of it.
    pub others: Vec<Mutex<Service>>,
    logs: PathBuf,
    interruptions: Arc<std::sync::Mutex<Vec<Interruption>>>,
}

impl Fleet {
    /// Starts everything in front of this Meta, with the gateways at these addresses, whatever happens to
    /// them. Where there is a Mercado Pago, its payments are followed.
    pub fn start(
        services: &Services,
        seed: &Seed<'_>,
        gateways: &[SocketAddr],
        (meta, mercado_pago): (&str, Option<&str>),
        timing: &Timing,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(logs)?;
        let interruptions = Arc::default();
        let statement = timing.statement_seconds.to_string();
        let hurry = [
            ("RASTRO__DATABASE__CONNECT_TIMEOUT_SECONDS", "1"),
            ("RASTRO__DATABASE__STATEMENT_TIMEOUT_SECONDS", &statement),
        ];
        let start = |name: &str, number: usize, program: Program| {
            let name = format!("{name}-{number}");
            let program = program.with(&hurry).logging_to(&logs.join(format!("{name}.log")));
            anyhow::Ok(Mutex::new(Service {
                process: program.start()?,
                name,
                life: 0,
                interruptions: Arc::clone(&interruptions),
            }))
        };
        let gateway = |number: usize| {
            let listen = gateways[number].to_string();
            let program = services.gateway(seed);
            start(
                "gateway",
                number,
                program.with(&[("RASTRO__GATEWAY__LISTEN", &listen)]),
            )
        };
        let lease = timing.lease_seconds.to_string();
        let forwarder = |number: usize| {
            let agent = format!("forwarder-{number}-0");
            let own = [
                (AGENT, agent.as_str()),
                ("RASTRO__FORWARDER__LEASE_SECONDS", &lease),
            ];
            let program = services.forwarder(meta).with(&FORWARDER).with(&BREAKER);
            start("forwarder", number, program.with(&own))
        };
        let worker = |number: usize| {
            let program = services.retry_worker().with(&RETRY_WORKER).with(&BREAKER);
            start("retry-worker", number, program)
        };
        let attribution = |number: usize| {
            let program = services.attribution(mercado_pago.unwrap_or_default(), meta);
            let account = [
                ("RASTRO__ACCOUNT__DATASET_ID", seed.dataset_id),
                ("RASTRO__ACCOUNT__ACCOUNT_ID", &SELLER.to_string()),
                ("RASTRO__ACCOUNT__ACCESS_TOKEN", TOKEN),
                ("RASTRO__ACCOUNT__WEBHOOK_SECRETS", WEBHOOK_SECRET),
            ];
            start("attribution", number, program.with(&ATTRIBUTION).with(&account))
        };
        let attributions = if mercado_pago.is_some() { 0..2 } else { 0..0 };
        Ok(Fleet {
            attributions: attributions.map(attribution).collect::<Result<_, _>>()?,
            gateways: (0..2).map(gateway).collect::<Result<_, _>>()?,
            forwarders: (0..2).map(forwarder).collect::<Result<_, _>>()?,
            retry_workers: (0..2).map(worker).collect::<Result<_, _>>()?,
            others: Vec::new(),
            logs: logs.to_owned(),
            interruptions,
        })
    }

    /// Starts the services that no event passes through: crediting, the check and the dashboard.
    pub fn start_others(&mut self, services: &Services) -> anyhow::Result<()> {
        let monitor = |arguments: &[&str]| services.monitor().arguments(arguments);
        let dashboard = monitor(&["dashboard"]).with(&[("RASTRO__DASHBOARD__LISTEN", "127.0.0.1:0")]);
        for (name, program) in [
            ("attribution", services.attribution_without_accounts()),
            ("monitor-check", monitor(&["check", "--every", "1s"])),
            ("monitor-dashboard", dashboard),
        ] {
            let log = self.logs.join(format!("{name}.log"));
            self.others.push(Mutex::new(Service {
                process: program.logging_to(&log).start()?,
                name: name.to_owned(),
                life: 0,
                interruptions: Arc::clone(&self.interruptions),
            }));
        }
        Ok(())
    }

    /// That none of them ended by itself.
    pub async fn check(&self) -> anyhow::Result<()> {
        for service in self.all() {
            service.lock().await.process.check()?;
        }
        Ok(())
    }

    /// Every service, each kind's two one after the other.
    pub fn all(&self) -> impl Iterator<Item = &Mutex<Service>> {
        let workers = self.forwarders.iter().chain(&self.retry_workers);
        let events = self.gateways.iter().chain(workers);
        events.chain(&self.attributions).chain(&self.others)
    }

    pub fn interruptions(&self) -> Vec<Interruption> {
        let interruptions = self.interruptions.lock().unwrap_or_else(PoisonError::into_inner);
        interruptions.clone()
    }
}

const FORWARDER: [(&str, &str); 6] = [
    ("RASTRO__GRAPH_API__CONNECT_TIMEOUT_SECONDS", "1"),
    ("RASTRO__GRAPH_API__REQUEST_TIMEOUT_SECONDS", "2"),
    // Small batches: many requests under way whenever something breaks.
    ("RASTRO__FORWARDER__BATCH_SIZE", "20"),
    ("RASTRO__FORWARDER__IDLE_POLL_MILLISECONDS", "50"),
    ("RASTRO__FORWARDER__GATHER_MILLISECONDS", "20"),
    ("RASTRO__RETRY__DELAYS_MS", "100,300,1000"),
];

const RETRY_WORKER: [(&str, &str); 4] = [
    ("RASTRO__SWEEP__INTERVAL_MILLISECONDS", "100"),
    ("RASTRO__SWEEP__SPREAD_AFTER_OUTAGE_SECONDS", "1"),
    ("RASTRO__MAINTENANCE__PARTITIONS_EVERY_SECONDS", "5"),
    ("RASTRO__MAINTENANCE__TIDY_EVERY_SECONDS", "2"),
];

const ATTRIBUTION: [(&str, &str); 10] = [
    ("RASTRO__MERCADO_PAGO__CONNECT_TIMEOUT_SECONDS", "1"),
    ("RASTRO__MERCADO_PAGO__REQUEST_TIMEOUT_SECONDS", "2"),
    ("RASTRO__MERCADO_PAGO__RETRY_MILLISECONDS", "50"),
    ("RASTRO__MERCADO_PAGO__REQUESTS_PER_SECOND", "1000"),
    ("RASTRO__PAYMENTS__IDLE_POLL_MILLISECONDS", "100"),
    // More than the longest read takes, with its retries.
    ("RASTRO__PAYMENTS__LEASE_SECONDS", "60"),
    // What a webhook did not tell is found within seconds, although whoever compares may be killed.
    ("RASTRO__RECONCILE__INTERVAL_SECONDS", "1"),
    ("RASTRO__RECONCILE__SWEEP_EVERY_SECONDS", "2"),
    ("RASTRO__RECONCILE__SWEEP_LAG_SECONDS", "0"),
    ("RASTRO__RECONCILE__LEASE_SECONDS", "10"),
];

// Patient enough that events spend retries before it opens.
const BREAKER: [(&str, &str); 7] = [
    ("RASTRO__BREAKER__WINDOW_MS", "10000"),
    ("RASTRO__BREAKER__MIN_REQUESTS", "20"),
    ("RASTRO__BREAKER__CONSECUTIVE_FAILURES", "8"),
    ("RASTRO__BREAKER__OPEN_FOR_MS", "500"),
    ("RASTRO__BREAKER__OPEN_FOR_LONGEST_MS", "1000"),
    ("RASTRO__BREAKER__PROBES_TO_CLOSE", "2"),
    ("RASTRO__BREAKER__PROBE_LEASE_MS", "4000"),
];

/// Two addresses that services can come back to.
pub fn gateway_addresses() -> anyhow::Result<Vec<SocketAddr>> {
    (0..2).map(|_| free_address(0)).collect()
}
