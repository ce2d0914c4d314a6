//! The capi-forwarder's process.

use capi_forwarder::config::Config;
use capi_forwarder::{ForwarderMetrics, Sender};
use rastro_graph_api::GraphApi;
use rastro_service::health::{self, Readiness};
use rastro_service::metrics::Metrics;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::{self, ErrorChain};
use rastro_store::Store;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    anyhow::ensure!(
        std::env::args().len() == 1,
        "capi-forwarder takes no arguments: it is configured by RASTRO__ variables"
    );
    let config = Config::load()?;
    let telemetry = telemetry::init("capi-forwarder", &config.telemetry)?;
    let shutdown = Shutdown::on_signal()?;
    let store = Store::new(&config.database, "capi-forwarder")?;
    let graph_api = GraphApi::new(&config.graph_api)?;
    let (metrics, own) = Metrics::new(
        "capi-forwarder",
        env!("CARGO_PKG_VERSION"),
        ForwarderMetrics::register,
    );
    let _health = health::serve(&config.health, metrics, readiness(&store), shutdown.clone())?;
    let owner = format!("capi-forwarder {}", std::process::id());
    let sender = Sender::new(store, graph_api, &config, own);
    capi_forwarder::run(sender, owner, shutdown).await;
    telemetry.flush();
    Ok(())
}

fn readiness(store: &Store) -> Readiness {
    let store = store.clone();
    Readiness::new().check("database", move || {
        let store = store.clone();
        async move {
            store
                .check_ready()
                .await
                .map_err(|error| ErrorChain(&error).to_string())
        }
    })
}
