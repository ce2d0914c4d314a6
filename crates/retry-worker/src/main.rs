//! The retry-worker's process.

use rastro_service::health;
use rastro_service::metrics::Metrics;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry;
use rastro_store::Store;
use retry_worker::WorkerMetrics;
use retry_worker::config::Config;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let config = Config::load()?;
    let telemetry = telemetry::init("retry-worker", &config.telemetry)?;
    let shutdown = Shutdown::on_signal()?;
    let store = Store::new(&config.database, "retry-worker")?;
    let version = env!("CARGO_PKG_VERSION");
    let (metrics, own) = Metrics::new("retry-worker", version, WorkerMetrics::register);
    let readiness = retry_worker::readiness(&store);
    let _health = health::serve(&config.health, metrics, readiness, shutdown.clone())?;
    retry_worker::run(store, &config, own, shutdown).await;
    telemetry.flush();
    Ok(())
}
