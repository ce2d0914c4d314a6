//! One batch on its way: to Meta, and its outcome into the tables.
//!
//! Where is an event if the process dies here? Until the last statement commits it is in `send_batches`, under a lease
//! that ends by itself; then another forwarder sends it again with the same ids, and Meta drops what it has.

use std::collections::VecDeque;
use std::time::Duration;

use rastro_core::circuit_breaker::{Breaker, BreakerSettings, ProbeOutcome, Reason};
use rastro_core::dataset::DatasetId;
use rastro_core::retry::RetrySchedule;
use rastro_graph_api::{Answer, EventsRequest, Failure, FailureClass, GraphApi};
use rastro_service::telemetry::{ErrorChain, trace_context};
use rastro_store::{AttemptRecord, Batch, DeadLetterReason, Evidence, Fate, QueuedEvent, Store, StoreError};
use tracing::{Span, error, info, warn};

use crate::config::ForwarderConfig;
use crate::metrics::{EventLabels, EventOutcome, ForwarderMetrics, RequestLabels, RequestResult};

/// A batch that was taken over this often without an outcome may be what kills its senders: it is cut in halves.
const SUSPICIOUS_ATTEMPT: i32 = 3;

/// How often a change of a breaker is tried against others who change it.
const CONTESTED_CHANGES: usize = 5;

/// What a delivery needs. Clones share it.
#[derive(Clone)]
pub struct Courier {
    pub store: Store,
    pub graph_api: GraphApi,
    pub config: ForwarderConfig,
    pub schedule: RetrySchedule,
    pub breaker: BreakerSettings,
    pub metrics: ForwarderMetrics,
    /// Whether anything is traced.
    pub traces: bool,
}

/// What came of a batch, or of a part of it.
enum Verdict {
    Settled(ProbeOutcome),
    /// Meta refuses the batch for one or more of its events: it is now two.
    Split(Batch, Batch),
    /// Another forwarder has it.
    LeaseLost,
}

impl Courier {
    /// Sends a batch and records what came of it. With `probe`, tells the breaker, which let only this one through.
    pub(crate) async fn carry(self, batch: Batch, probe: Option<Breaker>) {
        let (id, dataset) = (batch.id.batch_id, batch.id.dataset_id);
        let outcome = match self.deliver(batch, probe.is_some()).await {
            Ok(outcome) => outcome,
            Err(error) => {
                warn!(
                    batch.id = id,
                    "an outcome could not be recorded, the batch will be sent again: {}",
                    ErrorChain(&error)
                );
                ProbeOutcome::Released
            }
        };
        if let Some(probe) = probe
            && let Err(error) = self.settle_probe(dataset, probe.generation, outcome).await
        {
            warn!(dataset_id = %dataset, "a probe's outcome could not be recorded: {}", ErrorChain(&error));
        }
    }

    /// Sends a batch, and whatever it is cut into until the culprits stand alone. An error means that the database could not
    /// be asked; what was not settled is then taken over when its lease ends.
    async fn deliver(&self, batch: Batch, probing: bool) -> Result<ProbeOutcome, StoreError> {
        let mut parts = VecDeque::from([batch]);
        let mut outcome = ProbeOutcome::Released;
        let mut is_cut = false;
        while let Some(part) = parts.pop_front() {
            // A part has waited for the parts before it.
            if is_cut && !self.store.renew_lease(part.id, self.config.lease()).await? {
                self.count_lost_lease(part.id.batch_id);
                continue;
            }
            match self.attempt(part, probing).await? {
                Verdict::Settled(settled) => outcome = worse(outcome, settled),
                Verdict::Split(first, second) => {
                    is_cut = true;
                    parts.push_front(second);
                    parts.push_front(first);
                }
                Verdict::LeaseLost => {}
            }
        }
        Ok(outcome)
    }

    /// One request for one batch, and everything that follows from its answer, in one statement.
    async fn attempt(&self, batch: Batch, probing: bool) -> Result<Verdict, StoreError> {
        let id = batch.id.batch_id;
        if batch.attempt >= SUSPICIOUS_ATTEMPT && batch.events.len() > 1 && !probing {
            warn!(
                batch.id = id,
                "a batch was taken over {} times without an outcome",
                batch.attempt - 1
            );
            return self.split(batch, false).await;
        }
        let spans = self.trace(&batch);
        let fresh: Vec<&str> = batch
            .events
            .iter()
            .filter(|event| !event.too_old)
            .map(|event| event.payload.as_str())
            .collect();
        if fresh.is_empty() {
            let fates = vec![Fate::Dead(DeadLetterReason::Expired); batch.events.len()];
            return self
                .settle(
                    &batch,
                    &AttemptRecord::default(),
                    &fates,
                    Evidence::None,
                    ProbeOutcome::Released,
                )
                .await;
        }
        let answer = self.send(&batch, &fresh).await?;
        let record = record(&answer);
        let all_fresh = fresh.len() == batch.events.len();
        let verdict = match answer.result {
            Ok(()) if all_fresh => {
                if self.store.finish_batch(&batch, &record).await? {
                    self.count(EventOutcome::success, batch.events.len());
                    Verdict::Settled(ProbeOutcome::Succeeded)
                } else {
                    self.count_lost_lease(id);
                    Verdict::LeaseLost
                }
            }
            Ok(()) => {
                let fates = fates(&batch, |_| Fate::Done);
                self.settle(&batch, &record, &fates, Evidence::Alive, ProbeOutcome::Succeeded)
                    .await?
            }
            Err(failure)
                if matches!(failure.class, FailureClass::Refused | FailureClass::TooLarge)
                    && batch.events.len() > 1 =>
            {
                self.split(batch, true).await?
            }
            Err(failure) => self.after(&batch, &record, &failure, probing).await?,
        };
        drop(spans);
        Ok(verdict)
    }

    /// What follows from a failure that cutting the batch does not help against.
    async fn after(
        &self,
        batch: &Batch,
        record: &AttemptRecord,
        failure: &Failure,
        probing: bool,
    ) -> Result<Verdict, StoreError> {
        let (dataset, count, message) = (batch.id.dataset_id, batch.events.len(), &failure.message);
        match failure.class {
            FailureClass::Transient | FailureClass::Unknown | FailureClass::TooLarge => {
                warn!(dataset_id = %dataset, batch.id = batch.id.batch_id, "{count} events wait after a failed attempt: {message}");
                let fates = fates(batch, |event| self.fate_after_failure(event, failure, probing));
                self.settle(batch, record, &fates, Evidence::Failing, ProbeOutcome::Failed)
                    .await
            }
            FailureClass::Throttled | FailureClass::Blocked => {
                let reason = match failure.class {
                    FailureClass::Throttled => Reason::Throttled,
                    _ => Reason::Blocked,
                };
                if reason == Reason::Blocked {
                    error!(dataset_id = %dataset, "the dataset is left alone, somebody has to act: {message}");
                } else {
                    warn!(dataset_id = %dataset, "the dataset is left alone for a while: {message}");
                }
                // First: if the process dies in between, the batch waits for its lease, and the dataset is left alone.
                let until_ms = self.stop(dataset, reason, failure.wait, probing).await?;
                let fates = fates(batch, |_| Fate::Release);
                let outcome = ProbeOutcome::Stopped { reason, until_ms };
                self.settle(batch, record, &fates, Evidence::None, outcome).await
            }
            FailureClass::Refused => {
                warn!(dataset_id = %dataset, "Meta refuses an event for good, it is kept as a dead letter: {message}");
                let fates = fates(batch, |_| Fate::Dead(DeadLetterReason::Refused));
                // Meta's refusal of an event is proof that it is alive.
                self.settle(batch, record, &fates, Evidence::Alive, ProbeOutcome::Succeeded)
                    .await
            }
        }
    }

    /// The next try of one event, or none. A probe spends no retry: the outage is not the event's fault.
    fn fate_after_failure(&self, event: &QueuedEvent, failure: &Failure, probing: bool) -> Fate {
        let spent = u16::try_from(event.retries).unwrap_or_default();
        let chance = rand::random();
        if probing {
            let first = self.schedule.next_delay(0, failure.wait, chance);
            return Fate::Wait {
                delay: first.unwrap_or_default(),
                retries: event.retries,
            };
        }
        match self.schedule.next_delay(spent, failure.wait, chance) {
            Some(delay) => Fate::Wait {
                delay,
                retries: event.retries.saturating_add(1),
            },
            None => Fate::Dead(DeadLetterReason::Exhausted),
        }
    }

    async fn settle(
        &self,
        batch: &Batch,
        record: &AttemptRecord,
        fates: &[Fate],
        evidence: Evidence,
        outcome: ProbeOutcome,
    ) -> Result<Verdict, StoreError> {
        if !self.store.settle_batch(batch, record, fates, evidence).await? {
            self.count_lost_lease(batch.id.batch_id);
            return Ok(Verdict::LeaseLost);
        }
        for fate in fates {
            let outcome = match fate {
                Fate::Done => EventOutcome::success,
                Fate::Release | Fate::Wait { .. } => EventOutcome::error,
                Fate::Dead(DeadLetterReason::Expired) => EventOutcome::expired,
                Fate::Dead(_) => EventOutcome::dead,
            };
            self.count(outcome, 1);
        }
        Ok(Verdict::Settled(outcome))
    }

    async fn split(&self, batch: Batch, answered: bool) -> Result<Verdict, StoreError> {
        let id = batch.id.batch_id;
        match self
            .store
            .split_batch(batch, answered, self.config.lease())
            .await?
        {
            Some((first, second)) => {
                self.metrics.splits.inc();
                // Their own attempts begin here.
                let anew = |half: Batch| Batch { attempt: 1, ..half };
                Ok(Verdict::Split(anew(first), anew(second)))
            }
            None => {
                self.count_lost_lease(id);
                Ok(Verdict::LeaseLost)
            }
        }
    }

    async fn send(&self, batch: &Batch, events: &[&str]) -> Result<Answer, StoreError> {
        let dataset = batch.id.dataset_id;
        let token = match self.store.access_token(dataset).await {
            Ok(Some(token)) => token,
            // It is an answer all the same: the events are kept, and are sent nowhere else.
            Ok(None) => return Ok(blocked("there is no dataset of this id".to_owned())),
            Err(error @ StoreError::Sealed { .. }) => return Ok(blocked(error.to_string())),
            Err(error) => return Err(error),
        };
        let request = EventsRequest {
            events,
            test_event_code: &batch.test_event_code,
        };
        self.metrics.in_flight.inc();
        let answer = self.graph_api.send_events(dataset, &token, &request).await;
        self.metrics.in_flight.dec();
        self.metrics.batch_size.observe(events.len() as f64);
        self.metrics.request_seconds.observe(answer.latency.as_secs_f64());
        let result = match &answer.result {
            Ok(()) => RequestResult::success,
            Err(failure) => match failure.class {
                FailureClass::Transient => RequestResult::transient,
                FailureClass::Unknown => RequestResult::unknown,
                FailureClass::Throttled => RequestResult::throttled,
                FailureClass::Blocked => RequestResult::blocked,
                FailureClass::Refused | FailureClass::TooLarge => RequestResult::refused,
            },
        };
        self.metrics
            .requests
            .get_or_create(&RequestLabels { result })
            .inc();
        if !answer.messages.is_empty() {
            info!(
                batch.id = batch.id.batch_id,
                "Meta says: {}",
                answer.messages.join("; ")
            );
        }
        Ok(answer)
    }

    /// Leaves a dataset alone. Until when, as far as Meta said.
    ///
    /// A probe's outcome says it by itself, and gives the probe back; stopped here, the breaker would have moved on before its
    /// probe is settled, and the next one would have to wait for this one's lease.
    async fn stop(
        &self,
        dataset: DatasetId,
        reason: Reason,
        wait: Option<Duration>,
        probing: bool,
    ) -> Result<Option<i64>, StoreError> {
        let mut until_ms = None;
        for _ in 0..CONTESTED_CHANGES {
            let (breaker, _, now_ms) = self.store.breaker(dataset).await?;
            until_ms =
                wait.map(|wait| now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
            if probing {
                break;
            }
            let Some(stopped) = breaker.stop(reason, until_ms, now_ms, &self.breaker, rand::random()) else {
                break;
            };
            // Somebody else's change was first, or there is no such dataset: there is nothing to leave alone then.
            if self
                .store
                .change_breaker(dataset, &breaker, &stopped, None)
                .await?
            {
                break;
            }
        }
        Ok(until_ms)
    }

    /// Tells the breaker what its probe found, unless it has moved on since.
    pub(crate) async fn settle_probe(
        &self,
        dataset: DatasetId,
        generation: i64,
        outcome: ProbeOutcome,
    ) -> Result<(), StoreError> {
        let (breaker, _, now_ms) = self.store.breaker(dataset).await?;
        let settled = breaker.settle_probe(outcome, generation, now_ms, &self.breaker, rand::random());
        if let Some(settled) = settled
            && self
                .store
                .change_breaker(dataset, &breaker, &settled, None)
                .await?
            && settled.state != breaker.state
        {
            info!(dataset_id = %dataset, "after a probe the breaker is {}", settled.state.as_str());
        }
        Ok(())
    }

    /// A span for each event whose request was traced, as a part of that trace. They end when dropped.
    fn trace(&self, batch: &Batch) -> Vec<Span> {
        if !self.traces {
            return Vec::new();
        }
        let traced = batch
            .events
            .iter()
            .filter_map(|event| Some((event, event.traceparent.as_deref()?)));
        traced
            .map(|(event, traceparent)| {
                let span = tracing::info_span!(
                    parent: None,
                    "deliver",
                    otel.kind = "client",
                    request.id = %event.request_id,
                    event.number = event.number,
                    batch.id = batch.id.batch_id,
                    batch.attempt = batch.attempt,
                );
                trace_context::set_parent(&span, traceparent);
                span.in_scope(|| {});
                span
            })
            .collect()
    }

    fn count(&self, outcome: EventOutcome, events: usize) {
        self.metrics
            .events
            .get_or_create(&EventLabels { outcome })
            .inc_by(events as u64);
    }

    fn count_lost_lease(&self, batch_id: i64) {
        self.metrics.leases_lost.inc();
        warn!(
            batch.id = batch_id,
            "the lease had ended: another forwarder sends these events too"
        );
    }
}

/// Events that have become too old go their own way, the others as `fresh` says.
fn fates(batch: &Batch, fresh: impl Fn(&QueuedEvent) -> Fate) -> Vec<Fate> {
    let fate = |event: &QueuedEvent| match event.too_old {
        true => Fate::Dead(DeadLetterReason::Expired),
        false => fresh(event),
    };
    batch.events.iter().map(fate).collect()
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

fn blocked(message: String) -> Answer {
    Answer::not_sent(Failure {
        class: FailureClass::Blocked,
        message,
        wait: None,
        error: None,
    })
}

fn record(answer: &Answer) -> AttemptRecord {
    let failure = answer.result.as_ref().err();
    let error = failure.and_then(|failure| failure.error.as_ref());
    AttemptRecord {
        http_status: answer.http_status,
        fbtrace_id: answer.fbtrace_id.clone(),
        error_code: error.and_then(|error| error.code),
        error_subcode: error.and_then(|error| error.error_subcode),
        error_message: failure.map(|failure| failure.message.clone()),
        // What was not sent took no time.
        latency_ms: Some(answer.latency)
            .filter(|latency| !latency.is_zero())
            .and_then(|latency| i32::try_from(latency.as_millis()).ok()),
    }
}
