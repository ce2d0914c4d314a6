//! `make drill-...`: what an operator does rarely and under pressure, done here under load, with the account
//! that chaos gives: what clients were told, against what is stored, against what Meta counted.

pub mod failover;
pub mod restore;
pub mod upgrade;

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rastro_store::Store;
use rastro_test_support::cluster::checkout;
use serde::Serialize;

use crate::books::{self, Census, SEALING_KEY};
use crate::chaos::clients::PATIENCE;
use crate::chaos::faults::Scene;
use crate::chaos::plan::Timing;
use crate::chaos::report::Report;
use crate::chaos::{DRAIN, QUIET, audit};
use crate::load::{Load, Pace, Running};
use crate::{local, print, say, until, variable};

/// Long enough for an outcome to be recorded after whatever a drill does to PostgreSQL.
const TIMING: Timing = Timing {
    lease_seconds: 30,
    ..Timing::LIFELIKE
};

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of the load. Start and drain come on top.
    pub duration: Duration,
    pub clients: u64,
    /// Events, long delivered, that an upgraded database holds before the load.
    pub history: i64,
    /// For the clusters, which are deleted at the end, and the logs, which stay.
    pub folder: PathBuf,
}

/// The account of a drill. Counts are events.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    pub drill: &'static str,
    /// What was done, in order, with the second of the load at which it was done.
    pub steps: Vec<(f64, String)>,
    /// The longest time in which no client was told that an event is stored, in seconds.
    pub longest_stall_seconds: f64,
    pub accepted: u64,
    pub delivered: u64,
    pub lost: u64,
    pub doubled: u64,
    /// What Meta got again and dropped by its id.
    pub repeated_at_meta: u64,
    pub requests_sent_again: u64,
    /// What only this drill counts.
    pub also: Vec<(u64, &'static str)>,
    pub violations: Vec<String>,
}

impl Account {
    fn new(drill: &'static str, steps: Vec<(f64, String)>, stall: Duration, report: Report) -> Self {
        Account {
            drill,
            steps,
            longest_stall_seconds: stall.as_secs_f64(),
            accepted: report.accepted,
            delivered: report.delivered,
            lost: report.lost,
            doubled: report.doubled,
            repeated_at_meta: report.repeated_at_meta,
            requests_sent_again: report.requests_sent_again,
            also: Vec::new(),
            violations: report.violations,
        }
    }

    pub fn all_is_well(&self) -> bool {
        self.violations.is_empty()
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "What was done, by the second of the load:")?;
        for (at, step) in &self.steps {
            writeln!(f, "  {at:>8.1}  {step}")?;
        }
        writeln!(f, "The account, in events:")?;
        for (count, what) in [
            (self.accepted, "accepted: a client was told that they are stored"),
            (self.delivered, "delivered: Meta counts them, each once"),
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (
                self.repeated_at_meta,
                "came to Meta again, which dropped them by their id",
            ),
            (
                self.requests_sent_again,
                "requests of clients had no verdict and were sent again",
            ),
        ]
        .iter()
        .chain(&self.also)
        {
            writeln!(f, "  {count:>8}  {what}")?;
        }
        let stall = self.longest_stall_seconds;
        writeln!(f, "Nothing was accepted for {stall:.1} s at the longest.")?;
        for violation in &self.violations {
            writeln!(f, "VIOLATED: {violation}")?;
        }
        f.write_str(match self.all_is_well() {
            true => "Every promise was kept.",
            false => "Promises were broken.",
        })
    }
}

/// A drill under way: clients send all the time.
struct Drill {
    scene: Scene,
    store: Store,
    load: Running,
    began: Instant,
    duration: Duration,
    steps: Vec<(f64, String)>,
}

impl Drill {
    /// `url` is that of the services; the scene's cluster is the one that is asked in the end.
    async fn begin(scene: Scene, url: &str, options: &Options) -> anyhow::Result<Self> {
        let store = books::store(url, SEALING_KEY)?;
        let load = Load {
            targets: scene.gateways.clone(),
            clients: scene.book.clients(options.clients, 1),
            pace: Pace::Closed(Duration::from_millis(25)),
            window: None,
            patience: PATIENCE,
        };
        Ok(Drill {
            load: load.start().await?,
            scene,
            store,
            began: Instant::now(),
            duration: options.duration,
            steps: Vec::new(),
        })
    }

    fn done(&mut self, what: &str) {
        say(what);
        self.steps
            .push((self.began.elapsed().as_secs_f64(), what.to_owned()));
    }

    /// Waits until a client is told once more that an event is stored.
    async fn until_something_is_accepted(&self) -> anyhow::Result<()> {
        let before = self.scene.book.told().len();
        until(DRAIN, async || {
            let is_more = self.scene.book.told().len() > before;
            Ok(is_more.then_some(()).ok_or("nothing is accepted any more"))
        })
        .await
    }

    /// Lets the load end, waits until nothing is on its way, and gives the account.
    async fn finish(self, drill: &'static str) -> anyhow::Result<Account> {
        let (drained, stall, mut report, census) = self.drain().await?;
        let sql = books::connect_within(drained.scene.cluster.url(), DRAIN).await?;
        audit::complete(&mut report, &drained.scene, &census, &sql, &TIMING).await?;
        Ok(Account::new(drill, drained.steps, stall, report))
    }

    /// Lets the load end and waits until nothing is on its way.
    async fn drain(mut self) -> anyhow::Result<(Drained, Duration, Report, Census)> {
        tokio::time::sleep(self.duration.saturating_sub(self.began.elapsed())).await;
        self.scene.book.end();
        let stall = self.scene.book.longest_stall();
        self.done("clients send nothing new");
        let outcome = tokio::time::timeout(DRAIN, self.load.outcome()).await;
        let mut report = Report {
            requests_sent_again: outcome.context("a client still has no answer")??.sent_again,
            ..Report::default()
        };
        let census = books::settle(&self.store, QUIET, DRAIN, |_| {}).await?;
        let at = self.began.elapsed().as_secs_f64();
        self.steps.push((at, "everything had come to its end".to_owned()));
        if let Err(error) = self.scene.fleet.check().await {
            report.violations.push(format!("no service ends: {error:#}"));
        }
        let drained = Drained {
            scene: self.scene,
            steps: self.steps,
        };
        Ok((drained, stall, report, census))
    }
}

/// A drill whose load has ended and whose events have come to their ends.
struct Drained {
    scene: Scene,
    steps: Vec<(f64, String)>,
}

/// `make drill-upgrade`, as the variables say; its account on the terminal and as JSON. Whether every promise
/// was kept.
pub async fn upgrade() -> anyhow::Result<bool> {
    let options = options("drill-upgrade", 60)?;
    let previous =
        variable("PREVIOUS_BIN_DIR").context("PREVIOUS_BIN_DIR names the previous version's programs")?;
    let previous = PathBuf::from(previous);
    play(upgrade::run(&options, &previous), &options).await
}

/// `make drill-failover`, as the variables say; its account on the terminal and as JSON. Whether every
/// promise was kept.
pub async fn failover() -> anyhow::Result<bool> {
    let options = options("drill-failover", 40)?;
    play(failover::run(&options), &options).await
}

/// `make drill-restore`, as the variables say; its account on the terminal and as JSON. Whether every promise
/// was kept.
pub async fn restore() -> anyhow::Result<bool> {
    let options = options("drill-restore", 40)?;
    let target = match variable("TARGET").as_deref() {
        None | Some("end") => restore::Target::EndOfArchive,
        Some("moment") => restore::Target::PointInTime,
        Some(other) => bail!("TARGET is end (of the archive) or moment, not {other:?}"),
    };
    play(restore::run(&options, target), &options).await
}

async fn play(
    drill: impl Future<Output = anyhow::Result<Account>>,
    options: &Options,
) -> anyhow::Result<bool> {
    tokio::select! {
        account = drill => finish(&account?, options),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted");
        }
    }
}

fn options(drill: &str, seconds: u64) -> anyhow::Result<Options> {
    let duration = variable("DURATION").map(|text| text.parse());
    let duration = duration.transpose().context("DURATION takes a number")?;
    let history = variable("EVENTS").map(|text| text.parse()).transpose();
    Ok(Options {
        duration: Duration::from_secs(duration.unwrap_or(seconds)),
        clients: 8,
        history: history.context("EVENTS takes a number")?.unwrap_or(0),
        folder: local().join(drill),
    })
}

fn finish(account: &Account, options: &Options) -> anyhow::Result<bool> {
    let file = checkout().join(format!("target/drills/{}.json", account.drill));
    fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
    fs::write(&file, serde_json::to_string_pretty(account)? + "\n")?;
    let logs = options.folder.join("logs");
    let (file, logs) = (file.display(), logs.display());
    print(&format!(
        "{account}\nAs JSON: {file}. The services' logs: {logs}\n"
    ));
    Ok(account.all_is_well())
}
