//! What is sent next.
//!
//! One loop hands out the work: each round it takes over batches whose lease has ended, then gives every lane (dataset
//! and test event code) with something ready one batch at a time, in turn, until all requests that may be in flight
//! are. A busy dataset gets what the others leave, never their share.

use std::collections::HashMap;
use std::time::Duration;

use rastro_core::dataset::DatasetId;
use rastro_graph_api::GraphApi;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Batch, Lane, Store, StoreError};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::ForwarderConfig;
use crate::delivery::{Courier, carry};
use crate::metrics::ForwarderMetrics;

/// How often batches whose lease has ended are looked for.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for a database that is away.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

/// Sends what is ready until shutdown, then lets the requests in flight finish. `owner` names this process to people.
pub async fn run(
    store: Store,
    graph_api: GraphApi,
    config: ForwarderConfig,
    metrics: ForwarderMetrics,
    traces: bool,
    owner: String,
    shutdown: Shutdown,
) {
    let patience = Duration::from_secs(config.shutdown_timeout_seconds);
    let courier = Courier {
        store,
        graph_api,
        config,
        metrics,
        traces,
    };
    let mut forwarder = Forwarder {
        courier,
        owner,
        deliveries: JoinSet::new(),
        datasets: HashMap::new(),
        resting: HashMap::new(),
        take_over_at: Instant::now(),
    };
    while !shutdown.is_requested() {
        let wait = match forwarder.round().await {
            Ok(wait) => wait,
            Err(error) => {
                warn!("the queue could not be read: {}", ErrorChain(&error));
                DATABASE_RETRY
            }
        };
        forwarder.rest(wait, &shutdown).await;
    }
    if tokio::time::timeout(patience, forwarder.drain()).await.is_err() {
        warn!(
            "requests to Meta were still unanswered at shutdown; they are sent again when their leases end"
        );
    }
}

struct Forwarder {
    courier: Courier,
    owner: String,
    /// Requests on their way, each a task that always runs to its end: dropped half way, its connection would be lost.
    deliveries: JoinSet<()>,
    /// The dataset of each of them.
    datasets: HashMap<Id, DatasetId>,
    /// Lanes whose last batch was not full, and until when they gather.
    resting: HashMap<Lane, Instant>,
    take_over_at: Instant,
}

impl Forwarder {
    /// Starts as many deliveries as may be, and returns how long there is nothing to do.
    async fn round(&mut self) -> Result<Duration, StoreError> {
        let config = self.courier.config.clone();
        self.collect_finished();
        if self.take_over_at <= Instant::now() {
            while self.has_room() {
                let Some(batch) = self
                    .courier
                    .store
                    .take_over_batch(config.lease(), &self.owner)
                    .await?
                else {
                    self.take_over_at = Instant::now() + TAKE_OVER_EVERY;
                    break;
                };
                self.courier.metrics.taken_over.inc();
                info!(
                    batch.id = batch.id.batch_id,
                    batch.attempt = batch.attempt,
                    "took over a batch"
                );
                self.start(batch);
            }
        }
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        let mut lanes = if self.has_room() {
            self.courier.store.lanes().await?
        } else {
            Vec::new()
        };
        lanes.retain(|lane| !self.resting.contains_key(lane));
        let found_work = !lanes.is_empty();
        // In turn: one batch for each lane, then another for those that have more.
        while !lanes.is_empty() && self.has_room() {
            let mut unfinished = Vec::new();
            for lane in lanes {
                if !self.has_room() || !self.has_room_for(lane.dataset_id) {
                    continue;
                }
                let claimed =
                    self.courier
                        .store
                        .claim_batch(&lane, config.batch_size, config.lease(), &self.owner);
                let Some(batch) = claimed.await? else { continue };
                let full = batch.events.len() >= usize::from(config.batch_size);
                self.start(batch);
                if full {
                    unfinished.push(lane);
                } else {
                    let gather = Duration::from_millis(config.gather_milliseconds);
                    self.resting.insert(lane, Instant::now() + gather);
                }
            }
            lanes = unfinished;
        }
        let idle =
            Duration::from_millis(config.idle_poll_milliseconds).mul_f64(0.8 + 0.4 * rand::random::<f64>());
        let gathered = self
            .resting
            .values()
            .min()
            .map(|until| until.saturating_duration_since(Instant::now()));
        Ok(match gathered {
            Some(gathered) => gathered.min(idle),
            // Something was there that others took, or for which there is no room.
            None if found_work => Duration::from_millis(config.gather_milliseconds),
            None => idle,
        })
    }

    /// Waits, but not beyond a delivery that makes room for another; while there is no room, for nothing else.
    async fn rest(&mut self, wait: Duration, shutdown: &Shutdown) {
        let is_full = !self.has_room();
        tokio::select! {
            () = tokio::time::sleep(wait), if !is_full => {}
            Some(finished) = self.deliveries.join_next_with_id() => self.forget(finished),
            () = shutdown.requested() => {}
        }
    }

    fn start(&mut self, batch: Batch) {
        let dataset = batch.id.dataset_id;
        let task = self.deliveries.spawn(carry(self.courier.clone(), batch));
        self.datasets.insert(task.id(), dataset);
    }

    fn has_room(&self) -> bool {
        self.deliveries.len() < self.courier.config.max_in_flight
    }

    fn has_room_for(&self, dataset: DatasetId) -> bool {
        let in_flight = self.datasets.values().filter(|other| **other == dataset).count();
        in_flight < self.courier.config.max_in_flight_per_dataset
    }

    fn collect_finished(&mut self) {
        while let Some(finished) = self.deliveries.try_join_next_with_id() {
            self.forget(finished);
        }
    }

    async fn drain(&mut self) {
        while let Some(finished) = self.deliveries.join_next_with_id().await {
            self.forget(finished);
        }
    }

    fn forget(&mut self, finished: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match finished {
            Ok((id, ())) => id,
            Err(error) => {
                warn!("a delivery broke down, its batch is taken over when its lease ends: {error}");
                error.id()
            }
        };
        self.datasets.remove(&id);
    }
}
