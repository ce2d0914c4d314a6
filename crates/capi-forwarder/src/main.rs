//! The capi-forwarder's process.

use capi_forwarder::config::Config;
use capi_forwarder::{ForwarderMetrics, Sender};
use rastro_boot::Service;
use rastro_graph_api::GraphApi;
use rastro_service::health::Routes;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    if rastro_boot::answered::<Config>("capi-forwarder", version)? {
        return Ok(());
    }
    rastro_boot::refuse_arguments()?;
    let config: Config = rastro_boot::load()?;
    let service = Service::start(
        "capi-forwarder",
        version,
        &config.common,
        ForwarderMetrics::register,
    )?;
    let graph_api = GraphApi::new(&config.graph_api)?;
    let _health = service.serve_health(service.readiness(), Routes::default())?;
    service.database_opens().await?;
    let owner = format!("capi-forwarder {}", std::process::id());
    let sender = Sender::new(service.store.clone(), graph_api, &config, service.metrics.clone());
    capi_forwarder::run(sender, owner, service.shutdown.clone()).await;
    service.end();
    Ok(())
}
