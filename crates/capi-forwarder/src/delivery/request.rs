//! The request to Meta: with whose token, how it is measured, and the traces it is a part of.

use rastro_core::dataset::DatasetId;
use rastro_graph_api::{Answer, EventsRequest, FailureClass};
use rastro_service::telemetry::trace_context;
use rastro_store::{Batch, StoreError};
use secrecy::SecretString;
use tracing::field::{Empty, display};
use tracing::{Span, info};

use super::Sender;
use crate::metrics::{RequestLabels, RequestResult};

/// The access token of a dataset, or why there is none.
pub(super) enum Token {
    Known(SecretString),
    NoDataset,
    /// This process has another sealing key than the one that sealed it.
    Sealed(StoreError),
}

impl Sender {
    pub(super) async fn access_token(&self, dataset: DatasetId) -> Result<Token, StoreError> {
        match self.store.access_token(dataset).await {
            Ok(Some(token)) => Ok(Token::Known(token)),
            Ok(None) => Ok(Token::NoDataset),
            Err(error @ StoreError::Sealed { .. }) => Ok(Token::Sealed(error)),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn request(&self, batch: &Batch, token: &SecretString, events: &[&str]) -> Answer {
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

    /// A span for each event whose request was traced, as a part of that trace, by OpenTelemetry's semantic
    /// conventions for HTTP clients and for messages that come in batches. They end when they are left again.
    pub(super) fn trace(&self, batch: &Batch) -> Vec<Span> {
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
}

/// Notes in a span what Meta answered.
pub(super) fn answered(span: &Span, answer: &Answer) {
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

/// Where Meta is, as spans say it: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>.
#[derive(Clone)]
pub(super) struct Server {
    host: String,
    port: u16,
    /// The address with the version, without a slash at its end.
    base: String,
}

impl Server {
    pub(super) fn of(url: &str, version: &str) -> Self {
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
