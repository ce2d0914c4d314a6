//! The partitions of the days to come. The retry-worker makes them and drops old ones; if it has not, any
//! other service does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Store, StoreError};
use tracing::{error, warn};

/// With fewer days than this ahead the retry-worker, which makes a week of them, has not done its work for
/// days.
const LEAST_DAYS_AHEAD: i64 = 2;
/// As many as the retry-worker makes when nobody configures it.
const DAYS_AHEAD: i32 = 7;
/// How often a service that nobody asks whether it is ready looks.
const INTERVAL: Duration = Duration::from_secs(600);

/// Makes what is missing, and says so once. Clones share what was said.
#[derive(Clone)]
pub struct Partitions {
    store: Store,
    was_said: Arc<AtomicBool>,
}

impl Partitions {
    pub fn new(store: Store) -> Self {
        Partitions {
            store,
            was_said: Arc::default(),
        }
    }

    /// Whether an event of today can be stored, after making the partitions that are missing; the error says
    /// why not.
    pub async fn ensure(&self) -> Result<(), String> {
        match self.days_ahead().await {
            Ok(0..) => Ok(()),
            Ok(_) => Err("today has no partitions, events cannot be stored".to_owned()),
            Err(error) => Err(ErrorChain(&error).to_string()),
        }
    }

    async fn days_ahead(&self) -> Result<i64, StoreError> {
        let days = self.store.partition_days_ahead().await?;
        if days >= LEAST_DAYS_AHEAD {
            self.was_said.store(false, Ordering::Relaxed);
            return Ok(days);
        }
        if !self.was_said.swap(true, Ordering::Relaxed) {
            error!(
                "daily partitions reach only {days} days ahead and are made by this service; \
                 does a retry-worker run? Nothing else drops old ones"
            );
        }
        match self.store.create_partitions_ahead(DAYS_AHEAD).await {
            Ok(_) => self.store.partition_days_ahead().await,
            Err(error) => {
                warn!("partitions could not be made: {}", ErrorChain(&error));
                Ok(days)
            }
        }
    }

    /// Looks every few minutes, until shutdown.
    pub(crate) async fn keep(self, shutdown: Shutdown) {
        loop {
            // What is wrong is said by whoever asks whether the service is ready.
            let _ = self.ensure().await;
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.requested() => return,
            }
        }
    }
}
