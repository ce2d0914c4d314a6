//! What the program is told, and how long it therefore measures.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

pub(crate) const USAGE: &str = "\
Measures the services against baselines, in one run on one machine.

Usage: rastro-bench --programs FOLDER --out FOLDER [--quick]

  --programs FOLDER   the built programs, such as target/release
  --out FOLDER        where report.json and the services' logs go
  --quick             two to three minutes: the same measurements, fewer and shorter rounds
  --help              prints this

RASTRO_BENCH_DATABASE_URL names the maintenance database of a PostgreSQL server on this machine, as its superuser.
The benchmark makes and drops databases there, and takes all of the server's work for its own.
";

pub(crate) struct Options {
    pub(crate) programs: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) quick: bool,
    pub(crate) database_url: String,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// A thousand events a minute are sent for so long.
    pub(crate) everyday: Duration,
    /// A million events a minute are sent for so long.
    pub(crate) million: Duration,
    /// The backlog of the busy dataset beside which a small one sends.
    pub(crate) busy_backlog: u64,
    /// Events of the small dataset, at most.
    pub(crate) small_events: usize,
    /// The large backlog whose claims are timed, and the small one.
    pub(crate) backlogs: (i64, i64),
    pub(crate) claims: usize,
    /// So many events have passed through the tables when what they cost is looked at again.
    pub(crate) churn_events: u64,
    /// At most so many wait meanwhile.
    pub(crate) churn_backlog: u64,
    /// A transaction that somebody left open.
    pub(crate) open_transaction: Duration,
    pub(crate) keys_to_expire: u64,
    /// How long the whole run may wait for other processes to leave the machine alone.
    pub(crate) patience: Duration,
}

impl Options {
    /// Reads arguments and the variable. `None` when help was asked for.
    #[expect(
        clippy::disallowed_methods,
        reason = "this module is the program's configuration"
    )]
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Option<Self>> {
        let (mut programs, mut out, mut quick) = (None, None, false);
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--help" => return Ok(None),
                "--programs" => programs = Some(PathBuf::from(value()?)),
                "--out" => out = Some(PathBuf::from(value()?)),
                "--quick" => quick = true,
                _ => bail!("unknown argument {flag}; see --help"),
            }
        }
        Ok(Some(Options {
            programs: programs.context("--programs is missing; see --help")?,
            out: out.context("--out is missing; see --help")?,
            quick,
            database_url: std::env::var("RASTRO_BENCH_DATABASE_URL")
                .context("the variable RASTRO_BENCH_DATABASE_URL is missing; see --help")?,
        }))
    }

    pub(crate) fn plan(&self) -> Plan {
        let seconds = Duration::from_secs;
        if self.quick {
            return Plan {
                quick: true,
                rounds: 3,
                warm_up: Duration::from_millis(300),
                measured: Duration::from_millis(1_200),
                everyday: seconds(10),
                million: seconds(10),
                busy_backlog: 150_000,
                small_events: 10,
                backlogs: (5_000_000, 100_000),
                claims: 30,
                churn_events: 0,
                churn_backlog: 120_000,
                open_transaction: seconds(5),
                keys_to_expire: 50_000,
                patience: seconds(20),
            };
        }
        Plan {
            quick: false,
            rounds: 5,
            warm_up: seconds(1),
            measured: seconds(4),
            everyday: seconds(60),
            million: seconds(60),
            busy_backlog: 500_000,
            small_events: 30,
            backlogs: (5_000_000, 100_000),
            claims: 80,
            churn_events: 10_000_000,
            churn_backlog: 1_000_000,
            open_transaction: seconds(60),
            keys_to_expire: 500_000,
            patience: seconds(300),
        }
    }
}
