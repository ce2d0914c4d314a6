//! For tests: a collector in this process that shows the spans it was sent (feature `testing`).

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::web::{Bytes, Data, PayloadConfig};
use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use tokio::sync::watch;

use crate::http_thread::HttpThread;

const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// A span as the collector received it; ids are lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSpan {
    /// The resource's `service.name`.
    pub service: String,
    /// What is said of the process.
    pub resource: BTreeMap<String, String>,
    pub name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub kind: &'static str,
    pub trace_id: String,
    pub span_id: String,
    /// Empty for the first span of a trace.
    pub parent_span_id: String,
    /// From its start to its end.
    pub lasted: Duration,
    /// Each attribute's value as text.
    pub attributes: BTreeMap<String, String>,
}

/// An OTLP collector (HTTP, protobuf) on a free port of 127.0.0.1; it stops when dropped.
#[derive(Debug)]
pub struct OtlpReceiver {
    addr: SocketAddr,
    spans: watch::Receiver<Vec<ReceivedSpan>>,
    _thread: HttpThread,
}

impl OtlpReceiver {
    /// # Panics
    /// When it cannot listen or start its thread.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("127.0.0.1 has a free port");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let (sender, spans) = watch::channel(Vec::new());
        let sender = Data::new(sender);
        let thread = HttpThread::start("otlp", move || {
            let app = move || {
                App::new()
                    .app_data(sender.clone())
                    .app_data(PayloadConfig::new(64 << 20))
                    .route("/v1/traces", web::post().to(receive))
            };
            Ok(HttpServer::new(app)
                .workers(1)
                .disable_signals()
                .listen(listener)?
                .run())
        });
        Self {
            addr,
            spans,
            _thread: thread.expect("a thread can be started"),
        }
    }

    /// What to configure as `telemetry.otlp_endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All spans received so far, in the order of their arrival.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.spans.borrow().clone()
    }

    /// Waits until the spans received so far satisfy `condition`.
    ///
    /// # Panics
    /// When they do not within 20 seconds; says what was received.
    pub async fn wait_for(&self, mut condition: impl FnMut(&[ReceivedSpan]) -> bool) -> Vec<ReceivedSpan> {
        let mut spans = self.spans.clone();
        let waiting = spans.wait_for(|spans| condition(spans));
        match tokio::time::timeout(WAIT_LIMIT, waiting).await {
            Ok(Ok(spans)) => spans.clone(),
            _ => panic!(
                "the spans waited for did not come; these did: {:#?}",
                self.spans()
            ),
        }
    }
}

async fn receive(sender: Data<watch::Sender<Vec<ReceivedSpan>>>, body: Bytes) -> HttpResponse {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return HttpResponse::BadRequest().finish();
    };
    sender.send_modify(|spans| spans.extend(flatten(request)));
    // An empty body is the encoding of an ExportTraceServiceResponse that says: all accepted.
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

fn flatten(request: ExportTraceServiceRequest) -> Vec<ReceivedSpan> {
    let mut received = Vec::new();
    for of_resource in request.resource_spans {
        let resource = texts(
            of_resource
                .resource
                .map(|resource| resource.attributes)
                .unwrap_or_default(),
        );
        let service = resource.get("service.name").cloned().unwrap_or_default();
        received.extend(
            of_resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
                .map(|span| ReceivedSpan {
                    service: service.clone(),
                    resource: resource.clone(),
                    kind: kind(span.kind()),
                    lasted: Duration::from_nanos(
                        span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
                    ),
                    name: span.name,
                    trace_id: hex(&span.trace_id),
                    span_id: hex(&span.span_id),
                    parent_span_id: hex(&span.parent_span_id),
                    attributes: texts(span.attributes),
                }),
        );
    }
    received
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal | SpanKind::Unspecified => "internal",
    }
}

/// The spans of one trace as a tree: a line for each, `service kind name`, two blanks deeper than its parent;
/// children in the order of their lines. A span whose parent is not here is at the top.
pub fn tree(spans: &[ReceivedSpan], trace_id: &str) -> Vec<String> {
    fn add(lines: &mut Vec<String>, spans: &[&ReceivedSpan], parent: Option<&str>, depth: usize) {
        let is_root = |span: &&&ReceivedSpan| !spans.iter().any(|other| other.span_id == span.parent_span_id);
        let mut children: Vec<_> = match parent {
            None => spans.iter().filter(is_root).collect(),
            Some(id) => spans.iter().filter(|span| span.parent_span_id == id).collect(),
        };
        children.sort_by_key(|span| (&span.service, &span.name));
        for span in children {
            let ReceivedSpan {
                service, kind, name, ..
            } = span;
            lines.push(format!("{}{service} {kind} {name}", "  ".repeat(depth)));
            add(lines, spans, Some(span.span_id.as_str()), depth + 1);
        }
    }
    let spans: Vec<&ReceivedSpan> = spans.iter().filter(|span| span.trace_id == trace_id).collect();
    let mut lines = Vec::new();
    add(&mut lines, &spans, None, 0);
    lines
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, text(attribute.value)))
        .collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        Some(any_value::Value::IntValue(value)) => value.to_string(),
        Some(any_value::Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
