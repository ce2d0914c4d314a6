//! One event, three services, one trace.

use std::time::Duration;

use rastro_sandbox::{Fault, FaultKind};
use rastro_service::testing::{OtlpReceiver, ReceivedSpan};
use rastro_test_support::events::lead;
use rastro_test_support::process::Process;
use rastro_test_support::{DATASET_ID, Key, World};

use crate::support::error;

/// OpenTelemetry, semantic conventions 1.37, for HTTP: what the spans of a server and of a client must have,
/// with the status of an answer that came.
const OF_SERVER: [&str; 5] = [
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "url.path",
    "url.scheme",
];
const OF_CLIENT: [&str; 5] = [
    "http.request.method",
    "http.response.status_code",
    "server.address",
    "server.port",
    "url.full",
];

#[track_caller]
fn only<'s>(spans: &'s [ReceivedSpan], service: &str, name: &str) -> &'s ReceivedSpan {
    let found: Vec<_> = spans
        .iter()
        .filter(|span| span.service == service && span.name == name)
        .collect();
    assert_eq!(found.len(), 1, "{service} {name}: {spans:#?}");
    found[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateway_forwarder_and_retry_worker_spans_of_an_event_are_one_trace() {
    let world = World::start().await;
    let collector = OtlpReceiver::start();
    let endpoint = collector.endpoint();
    // The others sample nothing by themselves: what they trace, they trace because the gateway did.
    let telemetry = |ratio| {
        [
            ("RASTRO__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
            ("RASTRO__TELEMETRY__SAMPLE_RATIO", ratio),
        ]
    };
    let gateway = Process::gateway(&world.database, &telemetry("1"));
    world
        .sandbox
        .fail_with(error(503, 2, None, None).times(1))
        .unwrap();
    // Meta takes its time, and the span lasts as long.
    let ms = 80;
    world
        .sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms }))
        .unwrap();
    let _forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &telemetry("0"));

    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let url = gateway.conversions_url().await;
    let send = world
        .client
        .post(&url)
        .bearer_auth(Key::Secret.as_str())
        .header("traceparent", caller);
    let answer = World::answer(send.json(&lead("a", world.now()))).await;
    assert_eq!(answer.status, 202);
    let of_forwarder = |spans: &[ReceivedSpan]| {
        spans
            .iter()
            .filter(|span| span.service == "capi-forwarder")
            .count()
    };
    collector.wait_for(|spans| of_forwarder(spans) == 1).await;
    // It waits for its retry, and a retry-worker makes it ready again.
    world.advance(Duration::from_secs(120)).await;
    let _retry_worker = Process::retry_worker(&world.database, &telemetry("0"));
    let spans = collector
        .wait_for(|spans| {
            of_forwarder(spans) == 2
                && ["ingest-gateway", "retry-worker"]
                    .iter()
                    .all(|service| spans.iter().any(|span| span.service == *service))
        })
        .await;
    let received = only(&spans, "ingest-gateway", "POST /api/meta/conversions");
    assert_eq!(received.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(received.parent_span_id, "00f067aa0ba902b7");
    assert_eq!(received.attributes["http.route"], "/api/meta/conversions");
    assert_eq!(received.attributes["http.response.status_code"], "202");
    let stored = only(&spans, "ingest-gateway", "INSERT events");
    assert_eq!(stored.parent_span_id, received.span_id);
    assert_eq!(stored.attributes["db.system.name"], "postgresql");
    let requeued = only(&spans, "retry-worker", "send send_queue");
    assert_eq!(requeued.attributes["messaging.operation.type"], "send");
    let mut delivered: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "POST /{version}/{dataset_id}/events")
        .collect();
    delivered.sort_by_key(|span| span.attributes["http.response.status_code"].clone());
    let status: Vec<_> = delivered
        .iter()
        .map(|span| span.attributes["http.response.status_code"].as_str())
        .collect();
    assert_eq!(status, ["200", "503"]);
    assert!(delivered[1].attributes.contains_key("error.type"));
    assert!(!delivered[0].attributes.contains_key("error.type"));
    for span in delivered.iter().copied().chain([requeued]) {
        assert_eq!(span.trace_id, received.trace_id);
        assert_eq!(span.parent_span_id, received.span_id);
        // From the trace to the log rows: all carry the request's id.
        assert_eq!(span.attributes["request.id"], received.attributes["request.id"]);
    }
    for (span, names) in [
        (received, OF_SERVER),
        (delivered[0], OF_CLIENT),
        (delivered[1], OF_CLIENT),
    ] {
        for name in names {
            assert!(span.attributes.contains_key(name), "{name}: {span:#?}");
        }
    }
    for span in &delivered {
        assert!(span.lasted >= Duration::from_millis(ms), "{span:#?}");
    }
    // Its address as it was asked, without the token.
    assert_eq!(
        delivered[0].attributes["url.full"],
        format!("{}/v24.0/{DATASET_ID}/events", world.sandbox.url())
    );
    // service.instance.id tells two processes of a service apart.
    for span in &spans {
        for name in ["service.name", "service.version", "service.instance.id"] {
            assert!(span.resource.contains_key(name), "{name}: {span:#?}");
        }
    }
    assert_ne!(
        received.resource["service.instance.id"],
        delivered[0].resource["service.instance.id"]
    );
    assert_eq!(spans.len(), 5, "and nothing else: {spans:#?}");
    assert_eq!(
        answer.json["request_id"],
        received.attributes["request.id"].as_str()
    );
    let logged = world
        .database
        .value("SELECT string_agg(DISTINCT request_id::text, ' ') FROM meta_events_log")
        .await;
    assert_eq!(logged, received.attributes["request.id"]);
}
