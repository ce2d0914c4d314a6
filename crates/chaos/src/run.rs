//! One run, from an empty folder to its account.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use rastro_sandbox::{Sandbox, SandboxConfig};
use rastro_store::{
    Account, DatabaseConfig, DeadLetterFilter, DeadLetterReason, Migrator, RetryRequest, Store,
};
use tokio::sync::Mutex;
use tokio::task::{JoinSet, spawn_blocking};
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::faults::{Scene, connect, distance, poison};
use crate::fleet::Fleet;
use crate::load::{self, Book};
use crate::plan::Plan;
use crate::report::Report;
use crate::{ACCESS_TOKEN, DATASET_ID, SEALING_KEY, audit};

/// How long everything may take to come to its end once nothing breaks any more.
const DRAIN: Duration = Duration::from_secs(90);
/// Nothing is on its way when nothing was for so long: what failed in an outage is looked for for a second after it.
const QUIET: Duration = Duration::from_millis(2_500);

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// Of the load. Start and drain come on top.
    pub duration: Duration,
    pub clients: u64,
    /// Of each client, between two requests.
    pub pause: Duration,
    /// The checkout, for its `scripts/postgres.sh`.
    pub repository: PathBuf,
    /// For the cluster, which is deleted at the end, and the logs, which stay.
    pub folder: PathBuf,
    /// Where the built services are.
    pub programs: PathBuf,
}

/// Brings everything up, breaks it, waits, and gives the account. An error means that the run itself failed: whether the
/// promises were kept, the report says.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = Plan::draw(options.seed, options.duration);
    let scene = Arc::new(set_up(options).await?);
    let mut report = Report {
        seed: options.seed,
        ..Report::default()
    };

    let store = store(&scene.database_url)?;
    let stop = Arc::new(AtomicBool::new(false));
    let balancing = {
        let (store, stop) = (store.clone(), stop.clone());
        tokio::spawn(async move { audit::balance(store, &stop).await })
    };
    let began = Instant::now();
    let clients = load::start(
        &scene.book,
        &scene.fleet.conversions,
        options.clients,
        options.pause,
        options.seed,
    )?;
    break_things(&scene, &plan, &mut report).await?;
    tokio::time::sleep(options.duration.saturating_sub(began.elapsed())).await;
    scene.book.end();
    report.load_seconds = began.elapsed().as_secs_f64();

    let began = Instant::now();
    if tokio::time::timeout(DRAIN, clients.join_all()).await.is_err() {
        report
            .violations
            .push("liveness: a client still has no answer".to_owned());
    }
    let sql = connect(&scene.database_url, DRAIN).await?;
    let mut account = drain(&store).await?;
    report.violations.extend(audit::retries_were_kept(&sql).await?);
    report.retried_by_hand = retry_what_was_given_up(&store).await?;
    if report.retried_by_hand > 0 {
        account = drain(&store).await?;
    }
    report.drain_seconds = began.elapsed().as_secs_f64();

    stop.store(true, Ordering::Relaxed);
    let (balances, violations) = balancing.await?;
    report.balances = balances;
    report.violations.extend(violations);
    report.violations.extend(
        scene
            .fleet
            .check()
            .await
            .err()
            .map(|error| format!("no service ends: {error:#}")),
    );
    audit::complete(&mut report, &scene.book, &account, &sql, &scene.sandbox).await?;
    Ok(report)
}

async fn set_up(options: &Options) -> anyhow::Result<Scene> {
    let Options {
        repository,
        folder,
        programs,
        ..
    } = options.clone();
    let cluster_folder = folder.join("postgres");
    let cluster = spawn_blocking(move || Cluster::start(&repository, &cluster_folder)).await??;
    let database_url = cluster.url().to_owned();
    let migrated = database_url.clone();
    spawn_blocking(move || Migrator::connect(&migrated.into())?.run())
        .await?
        .map_err(anyhow::Error::from_boxed)
        .context("the schema could not be made")?;
    let config = SandboxConfig {
        keep_events: usize::MAX,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config.with_token(DATASET_ID, ACCESS_TOKEN)).await?;
    for always in [poison(), distance()] {
        sandbox.fail_with(always).map_err(anyhow::Error::msg)?;
    }
    let logs = folder.join("logs");
    let fleet = spawn_blocking({
        let (database_url, meta) = (database_url.clone(), sandbox.url());
        move || {
            let _ = std::fs::remove_dir_all(&logs); // of an earlier run, if there was one
            Fleet::start(&programs, &database_url, &meta, &logs)
        }
    })
    .await??;
    let book = Arc::new(Book::default());
    Ok(Scene {
        cluster: Arc::new(cluster),
        database_url,
        sandbox,
        fleet,
        book,
        crashing: Mutex::new(()),
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

/// Waits until nothing is on its way, at most [`DRAIN`], and returns the last account.
async fn drain(store: &Store) -> anyhow::Result<Account> {
    let (began, mut quiet_since) = (Instant::now(), Instant::now());
    loop {
        let account = store.account().await;
        if account.as_ref().is_ok_and(|account| account.pending() == 0) {
            if quiet_since.elapsed() >= QUIET {
                return Ok(account?);
            }
        } else {
            quiet_since = Instant::now();
        }
        if began.elapsed() >= DRAIN {
            return Ok(account?);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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

fn store(database_url: &str) -> anyhow::Result<Store> {
    let config = DatabaseConfig {
        max_connections: 2,
        connect_timeout_seconds: 2,
        statement_timeout_seconds: 20,
        ..DatabaseConfig::new(database_url.into(), SEALING_KEY.into())
    };
    Ok(Store::new(&config, "chaos")?)
}

/// Where cargo puts programs, as seen from one of them or from a test.
pub fn programs_beside(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?;
    if folder.ends_with("deps") {
        folder.parent().map(Path::to_owned)
    } else {
        Some(folder.to_owned())
    }
}
