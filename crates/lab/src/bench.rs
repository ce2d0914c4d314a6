//! `make bench`: what the product does on this machine, beside what simpler ways of doing the same would do,
//! and beside another build of it.
//!
//! Absolute figures of a machine drift by a factor of two with no cause to be found, so what counts here are
//! ratios of figures taken in turn in one run. The run ends with the sum of all events: one that loses or
//! doubles an event fails.

pub mod baseline;
pub mod claims;
pub mod copy;
pub mod doors;
pub mod lookup;
pub mod measure;
pub mod report;
pub mod system;
pub mod usage;
pub mod watched;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rastro_service::clock::Clock;
use rastro_test_support::cluster::{Cluster, checkout};
use rastro_test_support::process::{Process, Program, beside, free_address};

use crate::bench::measure::{Measurement, Meter};
use crate::bench::report::{Everyday, Report};
use crate::bench::system::{Commits, System, THIS_BUILD, TOKEN};
use crate::books::{self, NAIVE_SCHEMA, Server};
use crate::load::{Pace, Window};
use crate::sample::{Template, lead, stored_leads};
use crate::{heading, local, print, say, variable};

/// The dataset that all load is for; and that of the other build, which is counted apart.
pub const DATASET: &str = "100000000000001";
const OTHER_DATASET: &str = "100000000000002";
/// Connections of the loads of single events, and of those of 1,000 events a request.
const SINGLES: usize = 256;
const BATCHES: usize = 8;
const THOUSAND_A_MINUTE: f64 = 1_000.0 / 60.0;
/// The parts of a backlog between which the drain is timed: the forwarder's start and its last, unfilled
/// batch are not.
const DRAIN_FROM: f64 = 0.05;
const DRAIN_UNTIL: f64 = 0.95;

pub const NAIVE: &str = "naive";
pub const SINGLE: &str = "single";
pub const BATCH: &str = "batch";
pub const COPY: &str = "copy";
pub const THROUGH: &str = "in_and_out";
pub const THROUGH_OTHER: &str = "in_and_out_other_build";
pub const DRAIN: &str = "drain";

/// A configuration's measurement, by its name in the report.
pub type Round = BTreeMap<&'static str, Measurement>;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub quick: bool,
    pub rounds: usize,
    pub window: Window,
    /// A thousand events a minute are sent for so long.
    pub everyday: Duration,
    /// The large backlog whose claims are timed, and the small one.
    pub backlogs: (i64, i64),
    pub claims: usize,
    pub keys_to_expire: i64,
    /// How long the whole run may wait for other processes to leave the machine alone.
    pub patience: Duration,
}

impl Plan {
    const FULL: Plan = Plan {
        quick: false,
        rounds: 5,
        window: Window {
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs(4),
        },
        everyday: Duration::from_secs(60),
        backlogs: (5_000_000, 100_000),
        claims: 80,
        keys_to_expire: 500_000,
        patience: Duration::from_secs(300),
    };
    const QUICK: Plan = Plan {
        quick: true,
        rounds: 3,
        window: Window {
            warm_up: Duration::from_millis(300),
            measured: Duration::from_millis(1_500),
        },
        everyday: Duration::from_secs(10),
        backlogs: (5_000_000, 100_000),
        claims: 30,
        keys_to_expire: 100_000,
        patience: Duration::from_secs(20),
    };
}

/// Everything that runs: the server, its databases, the services and the baseline, each a process of its own.
pub struct Bench {
    pub plan: Plan,
    pub server: Server,
    /// What is measured, and another build of it.
    system: System,
    other: Option<System>,
    baseline: (Process, SocketAddr),
    sandbox: Process,
    /// The database to copy into.
    copied_into: String,
    /// What is stored of a thousand events.
    stored: Vec<String>,
    /// The next number that no event has yet.
    numbers: Arc<AtomicU64>,
    /// How much longer the run may wait for others to leave the machine alone.
    patience: Duration,
    _cluster: Cluster,
}

/// The whole benchmark as the variables say. Whether every event is accounted for.
pub async fn bench() -> anyhow::Result<bool> {
    let quick = variable("QUICK").is_some_and(|quick| quick != "0");
    let plan = if quick { Plan::QUICK } else { Plan::FULL };
    let out = checkout().join("target/bench");
    let logs = out.join("logs");
    let _ = fs::remove_dir_all(&logs); // of an earlier run, if there was one
    fs::create_dir_all(&logs)?;
    heading("database and services");
    let mut bench = Bench::open(plan, logs).await?;
    heading("measuring");
    let mut report = Report {
        quick,
        machine: usage::machine()?,
        postgres: bench.server.describe().await?,
        thousand_a_minute: Some(bench.everyday().await?),
        thousand_leads_a_minute: Some(bench.captures().await?),
        ..Report::default()
    };
    for number in 1..=plan.rounds {
        say(&format!("round {number} of {}", plan.rounds));
        report.rounds.push(bench.round(number).await?);
    }
    for system in [Some(&bench.system), bench.other.as_ref()].into_iter().flatten() {
        report
            .bytes_per_event
            .insert(system.name, system.bytes_per_event().await?);
    }
    report.claims = Some(claims::claims(&bench).await?);
    report.expiry = Some(claims::expiry(&bench).await?);
    say("the sum of all events");
    report.books = Some(bench.system.books().await?);
    if let Some(other) = &bench.other {
        report.books_of_other_build = Some((other.accepted(), other.at_meta().await?));
    }
    report.script = Some(bench.script().await?);
    report.gateway_rss_peak_mb = bench.system.gateway_memory()?.1 as f64 / 1e6;
    bench.close().await?;
    fs::write(
        out.join("report.json"),
        serde_json::to_string_pretty(&report.json())? + "\n",
    )?;
    let text = report.text();
    fs::write(out.join("report.txt"), &text)?;
    let out = out.display();
    print(&format!("{text}As JSON: {out}/report.json. Logs: {out}/logs\n"));
    Ok(report.problems().is_empty())
}

impl Bench {
    async fn open(plan: Plan, logs: PathBuf) -> anyhow::Result<Self> {
        let cluster = Cluster::fresh(&local().join("bench/postgres"), "--bench")?;
        let server = Server::connect(cluster.url()).await?;
        let meta = free_address(0)?;
        let token = format!("*={TOKEN}");
        let sandbox = Program::new(&beside(), "rastro-sandbox")
            .arguments(&[
                "--listen",
                &meta.to_string(),
                "--token",
                &token,
                "--keep-events",
                "0",
            ])
            .logging_to(&logs.join("rastro-sandbox.log"));
        let sandbox = sandbox.start()?.await_ready(meta, "/healthz").await?;
        // Other ids in every run, also to a sandbox that remembers.
        let now = Clock::system().now();
        let run = format!("bench-{:x}", now.timestamp());
        let event = lead(&run, now);
        let numbers = Arc::new(AtomicU64::new(1));
        let start = async |name, dataset, programs| {
            System::start(&server, name, dataset, programs, meta, &event, &numbers, &logs).await
        };
        let system = start(THIS_BUILD, DATASET, beside()).await?;
        let other = match variable("BASELINE_BIN_DIR") {
            Some(folder) => Some(start("the other build", OTHER_DATASET, folder.into()).await?),
            None => None,
        };
        let naive = server.create("lab_naive").await?;
        books::connect(&naive).await?.batch_execute(NAIVE_SCHEMA).await?;
        let address = free_address(0)?;
        let program = Program::new(&beside(), "rastro-lab")
            .arguments(&["baseline", &address.to_string(), DATASET])
            .with(&[("RASTRO_LAB_DATABASE_URL", &naive)])
            .logging_to(&logs.join("baseline.log"));
        let baseline = program.start()?.await_ready(address, "/readyz").await?;
        Ok(Bench {
            plan,
            copied_into: server.create_migrated("lab_copy").await?,
            server,
            system,
            other,
            baseline: (baseline, address),
            sandbox,
            stored: stored_leads(&run, now, copy::EVENTS)?,
            numbers,
            patience: plan.patience,
            _cluster: cluster,
        })
    }

    /// A meter of all that is ours; in the gateway's place may be the baseline, or nothing.
    fn meter(&self, gateway: Option<&Process>, forwarder: Option<&Process>) -> Meter<'_> {
        self.meter_of(gateway, forwarder.map(|forwarder| ("forwarder", forwarder)))
    }

    /// The same with another service beside the gateway.
    fn meter_of(&self, gateway: Option<&Process>, other: Option<(&'static str, &Process)>) -> Meter<'_> {
        let mut processes = vec![("meta", self.sandbox.pid())];
        processes.extend(gateway.map(|gateway| ("gateway", gateway.pid())));
        processes.extend(other.map(|(name, process)| (name, process.pid())));
        Meter::new(&self.server, &processes)
    }

    /// Waits for a quiet machine, within what patience the run has left.
    async fn await_quiet(&mut self) -> anyhow::Result<()> {
        let mut patience = self.patience;
        let meter = Meter::new(&self.server, &[]);
        meter.await_quiet(&mut patience).await?;
        self.patience = patience;
        Ok(())
    }

    /// Every configuration once, for a few seconds each. Rounds repeat, so that whatever changes on the
    /// machine meanwhile changes all of them.
    async fn round(&mut self, number: usize) -> anyhow::Result<Round> {
        let mut round = Round::new();
        let closed = Pace::Closed(Duration::ZERO);
        self.await_quiet().await?;
        let (process, address) = &self.baseline;
        let mut load = self.system.load(SINGLES, 1, closed, self.plan.window);
        // Not in the books: these events go into a database of their own.
        load.targets = vec![*address];
        let meter = self.meter(Some(process), None);
        round.insert(NAIVE, meter.measure(load).await?.0);
        for (name, connections, events) in [(SINGLE, SINGLES, 1), (BATCH, BATCHES, 1_000)] {
            self.await_quiet().await?;
            let load = self.system.load(connections, events, closed, self.plan.window);
            let meter = self.meter(Some(&self.system.gateway), None);
            let (measurement, outcome) = meter.measure(load).await?;
            self.system.add(&outcome);
            round.insert(name, measurement);
        }
        self.doors(&mut round).await?;
        self.watched(&mut round, number).await?;
        self.await_quiet().await?;
        round.insert(COPY, self.copied().await?);
        self.await_quiet().await?;
        round.insert(DRAIN, self.drain().await?);
        // Each build goes first as often as the other.
        let mut turns = vec![THROUGH, THROUGH_OTHER];
        turns.rotate_left(number % 2);
        for name in turns {
            let system = match name {
                THROUGH => Some(&self.system),
                _ => self.other.as_ref(),
            };
            if system.is_some() {
                self.await_quiet().await?;
                round.insert(name, self.through(name).await?);
            }
        }
        Ok(round)
    }

    async fn copied(&self) -> anyhow::Result<Measurement> {
        let meter = self.meter(None, None);
        let window = self.plan.window;
        copy::measure(&meter, &self.copied_into, &self.stored, &self.numbers, window).await
    }

    /// Delivers everything that the round's loads left, to a sandbox that answers at once.
    async fn drain(&self) -> anyhow::Result<Measurement> {
        let system = &self.system;
        let accepted = system.accepted();
        let before = system.delivered().await?;
        let backlog = accepted - before;
        let forwarder = system.start_forwarder().await?;
        let meter = self.meter(Some(&system.gateway), Some(&forwarder));
        let part = |share: f64| before + (backlog as f64 * share) as u64;
        let began = Instant::now();
        let mut first = None;
        let measurement = loop {
            let delivered = system.delivered().await?;
            match first {
                None if delivered >= part(DRAIN_FROM) => first = Some((meter.read().await?, delivered)),
                Some((reading, from)) if delivered >= part(DRAIN_UNTIL) => {
                    break Measurement::between(&reading, &meter.read().await?, delivered - from);
                }
                _ => {}
            }
            ensure!(
                began.elapsed() < Duration::from_secs(120),
                "the forwarder delivers nothing"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        system.await_delivery().await?;
        forwarder.stop().await?;
        Ok(measurement)
    }

    /// In and out at once: as many single requests as it takes, while the forwarder delivers them. The slower
    /// of the two rates counts.
    async fn through(&self, name: &str) -> anyhow::Result<Measurement> {
        let system = match name {
            THROUGH => &self.system,
            _ => self.other.as_ref().context("there is no other build")?,
        };
        let forwarder = system.start_forwarder().await?;
        let meter = self.meter(Some(&system.gateway), Some(&forwarder));
        let load = system.load(SINGLES, 1, Pace::Closed(Duration::ZERO), self.plan.window);
        let running = load.start().await?;
        tokio::time::sleep_until(running.from.into()).await;
        let (before, delivered) = (meter.read().await?, system.delivered().await?);
        tokio::time::sleep_until(running.until.into()).await;
        let (after, delivered) = (meter.read().await?, system.delivered().await? - delivered);
        let mut outcome = running.outcome().await?;
        system.add(&outcome);
        system.await_delivery().await?;
        forwarder.stop().await?;
        let events = outcome.accepted_in_time.min(delivered);
        Ok(Measurement {
            p50_ms: outcome.quantile_ms(0.50),
            p95_ms: outcome.quantile_ms(0.95),
            p99_ms: outcome.quantile_ms(0.99),
            refused: outcome.refused(),
            ..Measurement::between(&before, &after, events)
        })
    }

    /// What a small business sends, with all services at work: what everything costs when next to nothing
    /// happens.
    async fn everyday(&mut self) -> anyhow::Result<Everyday> {
        say(&format!("1,000 a minute for {:?}", self.plan.everyday));
        self.await_quiet().await?;
        let system = &self.system;
        let gateway_rss = system.gateway_memory()?.0;
        let before = Commits::read(&system.metrics().await?);
        let (measurement, forwarder, worker) = self.for_a_while(system.single_event()).await?;
        let commits = Commits::read(&system.metrics().await?).since(&before);
        let rss = |process: &Process| usage::memory(process.pid()).map(|(now, _)| now);
        let everyday = Everyday {
            measurement,
            commit_p95_at_most_ms: commits.quantile_at_most_ms(0.95),
            commit_p99_at_most_ms: commits.quantile_at_most_ms(0.99),
            gateway_rss_idle_mb: gateway_rss as f64 / 1e6,
            gateway_rss_mb: rss(&system.gateway)? as f64 / 1e6,
            forwarder_rss_mb: rss(&forwarder)? as f64 / 1e6,
            worker_rss_mb: rss(&worker)? as f64 / 1e6,
        };
        forwarder.stop().await?;
        worker.stop().await?;
        Ok(everyday)
    }

    /// The same of leads, each with all that a capture may bring.
    async fn captures(&mut self) -> anyhow::Result<Measurement> {
        say(&format!("1,000 leads a minute for {:?}", self.plan.everyday));
        self.await_quiet().await?;
        let leads = self.system.lead_with_everything();
        let (measurement, forwarder, worker) = self.for_a_while(leads).await?;
        forwarder.stop().await?;
        worker.stop().await?;
        Ok(measurement)
    }

    /// Sends a thousand of these a minute until all are delivered; the forwarder and the worker that were
    /// started for it go on.
    async fn for_a_while(&self, template: Template) -> anyhow::Result<(Measurement, Process, Process)> {
        let system = &self.system;
        let (forwarder, worker) = (system.start_forwarder().await?, system.start_worker().await?);
        let window = Window {
            warm_up: Duration::from_secs(1),
            measured: self.plan.everyday,
        };
        let pace = Pace::PerSecond(THOUSAND_A_MINUTE);
        let load = system.load_of(Arc::new(template), 4, pace, window);
        let processes = [
            ("meta", self.sandbox.pid()),
            ("gateway", system.gateway.pid()),
            ("forwarder", forwarder.pid()),
            ("worker", worker.pid()),
        ];
        let (measurement, outcome) = Meter::new(&self.server, &processes).measure(load).await?;
        system.add(&outcome);
        system.await_delivery().await?;
        Ok((measurement, forwarder, worker))
    }

    /// Ends every process, and minds how each ends.
    async fn close(self) -> anyhow::Result<()> {
        for system in [Some(self.system), self.other].into_iter().flatten() {
            system.gateway.stop().await?;
        }
        self.baseline.0.stop().await?;
        self.sandbox.stop().await
    }
}
