//! What `/readyz` of the gateway asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rastro_service::health::Readiness;
use rastro_service::telemetry::ErrorChain;
use rastro_store::Store;
use tracing::error;

/// The database and its schema; and that today has its partitions.
///
/// Partitions are made by the retry-worker, days ahead. The gateway does not make them too: two that do leave nobody to notice
/// when the one that also drops old ones is missing, until the disk is full. Instead it says what it sees, so that a set-up
/// without a retry-worker is found out: on the day before the last one in the log, and without today's, when every event would
/// be refused, by not being ready, which keeps requests away that it could only answer with 503.
pub fn readiness(store: &Store) -> Readiness {
    let (database, partitions) = (store.clone(), store.clone());
    let told = Arc::new(AtomicBool::new(false));
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
            let (store, told) = (partitions.clone(), told.clone());
            async move {
                let days = store
                    .partition_days_ahead()
                    .await
                    .map_err(|error| ErrorChain(&error).to_string())?;
                if days >= 1 {
                    told.store(false, Ordering::Relaxed);
                } else if !told.swap(true, Ordering::Relaxed) {
                    error!("there are no partitions for tomorrow; does a retry-worker run?");
                }
                if days < 0 {
                    return Err(
                        "today has no partitions, events cannot be stored; does a retry-worker run?"
                            .to_owned(),
                    );
                }
                Ok(())
            }
        })
}
