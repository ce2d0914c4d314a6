//! The span of a request that takes events in, and of its commit, by OpenTelemetry's semantic conventions for
//! HTTP servers and database clients: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>,
//! <https://opentelemetry.io/docs/specs/semconv/db/postgresql/>. The query of a request is not in it, where a
//! key may be, nor the address of whoever sent it.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use rastro_service::telemetry::trace_context;
use tracing::Span;
use tracing::field::{Empty, display};
use uuid::Uuid;

/// Begins where the `traceparent` of the request says, if the sender `is_trusted`: a browser must not decide
/// what is traced.
pub(super) fn of(request: &HttpRequest, request_id: Uuid, is_trusted: bool) -> Span {
    let route = request.match_pattern().unwrap_or_default();
    let span = tracing::info_span!(
        "receive",
        otel.kind = "server",
        otel.name = %format_args!("{} {route}", request.method()),
        otel.status_code = Empty,
        http.request.method = %request.method(),
        http.route = route,
        url.path = request.path(),
        url.scheme = request.connection_info().scheme(),
        http.response.status_code = Empty,
        "error.type" = Empty,
        request.id = %request_id,
    );
    let parent = request.headers().get("traceparent").filter(|_| is_trusted);
    if let Some(parent) = parent.and_then(|value| value.to_str().ok()) {
        trace_context::set_parent(&span, parent);
    }
    span
}

/// Notes what was answered. What the sender did wrong is no error of this service.
pub(super) fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", display(status.as_u16()));
    }
}

/// From handing a request to the group commit to its being durable.
pub(super) fn commit(is_traced: bool) -> Span {
    insert(is_traced, "events")
}

/// Until a row is durable.
pub(super) fn insert(is_traced: bool, table: &'static str) -> Span {
    match is_traced {
        false => Span::none(),
        true => tracing::info_span!(
            "commit",
            otel.kind = "client",
            otel.name = %format_args!("INSERT {table}"),
            db.system.name = "postgresql",
            db.operation.name = "INSERT",
            db.collection.name = table,
        ),
    }
}
