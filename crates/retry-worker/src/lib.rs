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

use rastro_service::health::Readiness;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::Store;

pub use metrics::WorkerMetrics;

use crate::config::Config;
use crate::rounds::Rounds;

/// With fewer days of partitions ahead than this somebody should look: they are made a week ahead, so making
/// them has failed for days.
const LEAST_DAYS_AHEAD: i64 = 2;

/// Works until shutdown, and finishes the step it is at.
pub async fn run(store: Store, config: &Config, metrics: WorkerMetrics, shutdown: Shutdown) {
    let rounds = Rounds { metrics, shutdown };
    tokio::join!(
        sweep::run(&store, config, &rounds),
        breaker::run(&store, config, &rounds),
        maintenance::run(&store, config, &rounds),
    );
}

/// What `/readyz` asks: the database, and that there are partitions for the days to come, whichever worker
/// makes them.
pub fn readiness(store: &Store) -> Readiness {
    let (database, partitions) = (store.clone(), store.clone());
    Readiness::new()
        .check("database", move || {
            let store = database.clone();
            async move {
                store
                    .check_ready()
                    .await
                    .map_err(|error| ErrorChain(&error).to_string())
            }
        })
        .check("partitions", move || {
            let store = partitions.clone();
            async move {
                match store.partition_days_ahead().await {
                    Ok(days) if days >= LEAST_DAYS_AHEAD => Ok(()),
                    Ok(days) => Err(format!(
                        "daily partitions reach {days} days ahead, less than {LEAST_DAYS_AHEAD}"
                    )),
                    Err(error) => Err(ErrorChain(&error).to_string()),
                }
            }
        })
}
