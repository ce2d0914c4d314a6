//! The retry-worker's process.

use rastro_boot::Service;
use rastro_service::health::Routes;
use retry_worker::WorkerMetrics;
use retry_worker::config::Config;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    if rastro_boot::answered::<Config>("retry-worker", version)? {
        return Ok(());
    }
    rastro_boot::refuse_arguments()?;
    let config: Config = rastro_boot::load()?;
    let service = Service::start("retry-worker", version, &config.common, WorkerMetrics::register)?;
    let _health = service.serve_health(service.readiness(), Routes::default())?;
    service.database_opens().await?;
    let (store, metrics) = (service.store.clone(), service.metrics.clone());
    retry_worker::run(store, &config, metrics, service.shutdown.clone()).await;
    service.end();
    Ok(())
}
