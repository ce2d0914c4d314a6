//! What is sent next.
//!
//! One loop hands out the work: each round it takes over batches whose lease has ended, then gives every lane (dataset
//! and test event code) with something ready one batch at a time, in turn, until all requests that may be in flight
//! are. The next turn is that of the lane after the one that had the last. A busy dataset gets what the others leave, never
//! their share.
//!
//! Which lanes these are, where each begins and whether its dataset may be sent to is looked up in the whole queue. While
//! somebody's transaction is left open anywhere in the database, the rows that left the queue stay in the way of that look,
//! more and more of them. So a look that took long is followed by a while in which what it found has to do: claims begin
//! where it found the lane's first event, do not pass by what left the queue before, and take nothing if the breaker has
//! changed since.

use std::collections::HashMap;
use std::time::Duration;

use rastro_core::circuit_breaker::{Breaker, Permission, ProbeOutcome};
use rastro_core::dataset::DatasetId;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Batch, Lane, ReadyLane, StoreError};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::delivery::Courier;

/// How often batches whose lease has ended are looked for.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(1);
/// Events in a probe: enough to learn from, few enough to lose time with.
const PROBE_EVENTS: u16 = 10;
/// A look at the whole queue has to do for so many times as long as it took: a twentieth of the time is spent looking.
const LOOK_PAUSE: u32 = 20;
/// But no longer, so that a lane with something new and an event that came back are seen in time, whatever it costs.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for a database that is away.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

/// Sends what is ready until shutdown, then lets the requests in flight finish. `owner` names this process to people.
pub async fn run(courier: Courier, owner: String, shutdown: Shutdown) {
    let patience = Duration::from_secs(courier.config.shutdown_timeout_seconds);
    let mut forwarder = Forwarder {
        courier,
        owner,
        deliveries: JoinSet::new(),
        datasets: HashMap::new(),
        ready: Vec::new(),
        look_at: Instant::now(),
        served: None,
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
    /// Lanes in which something was ready when the queue was last looked at, without those of which nothing could be claimed
    /// since.
    ready: Vec<ReadyLane>,
    /// When it is looked at again.
    look_at: Instant,
    /// The lane that had the last turn.
    served: Option<Lane>,
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
                self.start(batch, None);
            }
        }
        let idle =
            Duration::from_millis(config.idle_poll_milliseconds).mul_f64(0.8 + 0.4 * rand::random::<f64>());
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        if self.has_room() && self.look_at <= now {
            self.look().await?;
        }
        let awake = |ready: &&ReadyLane| !self.resting.contains_key(&ready.lane);
        let mut lanes: Vec<ReadyLane> = self.ready.iter().filter(awake).cloned().collect();
        let found_work = !lanes.is_empty();
        // First those after the lane that had the last turn.
        lanes.sort_by_key(|ready| Some(&ready.lane) <= self.served.as_ref());
        // In turn: one batch for each lane, then another for those that have more.
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
        let gathered = self
            .resting
            .values()
            .min()
            .map(|until| until.saturating_duration_since(Instant::now()));
        Ok(match gathered {
            Some(gathered) => gathered.min(idle),
            // Something was there that others took, or for which there is no room.
            None if found_work => Duration::from_millis(config.gather_milliseconds),
            None => idle.max(self.look_at.saturating_duration_since(Instant::now())),
        })
    }

    /// Looks up what is ready in the whole queue.
    async fn look(&mut self) -> Result<(), StoreError> {
        let started = Instant::now();
        // If it fails, what was found before has to do for longer.
        self.look_at = started + LOOK_EVERY;
        self.ready = self.courier.store.ready_lanes().await?;
        self.look_at = Instant::now() + (started.elapsed() * LOOK_PAUSE).min(LOOK_EVERY);
        Ok(())
    }

    /// Starts a delivery of what is ready in a lane. Whether there may be more.
    async fn claim(&mut self, ready: &ReadyLane) -> Result<bool, StoreError> {
        self.served = Some(ready.lane.clone());
        let config = &self.courier.config;
        let (limit, gather) = (
            config.batch_size,
            Duration::from_millis(config.gather_milliseconds),
        );
        let claimed = self
            .courier
            .store
            .claim_batch(ready, limit, config.lease(), &self.owner)
            .await?;
        let Some(batch) = claimed else {
            self.ready.retain(|other| other.lane != ready.lane);
            return Ok(false);
        };
        let full = batch.events.len() >= usize::from(limit);
        self.start(batch, None);
        if !full {
            self.resting.insert(ready.lane.clone(), Instant::now() + gather);
        }
        Ok(full)
    }

    /// Starts a delivery of a few events, unless another forwarder has the one probe that there may be.
    async fn probe(&mut self, ready: ReadyLane) -> Result<(), StoreError> {
        let (courier, dataset) = (&self.courier, ready.lane.dataset_id);
        let Some(probe) = ready.breaker.take_probe(ready.now_ms, &courier.breaker) else {
            return Ok(());
        };
        // Whoever gets it: the breaker is another then.
        self.look_at = Instant::now();
        if !courier
            .store
            .change_breaker(dataset, &ready.breaker, &probe, None)
            .await?
        {
            return Ok(());
        }
        let ready = ReadyLane {
            breaker: probe,
            ..ready
        };
        let lease = courier.config.lease();
        match courier
            .store
            .claim_batch(&ready, PROBE_EVENTS, lease, &self.owner)
            .await?
        {
            Some(batch) => {
                info!(dataset_id = %dataset, batch.id = batch.id.batch_id, "probing whether Meta answers again");
                self.start(batch, Some(probe));
                Ok(())
            }
            None => {
                courier
                    .settle_probe(dataset, probe.generation, ProbeOutcome::Released)
                    .await
            }
        }
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

    fn start(&mut self, batch: Batch, probe: Option<Breaker>) {
        let dataset = batch.id.dataset_id;
        let task = self.deliveries.spawn(self.courier.clone().carry(batch, probe));
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
