//! One batch on its way to Meta: [`request`] sends it, [`answer`] says what follows, [`recording`] writes it
//! down.
//!
//! Where is an event if the process dies here? Until the last statement commits it is in `send_batches`,
//! under a lease that ends by itself; then another forwarder sends it again with the same ids. Meta does not
//! promise to drop such a repeat, so an outcome that is known is recorded again and again until it is
//! recorded or the lease ends: a database that restarts costs no repeat.

mod answer;
mod isolation;
mod recording;
mod request;

use std::collections::VecDeque;
use std::time::Duration;

use chrono::TimeDelta;
use rastro_core::circuit_breaker::{Breaker, BreakerSettings, ProbeOutcome, Reason};
use rastro_core::retry::RetrySchedule;
use rastro_graph_api::GraphApi;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Batch, DeadLetterReason, Fate, Store, StoreError};
use tokio::time::Instant;
use tracing::{error, warn};

use self::answer::fates;
use self::isolation::Isolation;
use self::request::{Server, Token, answered};
use crate::config::{Config, ForwarderConfig};
use crate::metrics::ForwarderMetrics;
use crate::refusals::Refusals;

/// A batch that was taken over this often without an outcome may be what kills its senders: it is cut in
/// halves.
const SUSPICIOUS_ATTEMPT: i32 = 3;
/// The least time for which an event is parked: whatever the breaker says, nothing comes back at once.
const LEAST_PARKED: Duration = Duration::from_secs(5);
/// Of the lease, so much is kept for recording the outcome when a request is begun.
const TIME_TO_RECORD: Duration = Duration::from_secs(15);
/// For how long nothing of a dataset is claimed here that was just stopped. The breaker says more, but not
/// while an operator has forced it closed.
const PAUSE_WHEN_STOPPED: Duration = Duration::from_secs(1);
/// The same for one whose access token this process cannot open.
const PAUSE_WHEN_SEALED: Duration = Duration::from_secs(60);

/// What a delivery needs. Clones share it.
#[derive(Clone)]
pub struct Sender {
    pub(crate) store: Store,
    pub(crate) config: ForwarderConfig,
    pub(crate) breaker: BreakerSettings,
    pub(crate) metrics: ForwarderMetrics,
    graph_api: GraphApi,
    schedule: RetrySchedule,
    request_timeout: Duration,
    refusals: Refusals,
    /// Whether anything is traced.
    traces: bool,
    /// Meta's address, for spans.
    server: Server,
}

/// A batch, and until when it is surely ours by this process's own clock: counted from before the claim.
pub(crate) struct Leased {
    pub(crate) batch: Batch,
    pub(crate) until: Instant,
}

/// What came of a batch, or of a part of it.
enum SendResult {
    Settled(ProbeOutcome),
    Split(Box<[Leased; 2]>),
    /// The dataset is left alone, and what is left of the batch is parked.
    Stopped(Stop),
    /// This process cannot send for this dataset, and others may: what is left of the batch is ready again.
    NotSent,
    /// Another forwarder has it.
    LeaseLost,
}

/// A dataset is left alone.
#[derive(Clone, Copy, Debug)]
struct Stop {
    reason: Reason,
    /// When the wait ends that Meta asked for, if it did.
    asked_until_ms: Option<i64>,
    /// How long its breaker waits.
    wait: Duration,
}

/// What is known of a probe when one of its parts is sent.
#[derive(Clone, Copy, Debug)]
struct Probe {
    /// The breaker opened for refusals, and nothing of this probe was delivered yet.
    is_about_refusals: bool,
    /// Meta took an earlier probe since the breaker is half-open.
    meta_answers: bool,
}

/// What came of a delivery as a whole.
struct Delivery {
    probe: ProbeOutcome,
    pause: Option<Duration>,
}

impl Sender {
    pub fn new(store: Store, graph_api: GraphApi, config: &Config, metrics: ForwarderMetrics) -> Self {
        Sender {
            store,
            config: config.forwarder.clone(),
            breaker: config.common.breaker,
            metrics,
            graph_api,
            schedule: config.retry.clone(),
            request_timeout: Duration::from_secs(config.graph_api.request_timeout_seconds),
            refusals: Refusals::new(config.forwarder.refusals_in_a_row),
            traces: config.common.telemetry.exports_traces(),
            server: Server::of(&config.graph_api.url, &config.graph_api.version),
        }
    }

    /// Sends a batch and records what came of it. With `probe`, tells the breaker, which let only this one
    /// through. Returns for how long nothing more of the dataset should be claimed here.
    pub(crate) async fn deliver(
        self,
        batch: Leased,
        probe: Option<Breaker>,
        shutdown: Shutdown,
    ) -> Option<Duration> {
        let (id, dataset, until) = (batch.batch.id.batch_id, batch.batch.id.dataset_id, batch.until);
        let delivery = match self.send_parts(batch, probe.as_ref(), &shutdown).await {
            Ok(delivery) => delivery,
            Err(error) => {
                error!(
                    dataset_id = %dataset, batch.id = id,
                    "the outcome of a batch could not be recorded before its lease ended, and it will be sent again: {}",
                    ErrorChain(&error)
                );
                Delivery {
                    probe: ProbeOutcome::Released,
                    pause: None,
                }
            }
        };
        if let Some(probe) = probe {
            let settling = || self.settle_probe(dataset, probe.generation, delivery.probe);
            if let Err(error) = self.insist(until, settling).await {
                warn!(dataset_id = %dataset, "the outcome of a probe could not be recorded: {}", ErrorChain(&error));
            }
        }
        delivery.pause
    }

    /// Sends a batch, and whatever it is cut into until the culprits stand alone. An error means that the
    /// database was away until the lease ended; what was not settled is then taken over.
    async fn send_parts(
        &self,
        batch: Leased,
        probe: Option<&Breaker>,
        shutdown: &Shutdown,
    ) -> Result<Delivery, StoreError> {
        let mut parts = VecDeque::from([batch]);
        let mut delivery = Delivery {
            probe: ProbeOutcome::Released,
            pause: None,
        };
        let mut is_cut = false;
        let mut isolation = Isolation::default();
        loop {
            // The parts waited for the ones before them: all of them stay ours.
            if is_cut && !parts.is_empty() {
                self.renew(&mut parts).await?;
            }
            let Some(part) = parts.pop_front() else {
                return Ok(delivery);
            };
            if is_cut && shutdown.is_requested() {
                parts.push_front(part);
                self.release(parts).await?;
                return Ok(delivery);
            }
            // A probe is the one request that goes out while its dataset is left alone.
            if probe.is_none()
                && isolation.is_hopeless()
                && let Some(stop) = self.left_alone(&part).await?
            {
                parts.push_front(part);
                self.park(parts, &stop).await?;
                return Ok(delivery);
            }
            let probe = probe.map(|breaker| Probe {
                is_about_refusals: breaker.reason == Some(Reason::Refused)
                    && delivery.probe != ProbeOutcome::Succeeded,
                meta_answers: breaker.probe_successes > 0,
            });
            match self.send(part, probe, isolation).await? {
                SendResult::Settled(outcome) => {
                    isolation.learn(outcome);
                    delivery.probe = worse(delivery.probe, outcome);
                }
                SendResult::Split(halves) => {
                    is_cut = true;
                    halves.into_iter().rev().for_each(|half| parts.push_front(half));
                }
                SendResult::Stopped(stop) => {
                    self.park(parts, &stop).await?;
                    let (reason, until_ms) = (stop.reason, stop.asked_until_ms);
                    return Ok(Delivery {
                        probe: ProbeOutcome::Stopped { reason, until_ms },
                        pause: Some(PAUSE_WHEN_STOPPED),
                    });
                }
                SendResult::NotSent => {
                    self.release(parts).await?;
                    delivery.pause = Some(PAUSE_WHEN_SEALED);
                    return Ok(delivery);
                }
                SendResult::LeaseLost => {}
            }
        }
    }

    /// One request for one batch, and everything that follows from its answer.
    async fn send(
        &self,
        mut part: Leased,
        probe: Option<Probe>,
        isolation: Isolation,
    ) -> Result<SendResult, StoreError> {
        self.report_missing(&part.batch);
        if part.batch.attempt >= SUSPICIOUS_ATTEMPT && part.batch.events.len() > 1 && probe.is_none() {
            warn!(
                batch.id = part.batch.id.batch_id,
                "a batch was taken over {} times without an outcome",
                part.batch.attempt - 1
            );
            return self.split(part, None).await;
        }
        let dataset = part.batch.id.dataset_id;
        // Nothing was sent yet, so this may take what the lease holds beside the time of the request.
        let before_sending = part.until - self.request_timeout.min(self.config.lease() / 2);
        let asking = || self.access_token(dataset);
        let token = match self.insist(before_sending, asking).await?.0 {
            Token::Known(token) => token,
            Token::NoDataset => {
                warn!(dataset_id = %dataset, "events of a dataset that does not exist any more are dead letters");
                let fates = fates(&part.batch, |_| Fate::Dead(DeadLetterReason::DatasetDeleted));
                return self.settle(&part, &fates, None, ProbeOutcome::Released).await;
            }
            Token::Sealed(error) => {
                error!(dataset_id = %dataset, "this forwarder cannot send for the dataset: {}", ErrorChain(&error));
                self.release(VecDeque::from([part])).await?;
                return Ok(SendResult::NotSent);
            }
        };
        // However long it was until here: what is sent is ours, and stays ours for the request and for
        // recording.
        if part.until.saturating_duration_since(Instant::now()) < self.request_timeout + TIME_TO_RECORD {
            let mut parts = VecDeque::from([part]);
            self.renew(&mut parts).await?;
            match parts.pop_front() {
                Some(renewed) => part = renewed,
                None => return Ok(SendResult::LeaseLost),
            }
        }
        self.mark_too_old(&mut part);
        let batch = &part.batch;
        let fresh = batch.events.iter().filter(|event| !event.too_old);
        let payloads: Vec<&str> = fresh.map(|event| event.payload.as_str()).collect();
        let sent = payloads.len();
        if sent == 0 {
            let fates = vec![Fate::Dead(DeadLetterReason::Expired); batch.events.len()];
            return self.settle(&part, &fates, None, ProbeOutcome::Released).await;
        }
        let spans = self.trace(batch);
        let answer = self.request(batch, &token, &payloads).await;
        for span in spans {
            answered(&span, &answer);
            // A span ends when it was last left, and not when it is dropped: here, with the answer.
            span.in_scope(|| {});
        }
        self.apply(part, &answer, sent, probe, isolation).await
    }

    /// Marks the events that became too old for Meta since they were claimed. `send_by` leaves a minute for
    /// the way.
    fn mark_too_old(&self, part: &mut Leased) {
        let left = part.until.saturating_duration_since(Instant::now());
        let now = part.batch.lease_expires_at - TimeDelta::from_std(left).unwrap_or_default();
        for event in &mut part.batch.events {
            event.too_old |= event.send_by <= now;
        }
    }

    /// Settling makes dead letters of the events whose rows are gone; here somebody is told.
    fn report_missing(&self, batch: &Batch) {
        if !batch.missing.is_empty() {
            let numbers: Vec<i64> = batch.missing.iter().map(|event| event.number).take(10).collect();
            error!(
                dataset_id = %batch.id.dataset_id, batch.id = batch.id.batch_id,
                "{} accepted events cannot be sent, their content is gone; they become dead letters: {numbers:?}",
                batch.missing.len()
            );
        }
    }
}

/// Of the parts of a probe the worst counts; one that says nothing counts least.
fn worse(one: ProbeOutcome, other: ProbeOutcome) -> ProbeOutcome {
    let badness = |outcome: &ProbeOutcome| match outcome {
        ProbeOutcome::Released => 0,
        ProbeOutcome::Succeeded => 1,
        ProbeOutcome::Failed => 2,
        ProbeOutcome::Stopped { .. } => 3,
    };
    if badness(&other) > badness(&one) {
        other
    } else {
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_parts_of_a_probe_the_worst_counts() {
        let (released, succeeded, failed) = (
            ProbeOutcome::Released,
            ProbeOutcome::Succeeded,
            ProbeOutcome::Failed,
        );
        assert_eq!(worse(released, succeeded), succeeded);
        assert_eq!(worse(failed, succeeded), failed);
        assert_eq!(worse(succeeded, released), succeeded);
    }
}
