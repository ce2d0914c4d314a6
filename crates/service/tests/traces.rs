//! Traces as a collector receives them, from two services that share nothing but a text.

#![expect(clippy::unwrap_used, reason = "in a test, a wrong assumption is a failure")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use rastro_service::telemetry::{self, LogFormat, Telemetry, TelemetryConfig, trace_context};
use rastro_service::testing::OtlpReceiver;
use tracing::{Dispatch, dispatcher, info, info_span};

fn service(name: &'static str, collector: &OtlpReceiver, sample_ratio: f64) -> (Dispatch, Telemetry) {
    telemetry::dispatch(name, &config(collector.endpoint(), sample_ratio), std::io::sink).unwrap()
}

fn config(endpoint: String, sample_ratio: f64) -> TelemetryConfig {
    TelemetryConfig {
        log_format: LogFormat::Json,
        log_filter: "off".into(),
        otlp_endpoint: Some(endpoint),
        sample_ratio,
    }
}

#[tokio::test]
async fn services_joined_by_a_text_in_a_row_make_one_trace_with_an_unbroken_line_of_parents() {
    let collector = OtlpReceiver::start();
    let (gateway, gateway_telemetry) = service("ingest-gateway", &collector, 1.0);
    let row: String = dispatcher::with_default(&gateway, || {
        let request = info_span!("request");
        let _entered = request.enter();
        info_span!("accept", event.count = 3).in_scope(|| {
            info!("accepted");
            trace_context::traceparent(&tracing::Span::current()).unwrap()
        })
    });
    gateway_telemetry.flush();

    // A forwarder that records nothing of its own accord still records what the gateway did.
    let (forwarder, forwarder_telemetry) = service("capi-forwarder", &collector, 0.0);
    dispatcher::with_default(&forwarder, || {
        info_span!("unrelated").in_scope(|| info!("not recorded"));
        let delivery = info_span!("deliver");
        assert!(trace_context::set_parent(&delivery, &row));
        delivery.in_scope(|| info_span!("send").in_scope(|| info!("sent")));
    });
    forwarder_telemetry.flush();

    let spans = collector.wait_for(|spans| spans.len() >= 4).await;
    let find = |service: &str, name: &str| {
        let found: Vec<_> = spans
            .iter()
            .filter(|span| span.service == service && span.name == name)
            .collect();
        assert_eq!(found.len(), 1, "{service} {name} in {spans:#?}");
        found[0].clone()
    };
    let request = find("ingest-gateway", "request");
    let accept = find("ingest-gateway", "accept");
    let deliver = find("capi-forwarder", "deliver");
    let send = find("capi-forwarder", "send");
    assert_eq!(spans.len(), 4, "{spans:#?}");
    assert!(
        spans.iter().all(|span| span.trace_id == request.trace_id),
        "{spans:#?}"
    );
    assert_eq!(request.parent_span_id, "");
    assert_eq!(accept.parent_span_id, request.span_id);
    assert_eq!(deliver.parent_span_id, accept.span_id);
    assert_eq!(send.parent_span_id, deliver.span_id);
    assert_eq!(accept.attributes["event.count"], "3");
    // W3C Trace Context 3.2: version 00, trace id, parent id, flags 01 = recorded.
    assert_eq!(row, format!("00-{}-{}-01", accept.trace_id, accept.span_id));
}

#[tokio::test]
async fn a_trace_that_is_not_recorded_has_nothing_to_hand_on_and_sends_nothing() {
    let collector = OtlpReceiver::start();
    let (dispatch, telemetry) = service("quiet", &collector, 0.0);
    dispatcher::with_default(&dispatch, || {
        let span = info_span!("work");
        span.in_scope(|| info!("worked"));
        assert_eq!(trace_context::traceparent(&span), None);
        // Nor is one continued that the other side did not record.
        let unrecorded = info_span!("work");
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        assert!(trace_context::set_parent(&unrecorded, parent));
        unrecorded.in_scope(|| assert_eq!(trace_context::traceparent(&tracing::Span::current()), None));
    });
    telemetry.flush();
    assert_eq!(collector.spans(), []);
}

#[tokio::test]
async fn a_malformed_traceparent_starts_a_new_trace() {
    let collector = OtlpReceiver::start();
    let (dispatch, telemetry) = service("strict", &collector, 1.0);
    let malformed = [
        "",
        "nonsense",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ];
    dispatcher::with_default(&dispatch, || {
        for traceparent in malformed {
            let span = info_span!("work");
            assert!(!trace_context::set_parent(&span, traceparent), "{traceparent}");
            span.in_scope(|| info!("worked"));
        }
    });
    telemetry.flush();
    let spans = collector.wait_for(|spans| spans.len() == malformed.len()).await;
    assert!(
        spans.iter().all(|span| span.parent_span_id.is_empty()),
        "{spans:#?}"
    );
}

#[tokio::test]
async fn a_parent_comes_too_late_once_the_span_was_entered() {
    let collector = OtlpReceiver::start();
    let (dispatch, telemetry) = service("late", &collector, 1.0);
    dispatcher::with_default(&dispatch, || {
        let span = info_span!("work");
        span.in_scope(|| info!("worked"));
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(!trace_context::set_parent(&span, parent));
    });
    telemetry.flush();
    assert_eq!(collector.spans()[0].parent_span_id, "");
}

#[tokio::test]
async fn a_log_line_inside_a_recorded_trace_names_the_trace() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let collector = OtlpReceiver::start();
    let log = Log::default();
    let config = TelemetryConfig {
        log_filter: "info".into(),
        ..config(collector.endpoint(), 1.0)
    };
    let writer = log.clone();
    let (dispatch, telemetry) = telemetry::dispatch("logging", &config, move || writer.clone()).unwrap();
    dispatcher::with_default(&dispatch, || {
        info!("outside");
        info_span!("work", step = 1).in_scope(|| info!(found = 5, "inside"));
    });
    telemetry.flush();

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (lines[0]["message"].as_str(), lines[0].get("trace_id")),
        (Some("outside"), None)
    );
    let inside = &lines[1];
    assert_eq!(
        (&inside["message"], &inside["found"]),
        (&"inside".into(), &5.into())
    );
    assert_eq!(inside["spans"][0]["step"], 1);
    assert_eq!(inside["trace_id"], collector.spans()[0].trace_id.as_str());
}
