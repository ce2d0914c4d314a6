//! `rastro-lab`: the program behind `make demo`, `bench`, `lookup`, `chaos` and the drills. Its settings are
//! variables, so that they can stand before `make`.

use std::process::ExitCode;

use anyhow::bail;
use rastro_lab::bench::baseline;
use rastro_lab::demo::{landing, services};
use rastro_lab::{bench, chaos, demo, drills};

const USAGE: &str = "\
Usage: rastro-lab demo|down|migrate|bench|lookup|chaos|drill-failover|drill-restore|drill-upgrade

  demo      sends events through the real services, prints the account, and leaves everything running. DATABASE_URL: uses that
            database instead of a private one. FAILURES=1: also makes five failures, to find their causes in the dashboard
  down      stops the demo; its data stays
  migrate   brings the demo's database, or DATABASE_URL's, to the newest schema
  bench     measures the services against a baseline. QUICK=1: four minutes. BASELINE_BIN_DIR=folder: compares with
            another build's programs, in turns
  lookup    finds events by their ids among ten million (EVENTS=n: others), and says how long that takes
  chaos     breaks everything around the services at random, and accounts for every event. SEED=n: plans the same again.
            DURATION=seconds: of load, 150 by default
  drill-failover
            kills the primary of two PostgreSQLs under load, promotes the other, and accounts for every event.
            DURATION=seconds: of load, 40 by default
  drill-restore
            loses the database under load, restores it from a base backup and its archived log, and accounts for every event.
            DURATION=seconds: of load, 40 by default. TARGET=moment: restores it to a moment before the archive's end
  drill-upgrade
            runs the previous version's programs (PREVIOUS_BIN_DIR=folder) under load, migrates, replaces each by this
            version's in turn, and accounts for every event. DURATION=seconds: of load, 60 by default. EVENTS=n: on a database
            that holds so many already
";

/// The gateway's own, so that what is compared with the baseline is how events are stored.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rastro-lab: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is as it has to be.
fn run() -> anyhow::Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match arguments.as_slice() {
        ["demo"] => runtime.block_on(demo::demo()),
        ["down"] => services::stop().map(|()| true),
        ["migrate"] => runtime.block_on(services::migrate()).map(|()| true),
        ["bench"] => runtime.block_on(bench::bench()),
        ["lookup"] => runtime.block_on(bench::lookup::lookup()),
        ["drill-failover"] => runtime.block_on(drills::failover()),
        ["drill-restore"] => runtime.block_on(drills::restore()),
        ["drill-upgrade"] => runtime.block_on(drills::upgrade()),
        ["chaos"] => runtime.block_on(chaos::chaos()),
        // The page of the demo: where it listens, where it sends to, and with which key.
        ["landing", listen, endpoint, key] => landing::serve(listen, endpoint, key).map(|()| true),
        // The server that the gateway is measured against; RASTRO_LAB_DATABASE_URL names its database.
        ["baseline", listen, dataset] => baseline::serve(listen, dataset.parse()?).map(|()| true),
        _ => bail!(USAGE),
    }
}
