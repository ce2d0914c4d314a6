use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing::{debug, debug_span, info, info_span};

use super::*;

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn config(log_format: LogFormat, log_filter: &str) -> TelemetryConfig {
    TelemetryConfig {
        log_format,
        log_filter: log_filter.into(),
        otlp_endpoint: None,
        sample_ratio: 1.0,
    }
}

/// Runs `work` in a service with this configuration; returns what it logged.
fn logged(config: &TelemetryConfig, work: impl FnOnce()) -> Log {
    let log = Log::default();
    let (dispatch, telemetry) = dispatch("test", config, log.clone()).unwrap();
    tracing::dispatcher::with_default(&dispatch, work);
    telemetry.flush();
    log
}

#[test]
fn a_json_log_has_one_object_a_line_with_the_fields_of_the_event_and_of_its_spans() {
    let log = logged(&config(LogFormat::Json, "info"), || {
        let batch = info_span!("batch", batch.id = 7);
        let _batch = batch.enter();
        let delivery = info_span!("delivery", delivery.id = "d-1");
        let _delivery = delivery.enter();
        info!(delivery.attempt = 2, "delivered\non attempt {}", 2);
        debug!("not at this level");
    });
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!(
        (&line["level"], &line["message"], &line["delivery.attempt"]),
        (&json!("INFO"), &json!("delivered\non attempt 2"), &json!(2))
    );
    assert_eq!(
        line["spans"],
        json!([{"name": "batch", "batch.id": 7}, {"name": "delivery", "delivery.id": "d-1"}])
    );
    assert!(
        chrono::DateTime::parse_from_rfc3339(line["timestamp"].as_str().unwrap()).is_ok(),
        "{line}"
    );
    assert!(line.get("trace_id").is_none(), "{line}");
}

#[test]
fn a_pretty_log_is_text_for_people() {
    let log = logged(&config(LogFormat::Pretty, "info"), || {
        info!(delivery.attempt = 2, "delivered");
    });
    assert!(
        log.text().contains("delivered") && log.text().contains("INFO"),
        "{}",
        log.text()
    );
    assert!(!log.text().starts_with('{'), "{}", log.text());
}

#[test]
fn the_filter_decides_by_module_what_is_logged() {
    let log = logged(
        &config(LogFormat::Json, "warn,rastro_service::telemetry=debug"),
        || {
            debug!("ours");
            info!(target: "elsewhere", "theirs");
        },
    );
    let messages: Vec<_> = log.lines().iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages, [json!("ours")]);
}

#[test]
fn without_a_collector_a_span_has_no_trace_to_hand_on() {
    for otlp_endpoint in [None, Some(String::new())] {
        let config = TelemetryConfig {
            otlp_endpoint,
            ..config(LogFormat::Json, "info")
        };
        logged(&config, || {
            let span = info_span!("work");
            let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            assert!(!trace_context::set_parent(&span, parent));
            assert_eq!(trace_context::traceparent(&span), None);
        });
    }
}

#[test]
fn settings_that_make_no_sense_stop_the_start_and_are_named() {
    let good = || config(LogFormat::Json, "info");
    for (bad, name) in [
        (
            TelemetryConfig {
                sample_ratio: 1.5,
                ..good()
            },
            "telemetry.sample_ratio",
        ),
        (
            TelemetryConfig {
                sample_ratio: f64::NAN,
                ..good()
            },
            "telemetry.sample_ratio",
        ),
        (
            TelemetryConfig {
                log_filter: "info,=,".into(),
                ..good()
            },
            "telemetry.log_filter",
        ),
        (
            TelemetryConfig {
                otlp_endpoint: Some("jaeger:4318".into()),
                ..good()
            },
            "telemetry.otlp_endpoint",
        ),
        (
            TelemetryConfig {
                otlp_endpoint: Some("http://:x y".into()),
                ..good()
            },
            "telemetry.otlp_endpoint",
        ),
    ] {
        let error = format!("{:#}", dispatch("test", &bad, std::io::sink).unwrap_err());
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn an_unknown_log_format_is_refused_with_the_known_ones() {
    let load = |format: &str| {
        let defaults = "log_filter = 'info'\nsample_ratio = 0.1\nlog_format = 'pretty'";
        crate::config::load_from::<TelemetryConfig, _, _>(defaults, [("RASTRO__LOG_FORMAT", format)])
    };
    assert_eq!(load("json").unwrap().log_format, LogFormat::Json);
    assert_eq!(load("pretty").unwrap().log_format, LogFormat::Pretty);
    let error = load("jsno").unwrap_err().to_string();
    assert!(
        error.contains("`pretty` or `json`") && error.contains("RASTRO__LOG_FORMAT"),
        "{error}"
    );
}

#[test]
fn spans_below_info_and_of_the_exporters_own_client_are_not_traced() {
    fn metadata(span: &tracing::Span) -> &'static Metadata<'static> {
        span.metadata().unwrap()
    }
    // Metadata is there even when nobody listens only if the level is not compiled out, which nothing here
    // does.
    let (dispatch, telemetry) = dispatch("test", &config(LogFormat::Json, "trace"), std::io::sink).unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        assert!(is_traced(metadata(&info_span!("work"))));
        assert!(!is_traced(metadata(&debug_span!("detail"))));
        assert!(!is_traced(metadata(
            &info_span!(target: "hyper::client", "connect")
        )));
        assert!(!is_traced(metadata(
            &info_span!(target: "reqwest::blocking", "send")
        )));
    });
    telemetry.flush();
}
