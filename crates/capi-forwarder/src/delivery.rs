//! One batch on its way to Meta, and what follows from the answer; [`recording`] writes it down.
//!
//! Where is an event if the process dies here? Until the last statement commits it is in `send_batches`,
//! under a lease that ends by itself; then another forwarder sends it again with the same ids. Meta does not
//! promise to drop such a repeat, so an outcome that is known is recorded again and again until it is
//! recorded or the lease ends: a database that restarts costs no repeat.

mod isolation;
mod recording;

use std::collections::VecDeque;
use std::time::Duration;

use chrono::TimeDelta;
use rastro_core::circuit_breaker::{Breaker, BreakerSettings, ProbeOutcome, Reason};
use rastro_core::dataset::DatasetId;
use rastro_core::retry::{RetrySchedule, parked_for};
use rastro_graph_api::{Answer, EventsRequest, Failure, FailureClass, GraphApi};
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::{ErrorChain, trace_context};
use rastro_store::{AttemptOutcome, AttemptRecord, Batch, DeadLetterReason, Fate, QueuedEvent};
use rastro_store::{Store, StoreError};
use secrecy::SecretString;
use tokio::time::Instant;
use tracing::field::{Empty, display};
use tracing::{Span, error, info, warn};

use crate::config::{Config, ForwarderConfig};
use crate::metrics::{EventLabels, EventOutcome, ForwarderMetrics, RequestLabels, RequestResult};
use crate::refusals::Refusals;
use isolation::{Isolation, blame};

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

/// What follows from Meta's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum NextStep<'a> {
    /// Meta took every event.
    Finish,
    /// One event or more is at fault: each half goes by itself.
    Split,
    /// Meta failed again and again on events of this request, perhaps on one of them: each half goes by
    /// itself.
    Isolate(&'a Failure),
    /// Each event waits for its next retry, if it has one.
    Retry(&'a Failure),
    /// Nothing is wrong with the events, and the dataset is left alone: they are parked.
    Park(Reason, &'a Failure),
    /// The one event of the request is at fault.
    DeadLetter(&'a Failure),
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
        }
        self.apply(part, &answer, sent, probe, isolation).await
    }

    /// Does what follows from an answer, after which nothing of the batch is left to do but its halves.
    async fn apply(
        &self,
        part: Leased,
        answer: &Answer,
        sent: usize,
        probe: Option<Probe>,
        isolation: Isolation,
    ) -> Result<SendResult, StoreError> {
        let may_isolate = probe.is_none() && isolation.may_cut(&part.batch);
        let step = next_step(&answer.result, sent, may_isolate);
        let record = &record(answer, step);
        let (dataset, batch_id) = (part.batch.id.dataset_id, part.batch.id.batch_id);
        match step {
            NextStep::Finish => {
                self.refusals.delivered(dataset);
                let short = answer
                    .events_received
                    .filter(|received| usize::try_from(*received) != Ok(sent));
                if let Some(received) = short {
                    error!(
                        dataset_id = %dataset, batch.id = batch_id, fbtrace_id = answer.fbtrace_id,
                        "Meta took a request of {sent} events and says that it received {received}"
                    );
                }
                let fates = fates(&part.batch, |_| Fate::Done);
                self.settle(&part, &fates, Some(record), ProbeOutcome::Succeeded)
                    .await
            }
            NextStep::Split => self.split(part, Some(record)).await,
            NextStep::Isolate(failure) => {
                warn!(
                    dataset_id = %dataset, batch.id = batch_id,
                    "Meta failed again on a request of {sent} events, which is cut in two in case that one of them is the \
                     cause: {}", failure.message
                );
                self.split(part, Some(record)).await
            }
            NextStep::Retry(failure) => {
                warn!(
                    dataset_id = %dataset, batch.id = batch_id,
                    "{sent} events wait after a failed attempt: {}", failure.message
                );
                let (is_spared, outcome) = blame(&part.batch, sent, probe);
                let fates = fates(&part.batch, |event| self.retry(event, failure, is_spared));
                self.settle(&part, &fates, Some(record), outcome).await
            }
            NextStep::Park(reason, failure) => {
                if reason == Reason::Throttled {
                    warn!(dataset_id = %dataset, "the dataset is left alone for a while: {}", failure.message);
                } else {
                    error!(
                        dataset_id = %dataset,
                        "the dataset is left alone, somebody has to act: {}", failure.message
                    );
                }
                // First: if the process dies in between, the batch waits for its lease, and the dataset is
                // left alone.
                let stop = self.stop(&part, reason, failure.wait, probe.is_some()).await?;
                self.settle(
                    &part,
                    &parked(&part.batch, &stop),
                    Some(record),
                    ProbeOutcome::Released,
                )
                .await?;
                Ok(SendResult::Stopped(stop))
            }
            NextStep::DeadLetter(failure) => self.refused(part, failure, record, probe).await,
        }
    }

    /// Meta refuses an event that stood alone. When that happens again and again, and it takes none in
    /// between, it is not the events' fault: then the dataset is left alone before all of them are dead
    /// letters.
    async fn refused(
        &self,
        part: Leased,
        failure: &Failure,
        record: &AttemptRecord,
        probe: Option<Probe>,
    ) -> Result<SendResult, StoreError> {
        let (dataset, message) = (part.batch.id.dataset_id, &failure.message);
        let code = (record.error_code, record.error_subcode);
        let is_systematic = self.refusals.refused(dataset, code);
        let is_known = match probe {
            // It was to find out whether this is over, and it is not.
            Some(probe) => probe.is_about_refusals,
            // Another delivery has found it out.
            None => {
                let looking = || self.is_stopped_for_refusals(dataset);
                self.insist(part.until, looking).await?.0
            }
        };
        let stop = if is_systematic || is_known {
            error!(
                dataset_id = %dataset,
                "Meta refuses event after event for one cause and takes none, so the others are kept back and the \
                 dataset is left alone; somebody has to act: {message}"
            );
            let stopping = self.stop(&part, Reason::Refused, failure.wait, probe.is_some());
            Some(stopping.await?)
        } else {
            warn!(dataset_id = %dataset, "Meta refuses an event for good, it is kept as a dead letter: {message}");
            None
        };
        let fates = fates(&part.batch, |_| Fate::Dead(DeadLetterReason::Refused));
        // A refusal of an event proves that Meta is alive.
        let settled = self
            .settle(&part, &fates, Some(record), ProbeOutcome::Succeeded)
            .await?;
        Ok(stop.map_or(settled, SendResult::Stopped))
    }

    /// The next try of one event, or none. A probe spends no retry: the outage is not the event's fault.
    fn retry(&self, event: &QueuedEvent, failure: &Failure, probing: bool) -> Fate {
        let spent = u16::try_from(event.retries).unwrap_or_default();
        let chance = rand::random();
        if probing {
            let first = self.schedule.next_delay(0, failure.wait, chance);
            return Fate::Wait {
                delay: first.unwrap_or(LEAST_PARKED),
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

    async fn access_token(&self, dataset: DatasetId) -> Result<Token, StoreError> {
        match self.store.access_token(dataset).await {
            Ok(Some(token)) => Ok(Token::Known(token)),
            Ok(None) => Ok(Token::NoDataset),
            Err(error @ StoreError::Sealed { .. }) => Ok(Token::Sealed(error)),
            Err(error) => Err(error),
        }
    }

    async fn request(&self, batch: &Batch, token: &SecretString, events: &[&str]) -> Answer {
        let request = EventsRequest {
            events,
            test_event_code: &batch.test_event_code,
        };
        if batch.attempt > 1 {
            self.metrics.resent.inc_by(events.len() as u64);
        }
        self.metrics.in_flight.inc();
        let answer = self
            .graph_api
            .send_events(batch.id.dataset_id, token, &request)
            .await;
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
                FailureClass::Refused => RequestResult::refused,
                FailureClass::TooLarge => RequestResult::too_large,
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
        answer
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

    /// A span for each event whose request was traced, as a part of that trace, by OpenTelemetry's semantic
    /// conventions for HTTP clients and for messages that come in batches. They end when dropped.
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
                    otel.name = "POST /{version}/{dataset_id}/events",
                    otel.status_code = Empty,
                    http.request.method = "POST",
                    http.response.status_code = Empty,
                    "error.type" = Empty,
                    server.address = %self.server.host,
                    server.port = self.server.port,
                    url.full = %format_args!("{}/{}/events", self.server.base, batch.id.dataset_id),
                    url.template = "/{version}/{dataset_id}/events",
                    messaging.system = "postgresql",
                    messaging.destination.name = "send_queue",
                    messaging.batch.message_count = batch.events.len(),
                    meta.fbtrace_id = Empty,
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

    fn count(&self, outcome: EventOutcome) {
        self.metrics.events.get_or_create(&EventLabels { outcome }).inc();
    }

    fn count_lost_lease(&self, batch_id: i64) {
        self.metrics.leases_lost.inc();
        warn!(
            batch.id = batch_id,
            "the lease had ended: another forwarder has taken the batch over, or will"
        );
    }
}

/// Where Meta is, as spans say it: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>.
#[derive(Clone)]
struct Server {
    host: String,
    port: u16,
    /// The address with the version, without a slash at its end.
    base: String,
}

impl Server {
    fn of(url: &str, version: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let authority = rest.split('/').next().unwrap_or_default();
        let by_scheme = if scheme == "http" { 80 } else { 443 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(by_scheme)),
            _ => (authority, by_scheme),
        };
        Server {
            host: host.to_owned(),
            port,
            base: format!("{}/{version}", url.trim_end_matches('/')),
        }
    }
}

/// Notes in a span what Meta answered.
fn answered(span: &Span, answer: &Answer) {
    if let Some(status) = answer.http_status {
        span.record("http.response.status_code", status);
    }
    if let Some(fbtrace_id) = &answer.fbtrace_id {
        span.record("meta.fbtrace_id", fbtrace_id.as_str());
    }
    if let Err(failure) = &answer.result {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", display(format_args!("{:?}", failure.class)));
    }
}

/// The access token of a dataset, or why there is none.
enum Token {
    Known(SecretString),
    NoDataset,
    /// This process has another sealing key than the one that sealed it.
    Sealed(StoreError),
}

/// What follows from the answer to a request of so many events. `may_isolate`: should Meta fail on it, the
/// event is looked for on which it does.
fn next_step(result: &Result<(), Failure>, sent: usize, may_isolate: bool) -> NextStep<'_> {
    let Err(failure) = result else {
        return NextStep::Finish;
    };
    match failure.class {
        FailureClass::Refused | FailureClass::TooLarge if sent > 1 => NextStep::Split,
        FailureClass::Refused => NextStep::DeadLetter(failure),
        FailureClass::Transient | FailureClass::Unknown if sent > 1 && may_isolate => {
            NextStep::Isolate(failure)
        }
        FailureClass::Transient | FailureClass::Unknown | FailureClass::TooLarge => NextStep::Retry(failure),
        FailureClass::Throttled => NextStep::Park(Reason::Throttled, failure),
        FailureClass::Blocked => NextStep::Park(Reason::Blocked, failure),
    }
}

/// The attempt as it is logged.
fn record(answer: &Answer, step: NextStep<'_>) -> AttemptRecord {
    let failure = answer.result.as_ref().err();
    let error = failure.and_then(|failure| failure.error.as_ref());
    AttemptRecord {
        outcome: match step {
            NextStep::Finish => AttemptOutcome::Delivered,
            NextStep::Split | NextStep::DeadLetter(_) => AttemptOutcome::Refused,
            NextStep::Retry(_) | NextStep::Isolate(_) => AttemptOutcome::Unavailable,
            NextStep::Park(Reason::Throttled, _) => AttemptOutcome::Throttled,
            NextStep::Park(..) => AttemptOutcome::Blocked,
        },
        http_status: answer.http_status,
        fbtrace_id: answer.fbtrace_id.clone(),
        error_code: error.and_then(|error| error.code),
        error_subcode: error.and_then(|error| error.error_subcode),
        error_message: failure.map(|failure| failure.message.clone()),
        latency_ms: i32::try_from(answer.latency.as_millis()).ok(),
        events_received: answer.events_received,
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

/// Every event waits as long as its dataset is left alone, and keeps its retries.
fn parked(batch: &Batch, stop: &Stop) -> Vec<Fate> {
    fates(batch, |event| Fate::Wait {
        delay: parked_for(stop.wait, LEAST_PARKED, rand::random()),
        retries: event.retries,
    })
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

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_failure_has_its_next_step() {
        let failure = |class| Failure {
            class,
            message: String::new(),
            wait: None,
            error: None,
        };
        let step = |class, sent, may_isolate| match next_step(&Err(failure(class)), sent, may_isolate) {
            NextStep::Finish => "finish",
            NextStep::Split => "split",
            NextStep::Isolate(_) => "isolate",
            NextStep::Retry(_) => "retry",
            NextStep::Park(Reason::Throttled, _) => "park, throttled",
            NextStep::Park(..) => "park, blocked",
            NextStep::DeadLetter(_) => "dead letter",
        };
        for (class, one, many) in [
            (FailureClass::Transient, "retry", "retry"),
            (FailureClass::Unknown, "retry", "retry"),
            (FailureClass::TooLarge, "retry", "split"),
            (FailureClass::Refused, "dead letter", "split"),
            (FailureClass::Throttled, "park, throttled", "park, throttled"),
            (FailureClass::Blocked, "park, blocked", "park, blocked"),
        ] {
            let steps = (step(class, 1, false), step(class, 2, false));
            assert_eq!(steps, (one, many), "{class:?}");
            let is_outage = matches!(class, FailureClass::Transient | FailureClass::Unknown);
            let suspicious = if is_outage { "isolate" } else { many };
            assert_eq!(
                (step(class, 1, true), step(class, 2, true)),
                (one, suspicious),
                "{class:?}"
            );
        }
        assert_eq!(next_step(&Ok(()), 1, true), NextStep::Finish);
    }

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
