//! The ingest-gateway's process. Without arguments it serves; see `USAGE` for the rest.

mod commands;

use anyhow::bail;
use ingest_gateway::GatewayMetrics;
use ingest_gateway::config::Config;
use rastro_boot::Service;
use rastro_service::health::Routes;

/// 3 to 7 % of a request's processor time less than with the C library's (proto-docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: ingest-gateway                 serve
       ingest-gateway migrate         bring the database to the newest schema
       ingest-gateway event DATASET N print the dataset's accepted event of number N, as it goes to Meta
       ingest-gateway openapi         print the OpenAPI document";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => serve(),
        ["migrate"] => commands::migrate(),
        ["event", dataset, number] => commands::event(dataset, number),
        ["openapi"] => commands::openapi(),
        ["--help" | "-h" | "help"] => commands::print(USAGE),
        _ => bail!(USAGE),
    }
}

#[tokio::main(worker_threads = 2)]
async fn serve() -> anyhow::Result<()> {
    let config: Config = rastro_boot::load()?;
    let version = env!("CARGO_PKG_VERSION");
    let service = Service::start(
        "ingest-gateway",
        version,
        &config.common,
        GatewayMetrics::register,
    )?;
    let _health = service.serve_health(service.readiness(), Routes::default())?;
    service.database_opens().await?;
    ingest_gateway::seed_until_done(&service.store, &config.seed.read()?, &service.shutdown).await;
    ingest_gateway::run(
        &config.gateway,
        service.store.clone(),
        service.clock.clone(),
        service.metrics.clone(),
        service.traces,
        service.shutdown.clone(),
    )?
    .stopped()
    .await?;
    service.end();
    Ok(())
}
