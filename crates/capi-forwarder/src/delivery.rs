//! One batch on its way: to Meta, and its outcome into the log.
//!
//! Where is an event if the process dies here? Until the last statement commits it is in `send_batches`, under a lease
//! that ends by itself; then another forwarder sends it again with the same ids, and Meta drops what it has.

use std::time::Duration;

use rastro_graph_api::{Answer, EventsRequest, Failure, FailureClass, GraphApi};
use rastro_service::telemetry::{ErrorChain, trace_context};
use rastro_store::{AttemptRecord, Batch, EventOutcome, Outcome, Store, StoreError};
use tracing::{Span, error, info, warn};

use crate::config::ForwarderConfig;
use crate::metrics::{EventLabels, ForwarderMetrics, RequestLabels, RequestResult};

/// What a delivery needs. Clones share it.
#[derive(Clone)]
pub(crate) struct Courier {
    pub(crate) store: Store,
    pub(crate) graph_api: GraphApi,
    pub(crate) config: ForwarderConfig,
    pub(crate) metrics: ForwarderMetrics,
    /// Whether anything is traced.
    pub(crate) traces: bool,
}

impl Courier {
    /// Sends a batch and records what came of it. An error means that the database could not be asked; the batch is
    /// then taken over when its lease ends.
    pub(crate) async fn deliver(&self, batch: Batch) -> Result<(), StoreError> {
        let spans = self.trace(&batch);
        let fresh: Vec<&str> = batch
            .events
            .iter()
            .filter(|event| !event.too_old)
            .map(|event| event.payload.as_str())
            .collect();
        let answer = if fresh.is_empty() {
            None
        } else {
            self.send(&batch, &fresh).await?
        };
        let delivered = match answer {
            None => Ok(()),
            Some(Answer { result: Ok(()), .. }) => Ok(()),
            Some(Answer {
                result: Err(ref failure),
                ..
            }) => Err(failure.clone()),
        };
        let attempt = answer.map(|answer| record(&answer)).unwrap_or_default();
        let outcome = if delivered.is_ok() {
            Outcome::Success
        } else {
            Outcome::Error
        };
        let outcomes: Vec<EventOutcome<'_>> = batch
            .events
            .iter()
            .map(|event| EventOutcome {
                event,
                outcome: if event.too_old { Outcome::Expired } else { outcome },
            })
            .collect();

        let owned = match &delivered {
            Ok(()) => self.store.finish_batch(batch.id, &attempt, &outcomes).await?,
            Err(failure) => {
                let delay = self.wait_after(failure, batch.attempt);
                report(&batch, failure, delay);
                self.store
                    .postpone_batch(batch.id, &attempt, &outcomes, delay)
                    .await?
            }
        };
        drop(spans);
        if !owned {
            self.metrics.leases_lost.inc();
            warn!(
                batch.id = batch.id.batch_id,
                "the lease had ended: another forwarder sends these events too"
            );
            return Ok(());
        }
        for outcome in outcomes {
            self.metrics
                .events
                .get_or_create(&EventLabels {
                    outcome: outcome.outcome.as_str(),
                })
                .inc();
        }
        Ok(())
    }

    /// `None` cannot happen for a batch of a dataset we know; it is an answer all the same, so that nothing is sent
    /// anywhere else.
    async fn send(&self, batch: &Batch, events: &[&str]) -> Result<Option<Answer>, StoreError> {
        let dataset = batch.id.dataset_id;
        let token = match self.store.access_token(dataset).await {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(Some(blocked("there is no dataset of this id".to_owned()))),
            Err(error @ StoreError::Sealed { .. }) => return Ok(Some(blocked(error.to_string()))),
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
                FailureClass::Refused => RequestResult::refused,
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
        Ok(Some(answer))
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

    /// At least as long as Meta asked, and longer with each attempt. A fifth more at random, never less.
    fn wait_after(&self, failure: &Failure, attempt: i32) -> Duration {
        let delay = self
            .config
            .retry_delay(attempt)
            .max(failure.wait.unwrap_or_default());
        delay.mul_f64(1.0 + 0.2 * rand::random::<f64>())
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
        latency_ms: i32::try_from(answer.latency.as_millis()).ok(),
    }
}

fn report(batch: &Batch, failure: &Failure, delay: Duration) {
    let (id, count, dataset) = (batch.id.batch_id, batch.events.len(), batch.id.dataset_id);
    let message = &failure.message;
    match failure.class {
        FailureClass::Transient | FailureClass::Unknown | FailureClass::Throttled => warn!(
            dataset_id = %dataset, batch.id = id, batch.attempt = batch.attempt,
            "{count} events wait {delay:.1?} after a failed attempt: {message}"
        ),
        FailureClass::Blocked | FailureClass::Refused => error!(
            dataset_id = %dataset, batch.id = id, batch.attempt = batch.attempt,
            "{count} events wait {delay:.1?}; somebody has to act: {message}"
        ),
    }
}

/// Runs a delivery to its end and says so if the database was away.
pub(crate) async fn carry(courier: Courier, batch: Batch) {
    let id = batch.id.batch_id;
    if let Err(error) = courier.deliver(batch).await {
        warn!(
            batch.id = id,
            "an outcome could not be recorded, the batch will be sent again: {}",
            ErrorChain(&error)
        );
    }
}
