//! One build of the services, over a database of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use rastro_test_support::http::{self, Answer};
use rastro_test_support::process::{Process, Program, free_address};
use rastro_test_support::services::{Seed, Services};

use crate::bench::watched::{SIGNED_ON_BY, VIEWER};
use crate::bench::{doors, usage};
use crate::books::{self, AtMeta, Books, SEALING_KEY, Server, Told};
use crate::load::{Client, Load, Outcome, Pace, Patience, Request, Verdict, Window};
use crate::sample::Template;

/// Keys and tokens that open nothing outside of a benchmark's own, short-lived database.
pub const TOKEN: &str = "EAAbenchmark";
const SECRET_KEY: &str = "sk_benchmark_0123456789abcdef";
const PUBLISHABLE_KEY: &str = "pk_benchmark_0123456789abcdef";
/// The system that is measured.
pub const THIS_BUILD: &str = "this build";
/// A delivery that makes no progress for so long has lost something.
const STALLED_AFTER: Duration = Duration::from_secs(60);

pub struct System {
    pub name: &'static str,
    pub gateway: Process,
    dataset: &'static str,
    services: Services,
    address: SocketAddr,
    health: SocketAddr,
    sandbox: SocketAddr,
    logs: PathBuf,
    /// The event that is sent, with its numbers open.
    event: String,
    numbers: Arc<AtomicU64>,
    /// Events that the gateway said it accepted.
    accepted: AtomicU64,
}

impl System {
    /// Makes the database with the build's own migrations, and starts its gateway with the defaults it is
    /// shipped with.
    #[expect(clippy::too_many_arguments, reason = "all that a system is made of, once")]
    pub async fn start(
        server: &Server,
        name: &'static str,
        dataset: &'static str,
        programs: PathBuf,
        sandbox: SocketAddr,
        event: &str,
        numbers: &Arc<AtomicU64>,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let url = server.create(&format!("lab_{dataset}")).await?;
        let services = Services::beside_this_program(&url, SEALING_KEY).from(&programs);
        services.migrate().await?;
        books::make_partitions_of_production(&url).await?;
        let (address, health) = (free_address(0)?, free_address(0)?);
        let seed = Seed {
            dataset_id: dataset,
            access_token: TOKEN,
            secret_key: SECRET_KEY,
            publishable_key: PUBLISHABLE_KEY,
        };
        let gateway = services
            .gateway(&seed)
            .with(&[
                ("RASTRO__GATEWAY__LISTEN", &address.to_string()),
                ("RASTRO__HEALTH__LISTEN", &health.to_string()),
            ])
            .logging_to(&logs.join(format!("gateway-{dataset}.log")));
        // The limit of a page's key is far below what is measured. Another build may not know the setting.
        let unlimited = [("RASTRO__GATEWAY__MAX_EVENTS_PER_SECOND_PER_PUBLISHABLE_KEY", "0")];
        let gateway = if name == THIS_BUILD {
            gateway.with(&unlimited)
        } else {
            gateway
        };
        let gateway = gateway.start()?.await_ready(health, "/readyz").await?;
        Ok(System {
            name,
            gateway,
            dataset,
            services,
            address,
            health,
            sandbox,
            logs: logs.to_owned(),
            event: event.to_owned(),
            numbers: numbers.clone(),
            accepted: AtomicU64::new(0),
        })
    }

    /// Starts a forwarder with the defaults it is shipped with.
    pub async fn start_forwarder(&self) -> anyhow::Result<Process> {
        let meta = format!("http://{}", self.sandbox);
        self.start_service("forwarder", self.services.forwarder(&meta))
            .await
    }

    /// Starts a retry-worker with the defaults it is shipped with.
    pub async fn start_worker(&self) -> anyhow::Result<Process> {
        self.start_service("worker", self.services.retry_worker()).await
    }

    /// Counts the events up to now as `monitor check` does, and starts the pages for viewers.
    pub async fn start_dashboard(&self) -> anyhow::Result<(Process, SocketAddr)> {
        let log = self.logs.join("monitor-check.log");
        let check = self.services.monitor().arguments(&["check"]).logging_to(&log);
        let (status, _) = check.start()?.ended().await?;
        ensure!(
            status.success(),
            "`monitor check` ended with {status}, see {}",
            log.display()
        );
        let address = free_address(0)?;
        let pages = self.services.monitor().arguments(&["dashboard"]).with(&[
            ("RASTRO__DASHBOARD__LISTEN", &address.to_string()),
            ("RASTRO__DASHBOARD__PROXY_HEADER", SIGNED_ON_BY),
            ("RASTRO__DASHBOARD__TRUSTED_PROXIES", "127.0.0.1"),
            ("RASTRO__DASHBOARD__VIEWERS", VIEWER),
        ]);
        Ok((self.start_service("dashboard", pages).await?, address))
    }

    async fn start_service(&self, name: &str, program: Program) -> anyhow::Result<Process> {
        let health = free_address(0)?;
        let log = self.logs.join(format!("{name}-{}.log", self.dataset));
        let program = program
            .with(&[("RASTRO__HEALTH__LISTEN", &health.to_string())])
            .logging_to(&log);
        program.start()?.await_ready(health, "/readyz").await
    }

    /// A load of requests with so many events each. Whoever runs it adds its outcome to the books.
    pub fn load(&self, connections: usize, events: usize, pace: Pace, window: Window) -> Load<Leads> {
        let template = Arc::new(Template::request(&self.event, events, SECRET_KEY));
        self.load_of(template, connections, pace, window)
    }

    /// A plain event, alone in its request.
    pub fn single_event(&self) -> Template {
        Template::request(&self.event, 1, SECRET_KEY)
    }

    /// The other ways in, by their names.
    pub fn doors(&self) -> [(&'static str, Template); 6] {
        doors::templates(&self.event, SECRET_KEY, PUBLISHABLE_KEY)
    }

    /// A lead with all that a capture may bring.
    pub fn lead_with_everything(&self) -> Template {
        doors::everything(&self.event, PUBLISHABLE_KEY)
    }

    /// Where pages send to, and their key.
    pub fn for_pages(&self) -> (String, &'static str) {
        (format!("http://{}", self.address), PUBLISHABLE_KEY)
    }

    /// Bytes of the script as a browser gets it.
    pub async fn script_bytes(&self) -> anyhow::Result<u64> {
        let mut connection = http::Connection::open(self.address).await?;
        let request = http::request("GET", "/sdk.js", &[("Accept-Encoding", "gzip, br")], "");
        let answer = connection.exchange(&request).await?;
        ensure!(answer.status == 200, "the gateway has no script");
        Ok(answer.body.len() as u64)
    }

    /// The same of any requests.
    pub fn load_of(
        &self,
        template: Arc<Template>,
        connections: usize,
        pace: Pace,
        window: Window,
    ) -> Load<Leads> {
        let leads = Leads {
            template,
            numbers: self.numbers.clone(),
        };
        Load {
            targets: vec![self.address],
            clients: vec![leads; connections],
            pace,
            window: Some(window),
            patience: Patience::NONE,
        }
    }

    pub fn add(&self, outcome: &Outcome) {
        self.accepted.fetch_add(outcome.accepted, Ordering::Relaxed);
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub async fn delivered(&self) -> anyhow::Result<u64> {
        Ok(self.at_meta().await?.unique)
    }

    /// Waits until Meta has everything, or until nothing moves any more: then the books will say so.
    pub async fn await_delivery(&self) -> anyhow::Result<()> {
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            let delivered = self.delivered().await?;
            if delivered > last {
                (last, moved) = (delivered, Instant::now());
            }
            if delivered >= self.accepted() || moved.elapsed() > STALLED_AFTER {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn at_meta(&self) -> anyhow::Result<AtMeta> {
        books::at_meta(self.sandbox, self.dataset).await
    }

    /// What the gateway said, what the database holds and what Meta has.
    pub async fn books(&self) -> anyhow::Result<Books> {
        let told = Told {
            accepted: self.accepted(),
            duplicate: 0,
        };
        let store = books::store(&self.services.database_url, SEALING_KEY)?;
        let census = books::census(&store).await?;
        let at_meta = (AtMeta::default(), self.at_meta().await?);
        Ok(Books::between(told, (&books::NOTHING, &census), at_meta))
    }

    /// Bytes of disk per accepted event, by table, indexes included.
    pub async fn bytes_per_event(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let bytes = books::bytes_by_table(&self.services.database_url).await?;
        let events = self.accepted().max(1) as f64;
        Ok(bytes
            .into_iter()
            .map(|(table, bytes)| (table, bytes as f64 / events))
            .collect())
    }

    /// Memory of the gateway, now and at its most, in bytes.
    pub fn gateway_memory(&self) -> anyhow::Result<(u64, u64)> {
        usage::memory(self.gateway.pid())
    }

    /// The gateway's metrics, as Prometheus reads them.
    pub async fn metrics(&self) -> anyhow::Result<String> {
        let (status, text) = http::get(self.health, "/metrics").await?;
        ensure!(status == 200, "the gateway has no metrics");
        Ok(text)
    }
}

/// Sends one lead after the other, each a new one.
#[derive(Clone)]
pub struct Leads {
    template: Arc<Template>,
    numbers: Arc<AtomicU64>,
}

impl Client for Leads {
    fn next(&mut self, request: &mut Request) -> bool {
        if request.bytes.is_empty() {
            request.bytes = self.template.text();
        }
        let first = self.numbers.fetch_add(self.template.events(), Ordering::Relaxed);
        self.template.fill(&mut request.bytes, first);
        true
    }

    fn told(&mut self, _: &Answer<'_>) -> anyhow::Result<Verdict> {
        Ok(Verdict::Told)
    }
}

/// The gateway's histogram of commits: upper bounds in seconds, and how many took no longer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commits(Vec<(f64, u64)>);

impl Commits {
    pub fn read(metrics: &str) -> Self {
        let bucket = |line: &str| {
            let line = line.strip_prefix("rastro_ingest_commit_seconds_bucket{le=\"")?;
            let (bound, count) = line.split_once("\"} ")?;
            let bound = if bound == "+Inf" {
                f64::INFINITY
            } else {
                bound.parse().ok()?
            };
            // Behind the count there may be an exemplar.
            Some((bound, count.split(' ').next()?.parse().ok()?))
        };
        Commits(metrics.lines().filter_map(bucket).collect())
    }

    pub fn since(self, before: &Commits) -> Self {
        let pairs = self.0.into_iter().zip(&before.0);
        Commits(
            pairs
                .map(|((bound, now), (_, then))| (bound, now - then))
                .collect(),
        )
    }

    /// The upper bound, in milliseconds, of the bucket in which this share of all ends.
    pub fn quantile_at_most_ms(&self, share: f64) -> f64 {
        let total = self.0.last().map_or(0, |(_, count)| *count);
        let rank = total as f64 * share;
        let bucket = self.0.iter().find(|(_, count)| *count as f64 >= rank);
        bucket.map_or(f64::NAN, |(bound, _)| bound * 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commits_between_two_scrapes_are_told_by_bucket() {
        let page = |counts: [u64; 3]| {
            let [first, second, all] = counts;
            let name = "rastro_ingest_commit_seconds_bucket";
            Commits::read(&format!(
                "# TYPE x histogram\nrastro_ingest_commit_seconds_sum 1.5\n{name}{{le=\"0.001\"}} {first}\n\
                 {name}{{le=\"0.005\"}} {second}\n{name}{{le=\"+Inf\"}} {all}\n# EOF\n"
            ))
        };
        let commits = page([100, 199, 200]).since(&page([50, 100, 100]));
        assert_eq!(commits.quantile_at_most_ms(0.5), 1.0);
        assert_eq!(commits.quantile_at_most_ms(0.99), 5.0);
        assert_eq!(commits.quantile_at_most_ms(1.0), f64::INFINITY);
        assert!(Commits::read("").quantile_at_most_ms(0.5).is_nan());
    }
}
