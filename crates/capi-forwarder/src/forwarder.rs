//! What is sent next.
//!
//! One loop hands out the work. Each round takes over batches whose lease has ended, then gives every lane
//! (dataset and test event code) with something ready one batch at a time, in turn, until as many requests
//! are in flight as may be. The next turn goes to the lane after the one that had the last. A dataset has at
//! most its share of the requests, so a busy one gets what the others leave.
//!
//! Rows that were deleted from the queue stay as dead tuples until they are vacuumed, and an old snapshot
//! anywhere in the database keeps them for hours. Polling the whole queue passes all of them. So it is polled
//! for at most a twentieth of the time, and claims begin at the first event that the poll found in their
//! lane. A claim finds nothing if the breaker has changed since the poll.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rastro_core::circuit_breaker::{Breaker, Permission, ProbeOutcome};
use rastro_core::dataset::DatasetId;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Lane, ReadyLane, StoreError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::delivery::{Leased, Sender};

/// How often batches whose lease has ended are looked for.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(1);
/// Events in a probe: enough to learn from, few enough to lose time with.
const PROBE_EVENTS: usize = 10;
/// The queue is not polled again for so many times as long as the last poll took.
const POLL_PAUSE: u32 = 20;
/// But polled at least this often, so that new lanes and events that came back are seen in time.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for a database that is away.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

/// Sends what is ready until shutdown, then lets the requests in flight finish. `owner` names this process to
/// people.
pub async fn run(sender: Sender, owner: String, shutdown: Shutdown) {
    let patience = Duration::from_secs(sender.config.shutdown_timeout_seconds);
    let mut forwarder = Forwarder {
        sender,
        owner,
        shutdown: shutdown.clone(),
        deliveries: JoinSet::new(),
        datasets: HashMap::new(),
        ready: Vec::new(),
        poll_at: Instant::now(),
        last_served: None,
        gathering: HashMap::new(),
        paused: HashMap::new(),
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
        forwarder.wait(wait).await;
    }
    if tokio::time::timeout(patience, forwarder.drain()).await.is_err() {
        warn!(
            "requests to Meta were still unanswered at shutdown; they are sent again when their leases end"
        );
    }
}

struct Forwarder {
    sender: Sender,
    owner: String,
    shutdown: Shutdown,
    /// Batches on their way, each a task that always runs to its end: dropped half way, its connection would
    /// be lost. Each returns for how long its dataset is paused.
    deliveries: JoinSet<Option<Duration>>,
    /// The dataset of each of them.
    datasets: HashMap<Id, DatasetId>,
    /// Lanes in which something was ready at the last poll, without those in which nothing could be claimed
    /// since.
    ready: Vec<ReadyLane>,
    poll_at: Instant,
    /// The lane that had the last turn.
    last_served: Option<Lane>,
    /// Lanes whose last batch was not full, and until when they gather events.
    gathering: HashMap<Lane, Instant>,
    /// Datasets of which nothing is claimed here, and until when: Meta has just stopped them.
    paused: HashMap<DatasetId, Instant>,
    take_over_at: Instant,
}

impl Forwarder {
    /// Starts as many deliveries as may be, and returns how long there is nothing to do.
    async fn round(&mut self) -> Result<Duration, StoreError> {
        self.collect_finished();
        let now = Instant::now();
        self.gathering.retain(|_, until| *until > now);
        self.paused.retain(|_, until| *until > now);
        if self.take_over_at <= now {
            self.take_over_lapsed().await?;
        }
        if self.has_room() && self.poll_at <= now {
            self.poll_ready_lanes().await?;
        }
        let found_work = self.serve_lanes().await?;
        let config = &self.sender.config;
        let idle =
            Duration::from_millis(config.idle_poll_milliseconds).mul_f64(0.8 + 0.4 * rand::random::<f64>());
        let first_gathered = self.gathering.values().min();
        Ok(match first_gathered {
            Some(until) => until.saturating_duration_since(Instant::now()).min(idle),
            // Something was there that others took, or for which there is no room.
            None if found_work => Duration::from_millis(config.gather_milliseconds),
            None => idle.max(self.poll_at.saturating_duration_since(Instant::now())),
        })
    }

    /// Becomes the owner of batches whose owner let the lease end, of datasets that have room.
    async fn take_over_lapsed(&mut self) -> Result<(), StoreError> {
        let lease = self.sender.config.lease();
        while self.has_room() {
            let others = self.datasets_without_room();
            let until = Instant::now() + lease;
            let taken = self.sender.store.take_over_batch(&others, lease, &self.owner);
            let Some(batch) = taken.await? else {
                self.take_over_at = Instant::now() + TAKE_OVER_EVERY;
                break;
            };
            self.sender.metrics.taken_over.inc();
            info!(
                batch.id = batch.id.batch_id,
                batch.attempt = batch.attempt,
                "took over a batch"
            );
            self.start(Leased { batch, until }, None);
        }
        Ok(())
    }

    /// Finds the lanes in which something is ready.
    async fn poll_ready_lanes(&mut self) -> Result<(), StoreError> {
        let started = Instant::now();
        // If it fails, the lanes of the last poll have to do for longer.
        self.poll_at = started + POLL_EVERY;
        self.ready = self.sender.store.ready_lanes().await?;
        self.poll_at = Instant::now() + (started.elapsed() * POLL_PAUSE).min(POLL_EVERY);
        Ok(())
    }

    /// Gives each lane one batch, then another to those that have more, while there is room. Whether any lane
    /// had something.
    async fn serve_lanes(&mut self) -> Result<bool, StoreError> {
        let may_be_served = |ready: &&ReadyLane| {
            !self.gathering.contains_key(&ready.lane) && !self.paused.contains_key(&ready.lane.dataset_id)
        };
        let mut lanes: Vec<ReadyLane> = self.ready.iter().filter(may_be_served).cloned().collect();
        let found_work = !lanes.is_empty();
        // First those after the lane that had the last turn.
        lanes.sort_by_key(|ready| Some(&ready.lane) <= self.last_served.as_ref());
        while !lanes.is_empty() && self.has_room() {
            let mut unfinished = Vec::new();
            for ready in lanes {
                if !self.has_room() || !self.has_room_for(ready.lane.dataset_id) {
                    continue;
                }
                match ready.breaker.permission(ready.now_ms) {
                    Permission::Nothing => {}
                    Permission::Probe => self.probe(ready).await?,
                    Permission::Freely => {
                        if self.claim(&ready).await? {
                            unfinished.push(ready);
                        }
                    }
                }
            }
            lanes = unfinished;
        }
        Ok(found_work)
    }

    /// Starts a delivery of what is ready in a lane. Whether there may be more.
    async fn claim(&mut self, ready: &ReadyLane) -> Result<bool, StoreError> {
        self.last_served = Some(ready.lane.clone());
        let limit = usize::from(self.sender.config.batch_size);
        let Some(leased) = self.claim_batch(ready, limit).await? else {
            self.ready.retain(|other| other.lane != ready.lane);
            return Ok(false);
        };
        let is_full = leased.batch.events.len() + leased.batch.missing.len() >= limit;
        self.start(leased, None);
        if !is_full {
            let gather = Duration::from_millis(self.sender.config.gather_milliseconds);
            self.gathering.insert(ready.lane.clone(), Instant::now() + gather);
        }
        Ok(is_full)
    }

    /// Starts a delivery of a few events, unless another forwarder has the one probe that there may be.
    async fn probe(&mut self, ready: ReadyLane) -> Result<(), StoreError> {
        let (sender, dataset) = (&self.sender, ready.lane.dataset_id);
        let Some(probe) = ready.breaker.take_probe(ready.now_ms, &sender.breaker) else {
            return Ok(());
        };
        // Whoever gets it: the breaker is another then.
        self.poll_at = Instant::now();
        let taking = sender.store.change_breaker(dataset, &ready.breaker, &probe, None);
        if !taking.await? {
            return Ok(());
        }
        let ready = ReadyLane {
            breaker: probe,
            ..ready
        };
        match self.claim_batch(&ready, PROBE_EVENTS).await? {
            Some(leased) => {
                info!(
                    dataset_id = %dataset, batch.id = leased.batch.id.batch_id,
                    "probing whether Meta answers again"
                );
                self.start(leased, Some(probe));
                Ok(())
            }
            None => {
                self.sender
                    .settle_probe(dataset, probe.generation, ProbeOutcome::Released)
                    .await
            }
        }
    }

    async fn claim_batch(&self, ready: &ReadyLane, limit: usize) -> Result<Option<Leased>, StoreError> {
        let lease = self.sender.config.lease();
        let until = Instant::now() + lease;
        let claimed = self.sender.store.claim_batch(ready, limit, lease, &self.owner);
        Ok(claimed.await?.map(|batch| Leased { batch, until }))
    }

    /// Waits, but not beyond a delivery that makes room for another; while there is no room, for nothing
    /// else.
    async fn wait(&mut self, wait: Duration) {
        let is_full = !self.has_room();
        tokio::select! {
            () = tokio::time::sleep(wait), if !is_full => {}
            Some(finished) = self.deliveries.join_next_with_id() => self.forget(finished),
            () = self.shutdown.requested() => {}
        }
    }

    fn start(&mut self, leased: Leased, probe: Option<Breaker>) {
        let dataset = leased.batch.id.dataset_id;
        let delivery = self.sender.clone().deliver(leased, probe, self.shutdown.clone());
        let task = self.deliveries.spawn(delivery);
        self.datasets.insert(task.id(), dataset);
    }

    fn has_room(&self) -> bool {
        self.deliveries.len() < self.sender.config.max_in_flight
    }

    fn has_room_for(&self, dataset: DatasetId) -> bool {
        let in_flight = self.datasets.values().filter(|other| **other == dataset).count();
        in_flight < self.sender.config.max_in_flight_per_dataset
    }

    fn datasets_without_room(&self) -> Vec<DatasetId> {
        let in_flight: HashSet<DatasetId> = self.datasets.values().copied().collect();
        let full = in_flight
            .into_iter()
            .filter(|dataset| !self.has_room_for(*dataset));
        full.chain(self.paused.keys().copied()).collect()
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

    fn forget(&mut self, finished: Result<(Id, Option<Duration>), JoinError>) {
        match finished {
            Ok((id, pause)) => {
                let dataset = self.datasets.remove(&id);
                if let (Some(dataset), Some(pause)) = (dataset, pause) {
                    self.paused.insert(dataset, Instant::now() + pause);
                }
            }
            Err(error) => {
                warn!("a delivery broke down, its batch is taken over when its lease ends: {error}");
                self.datasets.remove(&error.id());
            }
        }
    }
}
