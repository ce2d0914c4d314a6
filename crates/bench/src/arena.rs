//! Everything that runs: the server, its databases, the services and the baselines, each a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use rastro_bench::baseline::{Mode, NAIVE_SCHEMA};
use rastro_bench::copy::ROWS_SCHEMA;
use rastro_bench::database::{SEALING_KEY, Server, connect, store};
use rastro_bench::http;
use rastro_bench::load::{Load, Pace};
use rastro_bench::process::{Programs, Service, free_address};
use rastro_bench::sample::{Template, lead, stored_leads};
use rastro_bench::usage;
use rastro_service::clock::Clock;
use rastro_store::{ApiKeyKind, Dataset, DatasetSettings, Store};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::measure::Meter;
use crate::options::{Options, Plan};
use crate::sandbox::Sandbox;
use crate::say;

/// The dataset that all load is for, and a small one beside it.
pub(crate) const BUSY: &str = "100000000000001";
pub(crate) const SMALL: &str = "100000000000002";
/// Keys and tokens that open nothing outside of a benchmark's own, short-lived database.
const BUSY_KEY: &str = "sk_benchmark_busy_0123456789";
const SMALL_KEY: &str = "sk_benchmark_small_0123456789";
const TOKEN: &str = "EAAbenchmark";
/// Events in a request that holds many.
pub(crate) const BATCH: usize = 1_000;
/// A delivery that makes no progress for so long has lost something.
const STALLED_AFTER: Duration = Duration::from_secs(120);

pub(crate) struct Arena {
    pub(crate) server: Server,
    /// The product's database.
    pub(crate) store: Store,
    pub(crate) product_url: String,
    /// A database with the product's schema into which only COPY writes.
    pub(crate) copy_url: String,
    programs: PathBuf,
    logs: PathBuf,
    pub(crate) gateway: Service,
    pub(crate) gateway_address: SocketAddr,
    pub(crate) gateway_health: SocketAddr,
    pub(crate) baselines: Vec<(Mode, Service, SocketAddr)>,
    sandbox_process: Service,
    pub(crate) sandbox: Sandbox,
    pub(crate) single: Arc<Template>,
    pub(crate) hundred: Arc<Template>,
    pub(crate) batch: Arc<Template>,
    pub(crate) small: Arc<Template>,
    /// What is stored of so many events as fill a segment.
    pub(crate) stored: Vec<String>,
    /// Length of an event as it is sent.
    pub(crate) event_bytes: usize,
    /// The next number that no event has yet.
    pub(crate) numbers: Arc<AtomicU64>,
    /// Events that the gateway said it accepted.
    pub(crate) accepted: Arc<AtomicU64>,
    /// Memory of the gateway when it had just started.
    pub(crate) gateway_rss_idle: u64,
    /// How much longer the run may wait for others to leave the machine alone.
    patience: Duration,
}

impl Arena {
    pub(crate) async fn open(options: &Options) -> anyhow::Result<Self> {
        say("databases and services");
        let logs = options.out.join("logs");
        if logs.exists() {
            fs::remove_dir_all(&logs).context("cannot remove the logs of an earlier run")?;
        }
        fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let programs = Programs {
            folder: &options.programs,
            logs: &logs,
        };
        let server = Server::connect(&options.database_url).await?;
        let product_url = server.create_migrated("bench_product").await?;
        let copy_url = server.create_migrated("bench_copy").await?;
        connect(&copy_url).await?.batch_execute(ROWS_SCHEMA).await?;
        let statement_url = server.create_migrated("bench_statement").await?;
        let naive_url = server.create("bench_naive").await?;
        connect(&naive_url).await?.batch_execute(NAIVE_SCHEMA).await?;

        let store = store(&product_url)?;
        for (dataset, key) in [(BUSY, BUSY_KEY), (SMALL, SMALL_KEY)] {
            let settings = DatasetSettings {
                name: "benchmark".to_owned(),
                defaults: Default::default(),
                test_event_code: None,
            };
            let dataset = Dataset {
                id: dataset.parse()?,
                settings,
                access_token: TOKEN.to_owned().into(),
            };
            store.put_dataset(&dataset).await?;
            store
                .put_api_key(
                    Sha256::digest(key).into(),
                    dataset.id,
                    ApiKeyKind::Secret,
                    "benchmark",
                )
                .await?;
        }

        let sandbox = free_address()?;
        let (listen, token) = (sandbox.to_string(), format!("*={TOKEN}"));
        let arguments = ["--listen", &listen, "--token", &token, "--keep-events", "0"];
        let sandbox_process = programs
            .start("rastro-sandbox", &arguments, &[], (sandbox, "/healthz"))
            .await?;
        let (gateway_address, gateway_health) = (free_address()?, free_address()?);
        let gateway = programs
            .start(
                "ingest-gateway",
                &[],
                &[
                    ("RASTRO__DATABASE__URL", &product_url),
                    ("RASTRO__DATABASE__SEALING_KEY", SEALING_KEY),
                    ("RASTRO__GATEWAY__LISTEN", &gateway_address.to_string()),
                    ("RASTRO__HEALTH__LISTEN", &gateway_health.to_string()),
                ],
                (gateway_health, "/readyz"),
            )
            .await?;
        let gateway_rss_idle = usage::memory(gateway.pid())?.0;
        let mut baselines = Vec::new();
        for (mode, url) in [
            (Mode::Naive, naive_url.as_str()),
            (Mode::Statement, &statement_url),
            (Mode::NoDatabase, ""),
        ] {
            let address = free_address()?;
            let arguments = [mode.as_str(), &address.to_string(), BUSY];
            let variables = [("RASTRO_BENCH_DATABASE_URL", url)];
            let ready = (address, "/readyz");
            let service = programs
                .start("rastro-bench-baseline", &arguments, &variables, ready)
                .await?;
            baselines.push((mode, service, address));
        }

        let now = Clock::system().now();
        // Other ids in every run, also to a sandbox that remembers.
        let run = format!("bench-{:x}", now.timestamp());
        let event = lead(&run, now);
        Ok(Arena {
            server,
            store,
            product_url,
            copy_url,
            gateway,
            gateway_address,
            gateway_health,
            baselines,
            sandbox_process,
            sandbox: Sandbox { address: sandbox },
            single: Arc::new(Template::request(&event, 1, BUSY_KEY)),
            hundred: Arc::new(Template::request(&event, 100, BUSY_KEY)),
            batch: Arc::new(Template::request(&event, BATCH, BUSY_KEY)),
            small: Arc::new(Template::request(&event, 1, SMALL_KEY)),
            stored: stored_leads(&run, now, BATCH as u64)?,
            event_bytes: event.len(),
            numbers: Arc::new(AtomicU64::new(1)),
            accepted: Arc::default(),
            gateway_rss_idle,
            patience: options.plan().patience,
            programs: options.programs.clone(),
            logs,
        })
    }

    /// A meter of all that is ours; in the gateway's place may be a baseline, or nothing.
    pub(crate) fn meter<'a>(
        &'a self,
        gateway: Option<&Service>,
        forwarder: Option<&'a Service>,
    ) -> Meter<'a> {
        Meter {
            server: &self.server,
            sandbox: &self.sandbox_process,
            gateway: gateway.map(Service::pid),
            forwarder,
        }
    }

    /// Waits for a quiet machine, within what patience the run has left.
    pub(crate) async fn await_quiet(&mut self) -> anyhow::Result<()> {
        let mut patience = self.patience;
        self.meter(None, None).await_quiet(&mut patience).await?;
        self.patience = patience;
        Ok(())
    }

    /// A load on the gateway, counted in the books.
    pub(crate) fn load(&self, template: &Arc<Template>, connections: usize, pace: Pace, plan: &Plan) -> Load {
        Load {
            target: self.gateway_address,
            template: template.clone(),
            connections,
            pace,
            warm_up: plan.warm_up,
            measured: plan.measured,
            numbers: self.numbers.clone(),
            accepted: self.accepted.clone(),
        }
    }

    /// Starts a forwarder with the defaults it is shipped with.
    pub(crate) async fn start_forwarder(&self) -> anyhow::Result<Service> {
        let graph_api = format!("http://{}", self.sandbox.address);
        self.start("capi-forwarder", &[("RASTRO__GRAPH_API__URL", &graph_api)])
            .await
    }

    /// Starts a worker with the defaults it is shipped with.
    pub(crate) async fn start_worker(&self) -> anyhow::Result<Service> {
        self.start("retry-worker", &[]).await
    }

    async fn start(&self, name: &'static str, own: &[(&str, &str)]) -> anyhow::Result<Service> {
        let health = free_address()?;
        let listen = health.to_string();
        let mut variables = vec![
            ("RASTRO__DATABASE__URL", self.product_url.as_str()),
            ("RASTRO__DATABASE__SEALING_KEY", SEALING_KEY),
            ("RASTRO__HEALTH__LISTEN", &listen),
        ];
        variables.extend(own);
        let programs = Programs {
            folder: &self.programs,
            logs: &self.logs,
        };
        programs.start(name, &[], &variables, (health, "/readyz")).await
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Accepted events that Meta does not have yet.
    pub(crate) async fn backlog(&self) -> anyhow::Result<u64> {
        Ok(self
            .accepted()
            .saturating_sub(self.sandbox.counts().await?.unique))
    }

    /// Waits until everything is delivered, or until nothing moves any more: then the books will say so.
    pub(crate) async fn await_delivery(&self) -> anyhow::Result<()> {
        let (mut least, mut moved) = (u64::MAX, Instant::now());
        loop {
            let backlog = self.backlog().await?;
            if backlog == 0 {
                return Ok(());
            }
            if backlog < least {
                (least, moved) = (backlog, Instant::now());
            }
            if moved.elapsed() > STALLED_AFTER {
                say(&format!("{backlog} events were not delivered"));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Memory of the gateway, now and at its most, in bytes.
    pub(crate) fn gateway_memory(&self) -> anyhow::Result<(u64, u64)> {
        usage::memory(self.gateway.pid())
    }

    /// The gateway's metrics, as Prometheus reads them.
    pub(crate) async fn gateway_metrics(&self) -> anyhow::Result<String> {
        let (status, text) = http::get(self.gateway_health, "/metrics").await?;
        ensure!(status == 200, "the gateway has no metrics");
        Ok(text)
    }

    /// Ends every process, and minds how each ends.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.gateway.stop().await?;
        for (_, baseline, _) in self.baselines {
            baseline.stop().await?;
        }
        self.sandbox_process.stop().await
    }
}
