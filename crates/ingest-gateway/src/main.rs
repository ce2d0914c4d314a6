//! The ingest-gateway's process. Without arguments it serves; see `usage` for the rest.

use anyhow::{Context, bail};
use ingest_gateway::config::Config;
use ingest_gateway::{GatewayMetrics, openapi};
use rastro_service::clock::Clock;
use rastro_service::health;
use rastro_service::metrics::Metrics;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry;
use rastro_store::{Migrator, Store};

/// 3 to 7 % of a request's processor time less than with the C library's (proto-docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: ingest-gateway                 serve
       ingest-gateway migrate         bring the database to the newest schema
       ingest-gateway event DATASET N print the dataset's accepted event of number N, as it goes to Meta
       ingest-gateway openapi         print the OpenAPI document";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => serve(),
        ["migrate"] => migrate(),
        ["event", dataset, number] => event(dataset, number),
        ["openapi"] => print(openapi::document()?.trim_end()),
        ["--help" | "-h" | "help"] => print(USAGE),
        _ => bail!(USAGE),
    }
}

#[tokio::main(worker_threads = 2)]
async fn serve() -> anyhow::Result<()> {
    let config = Config::load()?;
    let telemetry = telemetry::init("ingest-gateway", &config.telemetry)?;
    let shutdown = Shutdown::on_signal()?;
    let store = Store::new(&config.database, "ingest-gateway")?;
    let (metrics, own) = Metrics::new(
        "ingest-gateway",
        env!("CARGO_PKG_VERSION"),
        GatewayMetrics::register,
    );
    let _health = health::serve(
        &config.health,
        metrics,
        ingest_gateway::readiness(&store),
        shutdown.clone(),
    )?;
    ingest_gateway::seed_until_done(&store, &config.seed.read()?, &shutdown).await;
    let traces = config.telemetry.exports_traces();
    ingest_gateway::run(&config.gateway, store, Clock::system(), own, traces, shutdown)?
        .stopped()
        .await?;
    telemetry.flush();
    Ok(())
}

fn migrate() -> anyhow::Result<()> {
    let config: Config = rastro_service::config::load(ingest_gateway::config::DEFAULTS)?;
    let url = &config.database.url;
    config.database.check()?;
    let mut migrator = Migrator::connect(url)
        .map_err(anyhow::Error::from_boxed)
        .context("cannot connect")?;
    let applied = migrator
        .run()
        .map_err(anyhow::Error::from_boxed)
        .context("a migration failed")?;
    match applied.as_slice() {
        [] => print("the schema is current"),
        applied => print(&format!("applied {}", applied.join(", "))),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn event(dataset: &str, number: &str) -> anyhow::Result<()> {
    let config: Config = rastro_service::config::load(ingest_gateway::config::DEFAULTS)?;
    config.database.check()?;
    let number = number.parse().context("an event's number is a whole number")?;
    let store = Store::new(&config.database, "ingest-gateway")?;
    let payload = store.payload(dataset.parse()?, number).await?;
    print(&payload.with_context(|| format!("dataset {dataset} has no event {number}"))?)
}

#[expect(clippy::print_stdout, reason = "the answer to a command typed at a terminal")]
fn print(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}
