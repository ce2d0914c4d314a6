//! The laboratory: the built services under load, shown (`make demo`), measured (`make bench`) and broken
//! (`make chaos`).
//!
//! Each sends events with the load generator ([`load`]) and then lets the bookkeeper ([`books`]) compare
//! three witnesses: what the gateway answered, what the database holds, and what the stand-in for Meta
//! counted. What the lab asks of tables is in [`books`]. Programs are started by `rastro_test_support`.
//!
//! [`demo`]: a stream of events that tells a story, the account of it, and services that go on running.
//! [`drills`]: what an operator does once a year, under load, with the same account. [`bench`]: ratios to
//! baselines in one run. [`chaos`]: everything breaks at random, and then every event is accounted for.

pub mod bench;
pub mod books;
pub mod chaos;
pub mod demo;
pub mod drills;
pub mod load;
pub mod sample;

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where every run leaves its files, and the demo its services: `.local` in the checkout.
pub fn local() -> std::path::PathBuf {
    rastro_test_support::cluster::checkout().join(".local")
}

/// A variable of the environment, if it is set to something: the only settings that the programs have.
#[expect(clippy::disallowed_methods, reason = "this is the programs' configuration")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The heading of a part of the output.
pub(crate) fn heading(what: &str) {
    eprintln!("==> {what}");
}

/// One line of progress.
pub(crate) fn say(what: &str) {
    eprintln!("    {what}");
}

/// What a run found: the one thing that goes to stdout.
#[expect(clippy::print_stdout, reason = "reports are the output of these programs")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

/// Looks until something is there, which it returns; until then the look says what is missing, and that is the
/// error when patience is over.
pub(crate) async fn until<T, M: std::fmt::Display>(
    patience: Duration,
    look: impl AsyncFn() -> anyhow::Result<Result<T, M>>,
) -> anyhow::Result<T> {
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let began = Instant::now();
    loop {
        match look().await? {
            Ok(found) => return Ok(found),
            Err(missing) => anyhow::ensure!(began.elapsed() < patience, "{missing}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A count that grows, as one line on stderr: rewritten in place on a terminal, said again every few seconds
/// elsewhere.
#[derive(Default)]
pub(crate) struct Progress {
    said: Option<Instant>,
}

impl Progress {
    const EVERY: Duration = Duration::from_secs(5);

    pub(crate) fn show(&mut self, line: &str) {
        if std::io::stderr().is_terminal() {
            eprint!("\r    {line:<60}");
            // Nothing depends on whether progress can be seen.
            let _ = std::io::stderr().flush();
        } else if self.said.is_none_or(|said| said.elapsed() >= Self::EVERY) {
            eprintln!("    {line}");
        } else {
            return;
        }
        self.said = Some(Instant::now());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if std::io::stderr().is_terminal() && self.said.is_some() {
            eprintln!();
        }
    }
}
