//! A trace's thread from one process to the next, as the text of a W3C `traceparent`: it fits in a database
//! row, so that one trace runs from the request that brought an event to the one that delivers it.
//!
//! Take a `traceparent` only from where you trust: a recorded one makes this service record, too, whatever
//! its `sample_ratio`. `tracestate` is not carried. Source: W3C Trace Context, section 3.2 (traceparent
//! header).

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const TRACEPARENT: &str = "traceparent";

/// Makes `span` continue the trace that `traceparent` names. Do so before the span is first entered, as it is
/// given its trace then.
///
/// Says whether it did. It does not when traces are off, the text is malformed, or the span was entered; the
/// span then has the trace it would have had without, and work goes on.
pub fn set_parent(span: &Span, traceparent: &str) -> bool {
    // The propagator reads over missing digits.
    if !traceparent.split('-').map(str::len).eq([2, 32, 16, 2]) {
        return false;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    parent.span().span_context().is_valid() && span.set_parent(parent).is_ok()
}

/// The `traceparent` with which another process can continue the trace of `span`; none if traces are
/// off or this trace is not recorded. Settles the span's own parent, as entering it does.
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    if !context.span().span_context().is_sampled() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT)
}
