//! One event, two services, one trace.

use rastro_service::testing::OtlpReceiver;
use rastro_test_support::events::lead;
use rastro_test_support::process::Process;
use rastro_test_support::{Key, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateway_and_forwarder_spans_of_an_event_are_one_trace() {
    let world = World::start().await;
    let collector = OtlpReceiver::start();
    let endpoint = collector.endpoint();
    // The forwarder samples nothing by itself: what it traces, it traces because the gateway did.
    let gateway = [
        ("RASTRO__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("RASTRO__TELEMETRY__SAMPLE_RATIO", "1"),
    ];
    let gateway = Process::gateway(&world.database, &gateway);
    let forwarder = [
        ("RASTRO__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("RASTRO__TELEMETRY__SAMPLE_RATIO", "0"),
    ];
    let _forwarder = Process::forwarder(&world.database, &world.sandbox.url(), &forwarder);

    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let url = gateway.conversions_url().await;
    let send = world
        .client
        .post(&url)
        .bearer_auth(Key::Secret.as_str())
        .header("traceparent", caller);
    let answer = World::answer(send.json(&lead("a", world.now()))).await;
    assert_eq!(answer.status, 202);
    world.settle().await;

    let spans = collector
        .wait_for(|spans| {
            // Either may be exported first.
            let services = ["ingest-gateway", "capi-forwarder"];
            services
                .iter()
                .all(|service| spans.iter().any(|span| span.service == *service))
        })
        .await;
    let spans_of = |service: &str| {
        spans
            .iter()
            .filter(|span| span.service == service)
            .cloned()
            .collect::<Vec<_>>()
    };
    let (received, delivered) = (spans_of("ingest-gateway"), spans_of("capi-forwarder"));
    assert_eq!((received.len(), delivered.len()), (1, 1), "{spans:#?}");
    let (received, delivered) = (&received[0], &delivered[0]);
    assert_eq!(received.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(received.parent_span_id, "00f067aa0ba902b7");
    assert_eq!(delivered.trace_id, received.trace_id);
    assert_eq!(delivered.parent_span_id, received.span_id);
    // From the trace to the log rows: both carry the request's id.
    assert_eq!(
        received.attributes["request.id"],
        delivered.attributes["request.id"]
    );
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
