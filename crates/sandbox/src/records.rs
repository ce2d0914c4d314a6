//! The newest events and requests, kept whole so that a person or a test can look at them.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::submission::Encoding;

/// An event as it arrived.
#[derive(Debug, Clone, Serialize)]
pub struct ReceivedEvent {
    /// Unix milliseconds on the sandbox's clock.
    pub received_at_ms: i64,
    /// The request it came in; see [`RequestRecord::number`].
    pub request: u64,
    pub dataset_id: String,
    pub event_name: String,
    pub event_id: Option<String>,
    /// Whether deduplication discarded it.
    pub repeated: bool,
    pub test_event_code: Option<String>,
    pub encoding: Encoding,
    /// The event's JSON text, byte for byte.
    pub event: Box<RawValue>,
}

impl ReceivedEvent {
    /// The event as a JSON value.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.event.get()).expect("a raw value is valid JSON")
    }
}

/// A call of the `/events` edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// Counts requests from 1, in order of arrival.
    pub number: u64,
    /// Unix milliseconds on the sandbox's clock.
    pub received_at_ms: i64,
    pub dataset_id: String,
    pub encoding: Encoding,
    /// How many events it held; `None` when the request was not read that far.
    pub events: Option<usize>,
    /// Who says that it sends, if anybody does.
    pub partner_agent: Option<String>,
    /// Whether its events were counted.
    pub processed: bool,
    /// HTTP status of the answer; `None` when none was given.
    pub status: Option<u16>,
    /// Meta's error code in the answer.
    pub code: Option<i32>,
    pub subcode: Option<i32>,
    /// Why it was refused, in words.
    pub reason: Option<String>,
    /// The kind of fault that spoilt the answer.
    pub fault: Option<&'static str>,
    pub fbtrace_id: String,
}

/// Which of the kept events to return.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFilter {
    pub dataset_id: Option<String>,
    pub event_id: Option<String>,
    /// At most this many, the newest. Default: all that are kept.
    pub limit: Option<usize>,
}

/// An event as it is kept: its text is parsed again only when someone looks.
pub(crate) struct KeptEvent {
    pub(crate) event_name: Box<str>,
    pub(crate) event_id: Option<Box<str>>,
    pub(crate) repeated: bool,
    pub(crate) text: Box<str>,
    pub(crate) request: std::sync::Arc<KeptRequest>,
}

/// What the events of one request have in common.
pub(crate) struct KeptRequest {
    pub(crate) number: u64,
    pub(crate) received_at_ms: i64,
    pub(crate) dataset_id: String,
    pub(crate) test_event_code: Option<String>,
    pub(crate) encoding: Encoding,
}

/// Two rings of the newest.
pub(crate) struct Records {
    keep_events: usize,
    keep_requests: usize,
    events: VecDeque<KeptEvent>,
    requests: VecDeque<RequestRecord>,
}

impl Records {
    pub(crate) fn new(keep_events: usize, keep_requests: usize) -> Self {
        Self {
            keep_events,
            keep_requests,
            events: VecDeque::new(),
            requests: VecDeque::new(),
        }
    }

    pub(crate) fn keeps_events(&self) -> bool {
        self.keep_events > 0
    }

    pub(crate) fn push_event(&mut self, event: KeptEvent) {
        push(&mut self.events, event, self.keep_events);
    }

    pub(crate) fn push_request(&mut self, request: RequestRecord) {
        push(&mut self.requests, request, self.keep_requests);
    }

    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.requests.clear();
    }

    /// Newest first.
    pub(crate) fn requests(&self, limit: Option<usize>) -> Vec<RequestRecord> {
        self.requests
            .iter()
            .rev()
            .take(limit.unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    /// Newest first.
    pub(crate) fn events(&self, filter: &EventFilter) -> Vec<ReceivedEvent> {
        self.events
            .iter()
            .rev()
            .filter(|event| {
                filter
                    .dataset_id
                    .as_ref()
                    .is_none_or(|wanted| *wanted == event.request.dataset_id)
            })
            .filter(|event| {
                filter
                    .event_id
                    .as_ref()
                    .is_none_or(|wanted| event.event_id.as_deref() == Some(wanted))
            })
            .take(filter.limit.unwrap_or(usize::MAX))
            .map(KeptEvent::received)
            .collect()
    }
}

impl KeptEvent {
    fn received(&self) -> ReceivedEvent {
        ReceivedEvent {
            received_at_ms: self.request.received_at_ms,
            request: self.request.number,
            dataset_id: self.request.dataset_id.clone(),
            event_name: self.event_name.to_string(),
            event_id: self.event_id.as_deref().map(str::to_owned),
            repeated: self.repeated,
            test_event_code: self.request.test_event_code.clone(),
            encoding: self.request.encoding,
            event: RawValue::from_string(self.text.to_string()).expect("it was judged, hence valid JSON"),
        }
    }
}

fn push<T>(ring: &mut VecDeque<T>, item: T, keep: usize) {
    if keep == 0 {
        return;
    }
    while ring.len() >= keep {
        ring.pop_front();
    }
    ring.push_back(item);
}

/// Owned copies of what an event and its request are kept by.
pub(crate) fn owned(text: &Option<Cow<'_, str>>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}
