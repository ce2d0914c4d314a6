//! Logs and traces.
//!
//! Logs go to standard output, one event a line. Traces go to an OTLP collector if one is configured; if none
//! is, no tracing layer exists and spans cost only what the logs need. A collector that is slow, broken or
//! away costs traces, never work: spans wait in a bounded queue, and what does not fit or arrive is dropped,
//! with a warning now and then.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing::{Dispatch, Level, Metadata, warn};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::{Registry, fmt};

mod error_chain;
mod export;
mod json;
pub mod trace_context;

pub use error_chain::ErrorChain;

/// How long [`Telemetry::flush`] waits for a collector that does not answer.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// The `[telemetry]` section, the same in every service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    pub log_format: LogFormat,
    /// What is logged, in the syntax of `tracing_subscriber::EnvFilter`: `info,rastro_store=debug`.
    /// It does not decide what is traced: those are the spans of level info and above.
    pub log_filter: String,
    /// The collector's base URL, such as `http://jaeger:4318`; `/v1/traces` is added to it. None or empty: no
    /// traces.
    #[serde(default)]
    pub otlp_endpoint: Option<String>,
    /// The share of new traces that is recorded, 0 to 1. A trace that another service began is
    /// recorded if it was recorded there.
    pub sample_ratio: f64,
}

/// What a line of log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// For people: `pretty`.
    Pretty,
    /// For machines: `json`, one object a line. Event fields stand at the top, beside `timestamp`, `level`,
    /// `target`, `message`, `spans` and `trace_id`, whose names are therefore reserved.
    Json,
}

impl TryFrom<String> for LogFormat {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            _ => Err("expected `pretty` or `json`"),
        }
    }
}

impl TelemetryConfig {
    /// Whether there is anywhere to send traces to. If not, making spans for them is wasted work.
    pub fn exports_traces(&self) -> bool {
        self.otlp_endpoint
            .as_deref()
            .is_some_and(|endpoint| !endpoint.is_empty())
    }

    fn log_filter(&self) -> anyhow::Result<EnvFilter> {
        EnvFilter::try_new(&self.log_filter)
            .with_context(|| format!("telemetry.log_filter {:?} is not a filter", self.log_filter))
    }

    fn otlp_endpoint(&self) -> anyhow::Result<Option<&str>> {
        let Some(endpoint) = self.otlp_endpoint.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        ensure!(
            endpoint.starts_with("http://") || endpoint.starts_with("https://"),
            "telemetry.otlp_endpoint must begin with http:// or https://"
        );
        Ok(Some(endpoint))
    }

    fn sample_ratio(&self) -> anyhow::Result<f64> {
        ensure!(
            (0.0..=1.0).contains(&self.sample_ratio),
            "telemetry.sample_ratio must lie between 0 and 1"
        );
        Ok(self.sample_ratio)
    }
}

/// Telemetry at work. Keep it, and [`flush`](Self::flush) it as the last thing `main` does.
#[derive(Debug)]
#[must_use = "spans that still wait to be sent are lost unless it is flushed at the end"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sends what waits to be sent and stops. Takes 5 seconds at most, and blocks the calling thread for
    /// them.
    pub fn flush(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_LIMIT)
        {
            warn!("the last spans may be lost: {error}");
        }
    }
}

/// Starts logging and tracing for the whole process. `service_name` is the `service.name` of its traces.
///
/// # Errors
/// When a setting makes no sense, or the process has been set up before.
pub fn init(service_name: &'static str, config: &TelemetryConfig) -> anyhow::Result<Telemetry> {
    let (dispatch, telemetry) = dispatch(service_name, config, std::io::stdout)?;
    tracing::dispatcher::set_global_default(dispatch).context("telemetry is already set up")?;
    if telemetry.provider.is_some() {
        global::set_text_map_propagator(TraceContextPropagator::new());
    }
    Ok(telemetry)
}

/// As [`init`], but not for the whole process: whoever enters the returned dispatcher logs to `writer` and
/// traces as `service_name`. For tests that need several services, or the log, in one process.
///
/// # Errors
/// When a setting makes no sense.
pub fn dispatch<W>(
    service_name: &'static str,
    config: &TelemetryConfig,
    writer: W,
) -> anyhow::Result<(Dispatch, Telemetry)>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = config.log_filter()?;
    let sample_ratio = config.sample_ratio()?;
    let logs = fmt::layer()
        .with_writer(writer)
        .with_ansi(std::io::stdout().is_terminal());
    let logs = match config.log_format {
        LogFormat::Pretty => logs.boxed(),
        LogFormat::Json => json::layer(logs).boxed(),
    };
    // A list, so that without a collector there is no tracing layer at all.
    let mut layers = vec![logs.with_filter(filter).boxed()];
    let mut provider = None;
    if let Some(endpoint) = config.otlp_endpoint()? {
        let traces = export::provider(service_name, endpoint, sample_ratio)?;
        let layer = tracing_opentelemetry::layer()
            .with_tracer(traces.tracer("rastro"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_traced).with_max_level_hint(LevelFilter::INFO));
        layers.push(layer.boxed());
        provider = Some(traces);
    }
    Ok((
        Dispatch::new(Registry::default().with(layers)),
        Telemetry { provider },
    ))
}

/// Spans of the HTTP client that carries the traces would themselves be traced, without end.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    const OF_THE_EXPORTER: [&str; 5] = ["h2", "hyper", "opentelemetry", "reqwest", "rustls"];
    *metadata.level() <= Level::INFO
        && !OF_THE_EXPORTER
            .iter()
            .any(|crate_name| metadata.target().starts_with(crate_name))
}

#[cfg(test)]
mod tests;
