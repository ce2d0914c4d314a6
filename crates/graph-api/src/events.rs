//! The `/events` edge: one request, one answer for all of its events.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::outcome::{self, Failure, FailureClass, GraphError};

/// Events for one dataset: at most 1,000, each a finished server event as JSON.
#[derive(Clone, Copy, Debug)]
pub struct EventsRequest<'e> {
    pub events: &'e [&'e str],
    /// Shows the events in Meta's Test Events. Empty for real events.
    pub test_event_code: &'e str,
}

impl EventsRequest<'_> {
    /// The request's body: the stored events joined as they are, never parsed again.
    pub(crate) fn to_body(self, partner_agent: &str) -> Vec<u8> {
        let length = self.events.iter().map(|event| event.len() + 1).sum::<usize>();
        let mut body = Vec::with_capacity(length + 128);
        body.extend_from_slice(b"{\"data\":[");
        for (index, event) in self.events.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(event.as_bytes());
        }
        body.push(b']');
        for (name, value) in [
            ("test_event_code", self.test_event_code),
            ("partner_agent", partner_agent),
        ] {
            if !value.is_empty() {
                let value = serde_json::Value::from(value);
                body.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
            }
        }
        body.push(b'}');
        body
    }
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `None` if there was no answer.
    pub http_status: Option<u16>,
    /// Meta's own id for the request, on success and failure alike. Meta can look it up for a short while.
    pub fbtrace_id: Option<String>,
    /// From the first byte sent to the last byte read.
    pub latency: Duration,
    /// Notes that Meta adds to a success.
    pub messages: Vec<String>,
    /// Meta took every event, or why not.
    pub result: Result<(), Failure>,
}

/// Every field optional: what cannot be read is an outcome too.
#[derive(Deserialize)]
struct Body {
    events_received: Option<u64>,
    #[serde(default)]
    messages: Vec<serde_json::Value>,
    fbtrace_id: Option<String>,
    error: Option<GraphError>,
}

impl Answer {
    /// Reads an answer to a request of `sent` events.
    pub(crate) fn read(status: u16, headers: &HeaderMap, body: &[u8], sent: usize) -> Self {
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            // HTML from something on the way, or nothing. A success that does not say so may still have been one.
            let class = if status < 300 {
                FailureClass::Unknown
            } else {
                FailureClass::Transient
            };
            let failure = Failure {
                class: if status == 429 {
                    FailureClass::Throttled
                } else {
                    class
                },
                message: format!("HTTP {status} without an answer of the Graph API"),
                wait: outcome::asked_wait(headers),
                error: None,
            };
            return Answer::without_body(status, failure);
        };
        let trace_in_error = body.error.as_ref().and_then(|error| error.fbtrace_id.clone());
        let received = body.events_received;
        let result = if let Some(error) = body.error {
            Err(outcome::classify(status, headers, error))
        } else if (200..300).contains(&status) && received == u64::try_from(sent).ok() {
            Ok(())
        } else if (200..300).contains(&status) {
            let received = received.map_or("no".to_owned(), |received| received.to_string());
            Err(Failure {
                class: FailureClass::Unknown,
                message: format!("Meta says it received {received} events of {sent}"),
                wait: None,
                error: None,
            })
        } else {
            Err(outcome::classify(status, headers, GraphError::default()))
        };
        Answer {
            http_status: Some(status),
            fbtrace_id: body.fbtrace_id.or(trace_in_error),
            latency: Duration::ZERO,
            messages: body.messages.iter().map(ToString::to_string).collect(),
            result,
        }
    }

    pub(crate) fn without_body(status: u16, failure: Failure) -> Self {
        Answer {
            http_status: Some(status),
            ..Answer::not_sent(failure)
        }
    }

    /// No answer, for the given reason.
    pub fn not_sent(failure: Failure) -> Self {
        Answer {
            http_status: None,
            fbtrace_id: None,
            latency: Duration::ZERO,
            messages: Vec::new(),
            result: Err(failure),
        }
    }

    pub(crate) fn taking(self, latency: Duration) -> Self {
        Answer { latency, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str, sent: usize) -> Answer {
        Answer::read(status, &HeaderMap::new(), body.as_bytes(), sent)
    }

    #[test]
    fn events_are_joined_as_they_were_stored() {
        let request = EventsRequest {
            events: &[r#"{"a":1}"#, r#"{"b":"\u00e9"}"#],
            test_event_code: "",
        };
        assert_eq!(request.to_body(""), br#"{"data":[{"a":1},{"b":"\u00e9"}]}"#);
        let request = EventsRequest {
            events: &["{}"],
            test_event_code: "TEST\"1",
        };
        let body = request.to_body("rastro-0.1");
        assert_eq!(
            body,
            br#"{"data":[{}],"test_event_code":"TEST\"1","partner_agent":"rastro-0.1"}"#
        );
    }

    #[test]
    fn a_success_names_its_trace() {
        let answer = read(
            200,
            r#"{"events_received":2,"messages":[],"fbtrace_id":"A6Uyb"}"#,
            2,
        );
        assert_eq!(answer.result, Ok(()));
        assert_eq!(answer.fbtrace_id.as_deref(), Some("A6Uyb"));
    }

    #[test]
    fn an_error_keeps_its_trace_and_message() {
        let body = r#"{"error":{"message":"Invalid parameter","type":"OAuthException","code":100,
            "error_subcode":2804003,"is_transient":false,"error_user_title":"Event Timestamp Too Old",
            "error_user_msg":"...","error_data":{"blame_field_specs":[["data"]]},"fbtrace_id":"A6Uy"}}"#;
        let answer = read(400, body, 1);
        assert_eq!(answer.fbtrace_id.as_deref(), Some("A6Uy"));
        let failure = answer.result.unwrap_err();
        assert_eq!(failure.class, FailureClass::Refused);
        assert!(
            failure.message.contains("Event Timestamp Too Old"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn what_is_not_an_answer_of_meta_never_condemns_an_event() {
        for (status, body, class) in [
            (200, "", FailureClass::Unknown),
            (200, "Service Unavailable", FailureClass::Unknown),
            (200, "{}", FailureClass::Unknown),
            (
                200,
                r#"{"events_received":1,"fbtrace_id":"A"}"#,
                FailureClass::Unknown,
            ),
            (
                200,
                r#"{"error":{"message":"x","code":2,"fbtrace_id":"A"}}"#,
                FailureClass::Transient,
            ),
            (400, "<html>", FailureClass::Transient),
            (429, "", FailureClass::Throttled),
            (502, "<html>Bad Gateway</html>", FailureClass::Transient),
            (500, "{}", FailureClass::Transient),
        ] {
            assert_eq!(
                read(status, body, 2).result.unwrap_err().class,
                class,
                "{status} {body}"
            );
        }
    }
}
