//! The retry-worker: what happens because time passes. It never sends anything to Meta.
//!
//! [`sweep`] makes events due again whose wait is over, and dead letters of those that became too old;
//! [`breaker`] opens and half-opens circuit breakers by time and evidence, and makes due what an outage held
//! up; [`maintenance`] keeps the tables in order. [`rounds`] is how each of them goes on: again and again,
//! whether or not the database is there.
//!
//! Any number of workers may run: no step changes anything twice. Batches whose lease ended are taken over by
//! the capi-forwarder, as the only sender; but while their dataset is left alone the worker makes their
//! events ready again, because they may be all that there is to probe with.

pub mod config;

mod breaker;
mod maintenance;
mod metrics;
mod rounds;
mod sweep;

use rastro_service::shutdown::Shutdown;
use rastro_store::Store;

pub use metrics::WorkerMetrics;

use crate::config::Config;
use crate::rounds::Rounds;

/// Works until shutdown, and finishes the step it is at.
pub async fn run(store: Store, config: &Config, metrics: WorkerMetrics, shutdown: Shutdown) {
    let rounds = Rounds { metrics, shutdown };
    tokio::join!(
        sweep::run(&store, config, &rounds),
        breaker::run(&store, config, &rounds),
        maintenance::run(&store, config, &rounds),
    );
}
