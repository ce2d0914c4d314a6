//! The way of finished spans to the collector: OTLP over HTTP, from a thread of its own.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use tracing::warn;
use uuid::Uuid;

/// Finished spans that wait; beyond this they are dropped. At some 1 KB a span that is 2 MB at most.
const QUEUE_LENGTH: usize = 2_048;
const BATCH_LENGTH: usize = 512;
const BATCH_DELAY: Duration = Duration::from_secs(2);
/// One batch, with its repeats. Less than the flush limit at the end, or one dead batch would use it up.
const EXPORT_LIMIT: Duration = Duration::from_secs(3);
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// A tracer provider that sends to the collector at `endpoint` (its base URL).
pub(super) fn provider(
    service_name: &'static str,
    endpoint: &str,
    sample_ratio: f64,
) -> anyhow::Result<SdkTracerProvider> {
    // The HTTP client is built without a choice of TLS provider and panics if nobody has made one. An error
    // here means that somebody has.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_LIMIT)
        .build()
        .context("cannot set up the export of traces to telemetry.otlp_endpoint")?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE_LENGTH)
        .with_max_export_batch_size(BATCH_LENGTH)
        .with_scheduled_delay(BATCH_DELAY)
        .build();
    let processor = BatchSpanProcessor::builder(Reporting::new(exporter))
        .with_batch_config(batches)
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            sample_ratio,
        ))))
        .with_resource(resource(service_name))
        .build())
}

/// Who sends: the service, its version, and this process of it. Whoever runs it may say otherwise, and more,
/// in `OTEL_RESOURCE_ATTRIBUTES`, by which Kubernetes tells the pod; the name is ours.
fn resource(service_name: &'static str) -> Resource {
    let process = [
        // All services have the workspace's version.
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
    ];
    Resource::builder_empty()
        .with_attributes(process)
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ])
        .with_service_name(service_name)
        .build()
}

/// Says that spans are being lost, which the SDK would keep to itself, but at most once a minute.
#[derive(Debug)]
struct Reporting<E> {
    exporter: E,
    losses: Mutex<Losses>,
}

impl<E> Reporting<E> {
    fn new(exporter: E) -> Self {
        Self {
            exporter,
            losses: Mutex::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Losses {
    spans: usize,
    quiet_until: Option<Instant>,
}

impl Losses {
    /// Counts lost spans; returns all that were lost since the last warning, if it is time for another.
    fn add(&mut self, spans: usize, now: Instant) -> Option<usize> {
        self.spans += spans;
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        self.quiet_until = Some(now + WARNING_INTERVAL);
        Some(std::mem::take(&mut self.spans))
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        if let Err(error) = &result {
            let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
            let lost = losses.add(spans, Instant::now());
            drop(losses);
            if let Some(lost) = lost {
                warn!(
                    trace.lost_spans = lost,
                    "traces do not reach the collector: {error}"
                );
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_reported_at_once_and_then_once_a_minute_with_their_sum() {
        let mut losses = Losses::default();
        let start = Instant::now();
        assert_eq!(losses.add(5, start), Some(5));
        assert_eq!(losses.add(7, start + Duration::from_secs(1)), None);
        assert_eq!(losses.add(1, start + Duration::from_secs(59)), None);
        assert_eq!(losses.add(2, start + Duration::from_secs(60)), Some(10));
        assert_eq!(losses.add(3, start + Duration::from_secs(61)), None);
    }
}
