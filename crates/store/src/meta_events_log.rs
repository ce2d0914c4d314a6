//! `meta_events_log`: what came of every event, a view of `delivered_batches` (all of which Meta took) and `event_outcomes` (all
//! else, an event a row). Rows are written by the statements that decide an outcome
//! ([`crate::events`], [`crate::send_batches`], [`crate::meta_retry_queue`]), never after them: here is what they say of
//! an attempt.

/// One request to Meta and its answer. `None` where there was no answer, or it did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptRecord {
    pub http_status: Option<u16>,
    pub fbtrace_id: Option<String>,
    pub error_code: Option<i32>,
    pub error_subcode: Option<i32>,
    pub error_message: Option<String>,
    /// From the first byte sent to the last byte of the answer.
    pub latency_ms: Option<i32>,
}
