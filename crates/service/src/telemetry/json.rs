//! JSON log lines that say which trace they belong to.

use std::fmt as std_fmt;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, TraceId};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Makes a layer that writes text write one JSON object a line.
pub(super) fn layer<S, W>(
    text: Layer<S, DefaultFields, Format<Full>, W>,
) -> Layer<S, JsonFields, TracedJson, W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + 'static,
{
    let format = Format::default()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true);
    text.event_format(TracedJson(format))
        .fmt_fields(JsonFields::new())
}

/// The stock JSON format, with `trace_id` added to events inside a recorded trace.
pub(super) struct TracedJson(Format<Json>);

impl<S, N> FormatEvent<S, N> for TracedJson
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std_fmt::Result {
        let Some(trace_id) = current_trace_id() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        match line.trim_end().strip_suffix('}') {
            Some(fields) => writeln!(writer, "{fields},\"trace_id\":\"{trace_id}\"}}"),
            None => writer.write_str(&line),
        }
    }
}

/// The recorded trace of the span that is entered: the tracing layer makes it OpenTelemetry's current
/// context.
fn current_trace_id() -> Option<TraceId> {
    Context::map_current(|context| {
        let span = context.span();
        let span_context = span.span_context();
        span_context.is_sampled().then(|| span_context.trace_id())
    })
}
