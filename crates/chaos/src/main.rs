//! `rastro-chaos`: one run, its account on the terminal and as JSON. Exits with 1 if a promise was broken.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use rastro_chaos::run::programs_beside;
use rastro_chaos::{Options, run};

const USAGE: &str = "\
Breaks everything around the built services at random, under load, and accounts for every event.

Usage: rastro-chaos --repository DIR --folder DIR --report FILE [options]

  --repository DIR   the checkout, for its scripts
  --folder DIR       for the run's own PostgreSQL (deleted at the end) and the services' logs
  --report FILE      where the account is written as JSON
  --seed N           what breaks when (default: by chance)
  --duration S       seconds of load (default 150)
  --clients N        clients that send at the same time (default 8)
  --help             prints this
";

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match chaos().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rastro-chaos: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether every promise was kept.
#[expect(
    clippy::print_stdout,
    reason = "the account is for the person at the terminal"
)]
async fn chaos() -> anyhow::Result<bool> {
    let Some((options, report_file)) = read(std::env::args().skip(1))? else {
        print!("{USAGE}");
        return Ok(true);
    };
    println!("Seed {}, {} s of load.", options.seed, options.duration.as_secs());
    let report = tokio::select! {
        report = run(&options) => report?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted");
        }
    };
    report.write(&report_file)?;
    println!("{report}");
    println!(
        "As JSON: {}. The services' logs: {}/logs",
        report_file.display(),
        options.folder.display()
    );
    Ok(report.all_is_well())
}

/// The arguments; `None` when help was asked for.
fn read(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Option<(Options, PathBuf)>> {
    let (mut repository, mut folder, mut report) = (None, None, None);
    let (mut seed, mut seconds, mut clients) = (u64::from(rand::random::<u32>()), 150, 8);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--help" => return Ok(None),
            "--repository" => repository = Some(PathBuf::from(value()?)),
            "--folder" => folder = Some(PathBuf::from(value()?)),
            "--report" => report = Some(PathBuf::from(value()?)),
            "--seed" => seed = value()?.parse().context("--seed takes a number")?,
            "--duration" => seconds = value()?.parse().context("--duration takes seconds")?,
            "--clients" => clients = value()?.parse().context("--clients takes a number")?,
            _ => bail!("unknown argument {flag}; see --help"),
        }
    }
    let options = Options {
        seed,
        duration: Duration::from_secs(seconds),
        clients,
        pause: Duration::from_millis(25),
        repository: repository.context("--repository is missing; see --help")?,
        folder: folder.context("--folder is missing; see --help")?,
        programs: programs_beside(&std::env::current_exe()?).context("where are the services?")?,
    };
    Ok(Some((
        options,
        report.context("--report is missing; see --help")?,
    )))
}
