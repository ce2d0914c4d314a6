//! The `/events` edge: one request, one answer for all of its events.

use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::client::{LONGEST_ANSWER, header};
use crate::lenient;
use crate::outcome::{self, Failure, GraphError};

/// Of the notes that Meta adds to a success, as many are kept, each of at most so many characters.
const MOST_MESSAGES: usize = 10;
const LONGEST_NOTE: usize = 300;

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
                let value = Value::from(value);
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
    /// How many events Meta says that it received. Fewer than were sent is worth an alert, and no failure: a
    /// resend would count the others twice.
    pub events_received: Option<i32>,
    /// Notes that Meta adds to a success.
    pub messages: Vec<String>,
    /// Meta took every event, or why not.
    pub result: Result<(), Failure>,
}

impl Answer {
    /// Reads an answer. Each field is read by itself, so one of another type takes nothing from the others.
    pub(crate) fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let body = decoded(headers, body);
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        let json: Option<Value> = serde_json::from_slice(text).ok();
        let field = |name: &str| json.as_ref()?.get(name).filter(|value| !value.is_null());
        let error = field("error").map(GraphError::read);
        let trace_in_error = error.as_ref().and_then(|error| error.fbtrace_id.clone());
        let is_success = (200..300).contains(&status);
        let result = match error {
            Some(error) => Err(outcome::classify(status, headers, error)),
            // Whatever number it is, and even if it is none.
            None if is_success
                && json
                    .as_ref()
                    .is_some_and(|json| json.get("events_received").is_some()) =>
            {
                Ok(())
            }
            None => Err(outcome::unreadable(status, headers)),
        };
        let messages = field("messages").and_then(Value::as_array).into_iter().flatten();
        let note = |message: &Value| {
            let text = lenient::text(message).unwrap_or_else(|| message.to_string());
            lenient::plain(&text, LONGEST_NOTE)
        };
        Answer {
            http_status: Some(status),
            fbtrace_id: field("fbtrace_id").and_then(outcome::trace_id).or(trace_in_error),
            latency: Duration::ZERO,
            events_received: field("events_received").and_then(lenient::small),
            messages: messages.take(MOST_MESSAGES).map(note).collect(),
            result,
        }
    }

    /// An answer whose status came, and its body did not.
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
            events_received: None,
            messages: Vec::new(),
            result: Err(failure),
        }
    }

    pub(crate) fn taking(self, latency: Duration) -> Self {
        Answer { latency, ..self }
    }
}

/// We do not ask for a compressed answer, and may get one all the same from something on the way.
fn decoded<'b>(headers: &HeaderMap, body: &'b [u8]) -> Cow<'b, [u8]> {
    let is_gzip =
        header(headers, "content-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
    let mut plain = Vec::new();
    let longest = u64::try_from(LONGEST_ANSWER).unwrap_or(u64::MAX);
    if is_gzip
        && flate2::read::GzDecoder::new(body)
            .take(longest)
            .read_to_end(&mut plain)
            .is_ok()
    {
        Cow::Owned(plain)
    } else {
        Cow::Borrowed(body)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use reqwest::header::HeaderValue;

    use super::*;
    use crate::outcome::FailureClass;

    fn read(status: u16, body: &str) -> Answer {
        Answer::read(status, &HeaderMap::new(), body.as_bytes())
    }

    fn class(status: u16, body: &str) -> FailureClass {
        read(status, body).result.expect_err(body).class
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
    fn a_success_names_its_trace_and_its_count() {
        let answer = read(200, r#"{"events_received":2,"messages":[],"fbtrace_id":"A6Uyb"}"#);
        assert_eq!(answer.result, Ok(()));
        assert_eq!(answer.fbtrace_id.as_deref(), Some("A6Uyb"));
        assert_eq!(answer.events_received, Some(2));
    }

    #[test]
    fn one_field_of_another_type_never_voids_a_success() {
        for (body, received) in [
            (
                r#"{"events_received":2,"messages":null,"fbtrace_id":"A"}"#,
                Some(2),
            ),
            (
                r#"{"events_received":2,"messages":"note","fbtrace_id":7}"#,
                Some(2),
            ),
            (r#"{"events_received":2,"messages":{"a":1}}"#, Some(2)),
            (r#"{"events_received":"2","messages":[]}"#, Some(2)),
            (r#"{"events_received":2.0}"#, Some(2)),
            (r#"{"events_received":null,"fbtrace_id":"A"}"#, None),
            (r#"{"events_received":[],"fbtrace_id":"A","error":null}"#, None),
            ("\u{feff}{\"events_received\":2}", Some(2)),
        ] {
            let answer = read(200, body);
            assert_eq!(answer.result, Ok(()), "{body}");
            assert_eq!(answer.events_received, received, "{body}");
        }
    }

    #[test]
    fn fewer_events_received_than_sent_is_a_fact_and_no_failure() {
        let answer = read(200, r#"{"events_received":1,"messages":[],"fbtrace_id":"A"}"#);
        assert_eq!((answer.result, answer.events_received), (Ok(()), Some(1)));
    }

    #[test]
    fn an_answer_compressed_unasked_is_read() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(br#"{"events_received":1}"#).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        let answer = Answer::read(200, &headers, &gzip.finish().unwrap());
        assert_eq!(answer.result, Ok(()));
        // Or what says that it is compressed is not.
        assert_eq!(
            Answer::read(200, &headers, br#"{"events_received":1}"#).result,
            Ok(())
        );
    }

    #[test]
    fn notes_of_a_success_are_cut_and_lose_their_control_characters() {
        let notes = vec![format!("a\0{}", "x".repeat(999)); 1_000];
        let body = serde_json::json!({"events_received": 1, "messages": notes});
        let answer = read(200, &body.to_string());
        assert_eq!(answer.messages.len(), 10);
        assert!(answer.messages[0].starts_with("a xx"));
        assert_eq!(answer.messages[0].chars().count(), 300);
    }

    #[test]
    fn an_error_keeps_its_trace_and_message() {
        let body = r#"{"error":{"message":"Invalid parameter","type":"OAuthException","code":100,
            "error_subcode":2804003,"is_transient":false,"error_user_title":"Event Timestamp Too Old",
            "error_user_msg":"...","error_data":{"blame_field_specs":[["data"]]},"fbtrace_id":"A6Uy"}}"#;
        let answer = read(400, body);
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
    fn one_field_of_another_type_never_voids_an_error() {
        use FailureClass::{Blocked, Refused, Transient};
        for (status, error, expected) in [
            (400, r#"{"code":"190","error_subcode":463}"#, Blocked),
            (400, r#"{"code":100,"error_subcode":"2804003"}"#, Refused),
            (500, r#"{"code":2,"is_transient":1}"#, Transient),
            (400, r#"{"code":777777,"is_transient":"true"}"#, Transient),
            (
                400,
                r#"{"code":100,"error_subcode":2804050,"error_data":"\"null\"","error_user_msg":null}"#,
                Refused,
            ),
            (
                400,
                r#"{"code":190,"message":null,"error_user_title":7,"fbtrace_id":{}}"#,
                Blocked,
            ),
            (400, r#"{"code":[1]}"#, Transient),
            (400, r#""invalid_request""#, Transient),
        ] {
            assert_eq!(
                class(status, &format!(r#"{{"error":{error}}}"#)),
                expected,
                "{error}"
            );
        }
        let failure = read(400, r#"{"error":"invalid_request"}"#).result.unwrap_err();
        assert!(failure.message.contains("invalid_request"), "{}", failure.message);
    }

    #[test]
    fn what_is_not_an_answer_of_meta_never_condemns_an_event() {
        use FailureClass::{Throttled, TooLarge, Transient, Unknown};
        for (status, body, expected) in [
            (200, "", Unknown),
            (200, "Service Unavailable", Unknown),
            (200, "{}", Unknown),
            (200, "[]", Unknown),
            (
                200,
                r#"{"error":{"message":"x","code":2,"fbtrace_id":"A"}}"#,
                Transient,
            ),
            (302, "", Transient),
            (400, "<html>", Transient),
            (400, "{}", Transient),
            (403, "<html>Access denied</html>", Transient),
            (403, r#"{"message":"Forbidden"}"#, Transient),
            (413, "<html>Request Entity Too Large</html>", TooLarge),
            (413, "{}", TooLarge),
            (429, "", Throttled),
            (502, "<html>Bad Gateway</html>", Transient),
            (500, "{}", Transient),
        ] {
            assert_eq!(class(status, body), expected, "{status} {body}");
        }
    }
}
