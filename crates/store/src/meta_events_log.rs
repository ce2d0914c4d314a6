//! `meta_events_log`: what came of every event. Rows are written by the statements that decide an outcome
//! ([`crate::events`], [`crate::send_batches`]), never after them: here is what those rows say.

/// What an attempt meant for one event of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Meta took it.
    Success,
    /// The attempt failed; the event will be sent again.
    Error,
    /// It had become too old for Meta before this attempt, and was left out of it.
    Expired,
}

impl Outcome {
    /// As the log has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Error => "error",
            Outcome::Expired => "expired",
        }
    }
}

/// One event of a batch and its outcome.
#[derive(Clone, Copy, Debug)]
pub struct EventOutcome<'b> {
    pub event: &'b crate::send_batches::QueuedEvent,
    pub outcome: Outcome,
}

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
