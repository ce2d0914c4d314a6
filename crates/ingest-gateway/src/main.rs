//! The ingest-gateway's process. Without arguments it serves; see `USAGE` for the rest.

mod commands;

use anyhow::bail;
use ingest_gateway::config::Config;
use ingest_gateway::{Gateway, GatewayMetrics};
use rastro_boot::Service;

/// 3 to 7 % of a request's processor time less than with the C library's, as measured when it was chosen.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: ingest-gateway                 serve
       ingest-gateway migrate         bring the database to the newest schema
       ingest-gateway reseed          write the configured dataset and its access token over the stored ones
       ingest-gateway reseal          seal access tokens, payment accounts and leads with the first sealing key
       ingest-gateway event DATASET N print the dataset's accepted event of number N, as it goes to Meta
       ingest-gateway openapi         print the OpenAPI document
       ingest-gateway set-aside DATASET ...   after a restore: `ingest-gateway set-aside help`
       ingest-gateway dataset|key|log ...   keep datasets and keys: `ingest-gateway dataset help`
       ingest-gateway healthcheck     whether the one that runs here lives; with `ready`: whether it can work
       ingest-gateway --version";

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> anyhow::Result<()> {
    if rastro_boot::answered::<Config>("ingest-gateway", VERSION)? {
        return Ok(());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => serve(),
        ["migrate"] => commands::migrate(),
        ["reseed"] => commands::reseed(),
        ["reseal"] => commands::reseal(),
        ["event", dataset, number] => commands::event(dataset, number),
        ["openapi"] => commands::openapi(),
        ["dataset" | "key" | "log" | "set-aside", ..] => commands::administer(arguments.as_slice()),
        ["--help" | "-h" | "help"] => commands::print(USAGE),
        _ => bail!(USAGE),
    }
}

#[tokio::main(worker_threads = 2)]
async fn serve() -> anyhow::Result<()> {
    let config: Config = rastro_boot::load()?;
    let service = Service::start(
        "ingest-gateway",
        VERSION,
        &config.common,
        GatewayMetrics::register,
    )?;
    let (store, clock, metrics) = (
        service.store.clone(),
        service.clock.clone(),
        service.metrics.clone(),
    );
    let gateway = Gateway::new(&config, store, clock, metrics, service.traces)?;
    let readiness = gateway.readiness(service.readiness());
    let _health = service.serve_health(readiness, gateway.operator_routes())?;
    service.database_opens().await?;
    ingest_gateway::seed_until_done(&service.store, &config.seed.read()?, &service.shutdown).await?;
    gateway.listen(service.shutdown.clone())?.stopped().await?;
    service.end();
    Ok(())
}
