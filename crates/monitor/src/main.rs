//! The monitor's process: one run of the checks, or the dashboard; see `USAGE`.

use anyhow::bail;
use monitor::config::Config;
use monitor::{MonitorMetrics, check, commands, dashboard};
use rastro_boot::Service;
use rastro_service::health::Routes;

const USAGE: &str =
    "usage: monitor check                  one run: counts, alerts, messages; then exit (for a CronJob)
       monitor check --every 60s      the same, again and again
       monitor check --dry-run        say what this run would send, and change nothing
       monitor check --replay 30d [--rule error_rate] [--fires 8]
                                      say when the rule would have fired, by the counts
       monitor dashboard              serve the web page
       monitor verify DATASET         send one test event and say what Meta answers
       monitor healthcheck            whether the one that runs here lives; with `ready`: whether it can work
       monitor --version";

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    if rastro_boot::answered::<Config>("monitor", VERSION)? {
        return Ok(());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["check", options @ ..] => run_check(&check::Options::parse(options)?).await,
        ["dashboard"] => serve_dashboard().await,
        ["verify", dataset] => commands::verify(dataset.parse()?).await,
        ["--help" | "-h" | "help"] => commands::print(USAGE),
        _ => bail!(USAGE),
    }
}

/// One run, or runs until shutdown.
async fn run_check(options: &check::Options) -> anyhow::Result<()> {
    let (config, service) = start()?;
    let _health = match options.every {
        // A run that is over in a second needs nobody to ask whether it is alive.
        None => {
            if let Err(error) = service.database_is_ours().await {
                if options.is_a_run() {
                    check::not_run(&config).await;
                }
                return Err(error);
            }
            None
        }
        Some(_) => Some(service.serve_health(service.readiness(), Routes::default())?),
    };
    let monitor = check::Monitor::new(&config, &service)?;
    let result = check::run(&monitor, options, &service.shutdown).await;
    service.end();
    result
}

async fn serve_dashboard() -> anyhow::Result<()> {
    let (config, service) = start()?;
    let _health = service.serve_health(service.readiness(), Routes::default())?;
    // The page is there while the database is away; with a wrong sealing key it would seal what nobody can
    // open.
    let refused = async {
        match service.database_opens().await {
            Ok(()) => std::future::pending().await,
            refused => refused,
        }
    };
    tokio::select! {
        ended = dashboard::run(&config, &service) => ended?,
        refused = refused => refused?,
    }
    service.end();
    Ok(())
}

fn start() -> anyhow::Result<(Config, Service<MonitorMetrics>)> {
    let config: Config = rastro_boot::load()?;
    let version = env!("CARGO_PKG_VERSION");
    let service = Service::start("monitor", version, &config.common, MonitorMetrics::register)?;
    Ok((config, service))
}
