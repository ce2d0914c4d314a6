//! `make chaos`: the real services, two of each, under constant load, while everything around them breaks at
//! random; then an account of every event.
//!
//! [`plan`] draws from a seed what breaks when. A run brings up a durable PostgreSQL of its own, a stand-in
//! for Meta and the services ([`fleet`]), sends ([`clients`]), breaks ([`faults`]), waits until all is quiet,
//! and audits ([`audit`]): what the clients were told against what is stored, what was stored against what
//! Meta counted. Meanwhile [`payments`] are made at a stand-in for Mercado Pago, and what was paid is held
//! against the books and against Meta's Purchases.
//!
//! The plan is the same for the same seed, and so are the events. What the scheduler of the machine makes of
//! it is not.

pub mod audit;
pub mod clients;
pub mod faults;
pub mod fleet;
pub mod payments;
pub mod plan;
pub mod report;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rastro_sandbox::{Sandbox, SandboxConfig};
use rastro_store::{DeadLetterFilter, DeadLetterReason, RetryRequest, Store};
use rastro_test_support::cluster::{Cluster, checkout};
use rastro_test_support::services::{Seed, Services};
use tokio::sync::Mutex;
use tokio::task::{JoinSet, spawn_blocking};
use uuid::Uuid;

use crate::books::{self, Census, SEALING_KEY};
use crate::chaos::clients::{Book, PATIENCE, SECRET_KEY};
use crate::chaos::faults::{Scene, distance, poison};
use crate::chaos::fleet::{Fleet, RETRIES};
use crate::chaos::payments::Shop;
use crate::chaos::plan::{Plan, Timing};
use crate::chaos::report::Report;
use crate::load::{Load, Pace};
use crate::{local, print, say, variable};

/// The dataset that everything is sent to.
const SEED: Seed<'_> = Seed {
    dataset_id: "123456789012345",
    access_token: "EAAchaos0token",
    secret_key: SECRET_KEY,
    publishable_key: "pk_0123456789abcdef0123456789abcdef",
};
/// How long everything may take to come to its end once nothing breaks any more.
pub(crate) const DRAIN: Duration = Duration::from_secs(90);
/// Nothing is on its way when nothing was for so long: what failed in an outage is looked for for a second
/// after it.
pub(crate) const QUIET: Duration = Duration::from_millis(2_500);

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Of the load. Start and drain come on top.
    pub duration: Duration,
    pub clients: u64,
    pub timing: Timing,
    /// For the cluster, which is deleted at the end, and the logs, which stay.
    pub folder: PathBuf,
}

/// One run as the variables say, its account on the terminal and as JSON. Whether every promise was kept.
pub async fn chaos() -> anyhow::Result<bool> {
    let number = |name: &str| {
        let number = variable(name).map(|text| text.parse::<u64>());
        number
            .transpose()
            .with_context(|| format!("{name} takes a number"))
    };
    let options = Options {
        seed: number("SEED")?.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        duration: Duration::from_secs(number("DURATION")?.unwrap_or(150)),
        clients: 8,
        timing: Timing::LIFELIKE,
        folder: local().join("chaos"),
    };
    say(&format!(
        "seed {}, {} s of load",
        options.seed,
        options.duration.as_secs()
    ));
    let report = tokio::select! {
        report = run(&options) => report?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted");
        }
    };
    let file = checkout().join("target/chaos/report.json");
    fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
    fs::write(&file, serde_json::to_string_pretty(&report)? + "\n")?;
    let logs = options.folder.join("logs");
    let (file, logs) = (file.display(), logs.display());
    print(&format!(
        "{report}\nAs JSON: {file}. The services' logs: {logs}\n"
    ));
    Ok(report.all_is_well())
}

/// Brings everything up, breaks it, waits, and gives the account. An error means that the run itself failed:
/// whether the promises were kept, the report says.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = Plan::draw(options.seed, options.duration, &options.timing);
    let (scene, shop) = set_up(options).await?;
    let scene = Arc::new(scene);
    let mut report = Report {
        seed: options.seed,
        ..Report::default()
    };
    let store = books::store(scene.cluster.url(), SEALING_KEY)?;
    let stop = Arc::new(AtomicBool::new(false));
    let balancing = {
        let (store, stop) = (store.clone(), stop.clone());
        tokio::spawn(async move { audit::balance(store, &stop).await })
    };
    let began = Instant::now();
    let load = Load {
        targets: scene.gateways.clone(),
        clients: scene.book.clients(options.clients, options.seed),
        pace: Pace::Closed(Duration::from_millis(25)),
        window: None,
        patience: PATIENCE,
    };
    let load = load.start().await?;
    let buying = tokio::spawn(shop.clone().buy(options.seed));
    let telling = tokio::spawn(shop.clone().tell(options.seed, stop.clone()));
    break_things(&scene, &plan, &mut report).await?;
    tokio::time::sleep(options.duration.saturating_sub(began.elapsed())).await;
    scene.book.end();
    shop.close();
    report.load_seconds = began.elapsed().as_secs_f64();

    let began = Instant::now();
    match tokio::time::timeout(DRAIN, load.outcome()).await {
        Ok(outcome) => report.requests_sent_again = outcome?.sent_again,
        Err(_) => report
            .violations
            .push("liveness: a client still has no answer".to_owned()),
    }
    buying.await?;
    let sql = books::connect_within(scene.cluster.url(), DRAIN).await?;
    shop.settle(&sql, DRAIN).await?;
    let mut census = drain(&store).await?;
    // Before anything is retried by hand.
    let wrong = books::wrong_retries(&sql, RETRIES).await?;
    if wrong > 0 {
        let what = format!("attempts: {wrong} events have a wrong number of retries");
        report.violations.push(what);
    }
    report.retried_by_hand = retry_what_was_given_up(&store).await?;
    if report.retried_by_hand > 0 {
        census = drain(&store).await?;
    }
    report.drain_seconds = began.elapsed().as_secs_f64();

    stop.store(true, Ordering::Relaxed);
    telling.await??;
    let (balances, violations) = balancing.await?;
    report.balances = balances;
    report.violations.extend(violations);
    if let Err(error) = scene.fleet.check().await {
        report.violations.push(format!("no service ends: {error:#}"));
    }
    audit::complete(&mut report, &scene, &census, &sql, &options.timing).await?;
    Ok(report)
}

async fn set_up(options: &Options) -> anyhow::Result<(Scene, Arc<Shop>)> {
    let folder = options.folder.join("postgres");
    let cluster = spawn_blocking(move || Cluster::fresh(&folder, "--durable")).await??;
    let services = Services::beside_this_program(cluster.url(), SEALING_KEY);
    let gateways = fleet::gateway_addresses()?;
    let shop = Shop::open(&gateways).await?;
    let scene = stage_with(
        (cluster, gateways, Some(shop.clone())),
        &services,
        &options.timing,
        &options.folder,
    )
    .await?;
    let sql = books::connect_within(scene.cluster.url(), DRAIN).await?;
    books::money::await_dataset(&sql, SEED.dataset_id.parse()?, DRAIN).await?;
    Ok((scene, shop))
}

/// These services, two of each, between clients and a stand-in for Meta; nothing is broken yet. `cluster` is
/// the one that is asked in the end.
pub(crate) async fn stage(
    cluster: Cluster,
    services: &Services,
    timing: &Timing,
    folder: &Path,
) -> anyhow::Result<Scene> {
    let gateways = fleet::gateway_addresses()?;
    stage_with((cluster, gateways, None), services, timing, folder).await
}

/// The same with gateways at these addresses, and payments if there is a shop.
async fn stage_with(
    (cluster, gateways, shop): (Cluster, Vec<SocketAddr>, Option<Arc<Shop>>),
    services: &Services,
    timing: &Timing,
    folder: &Path,
) -> anyhow::Result<Scene> {
    services.migrate().await?;
    let config = SandboxConfig {
        keep_events: usize::MAX,
        keep_requests: usize::MAX,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config.with_token(SEED.dataset_id, SEED.access_token)).await?;
    for always in [poison(), distance()] {
        sandbox.fail_with(always)?;
    }
    let logs = folder.join("logs");
    let _ = fs::remove_dir_all(&logs); // of an earlier run, if there was one
    let mercado_pago = shop.as_ref().map(|shop| shop.mercado_pago.url());
    let (meta, mercado_pago) = (sandbox.url(), mercado_pago.as_deref());
    let fleet = Fleet::start(services, &SEED, &gateways, (&meta, mercado_pago), timing, &logs)?;
    Ok(Scene {
        cluster: Arc::new(cluster),
        sandbox,
        fleet,
        book: Arc::new(Book::default()),
        gateways,
        shop,
        downtime: Mutex::default(),
    })
}

/// Carries out the plan and waits until the last fault has ended.
async fn break_things(scene: &Arc<Scene>, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    for fault in &plan.faults {
        tokio::time::sleep(fault.at.saturating_sub(began.elapsed())).await;
        *report.faults.entry(fault.kind).or_default() += 1;
        let (scene, fault) = (scene.clone(), *fault);
        under_way.spawn(async move { (fault.kind, scene.inflict(fault).await) });
    }
    while let Some(ended) = under_way.join_next().await {
        let (kind, ended) = ended?;
        ended.with_context(|| format!("the fault \"{}\" could not be played", kind.describe()))?;
    }
    Ok(())
}

/// Waits until nothing is on its way, and returns the last count.
async fn drain(store: &Store) -> anyhow::Result<Census> {
    books::settle(store, QUIET, DRAIN, |_| {}).await
}

/// What an operator does after an outage that was longer than the retries. How many events that were.
async fn retry_what_was_given_up(store: &Store) -> anyhow::Result<u64> {
    let filter = DeadLetterFilter {
        reason: Some(DeadLetterReason::Exhausted),
        ..DeadLetterFilter::default()
    };
    let request = RetryRequest {
        dry_run: false,
        spread: Duration::ZERO,
        at_most: i64::MAX,
        request_id: Uuid::now_v7(),
        note: "after the faults",
    };
    let counts = store.retry_failed(&filter, &request).await?;
    Ok(u64::try_from(counts.retried)?)
}
