//! JSON in and out: one event, or a batch of them. What operators send and get is in the modules below.

pub(crate) mod breaker;
pub(crate) mod capture;
pub(crate) mod dead_letters;
pub(crate) mod fields;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use rastro_core::finding::Finding;
use rastro_core::json::{Json, Object};
use rastro_store::ApiKeyKind;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::browser::Envelope;
use crate::problem::{FieldError, Problem};

/// How many events one request may carry. Meta takes as many in one of ours.
pub(crate) const MOST_EVENTS: usize = 1_000;
const LONGEST_TEST_EVENT_CODE: usize = 64;

/// What a client sent, not yet read as events.
pub(crate) enum Submission<'a> {
    One(Json<'a>),
    Batch(Vec<Json<'a>>),
}

/// A request body: `{"events": [...]}`, or an event itself. Beside it, optionally, a `test_event_code` and a page's envelope.
pub(crate) struct Body<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) submission: Submission<'a>,
    pub(crate) test_event_code: Option<Cow<'a, str>>,
}

impl<'a> Body<'a> {
    pub(crate) fn parse(text: &'a [u8], kind: ApiKeyKind, now_ms: i64) -> Result<Self, Problem> {
        let json = Json::parse(text).map_err(|error| {
            // The parser's sentence quotes nothing of the body.
            Problem::malformed(format!("{error}"))
        })?;
        let Json::Object(mut fields) = json else {
            let detail = format!("must be an event, or {{\"events\": [...]}}, not {}", json.kind());
            return Err(invalid(vec![finding("", detail)]));
        };
        let mut errors = Vec::new();
        let envelope = Envelope::take(&mut fields, kind, now_ms, &mut errors);
        let test_event_code = take_test_event_code(&mut fields, &mut errors);
        let submission = match take(&mut fields, "events") {
            None => Submission::One(Json::Object(fields)),
            Some(Json::Array(events)) => {
                let unknown = |(name, _): &(Cow<'_, str>, _)| {
                    let name: String = name.chars().take(64).collect();
                    let name = name.replace('~', "~0").replace('/', "~1");
                    finding(
                        &format!("/{name}"),
                        "is not known beside events; did you mean it inside one?".to_owned(),
                    )
                };
                // A page's script may be newer than this gateway: what it says more must not cost its events.
                if kind == ApiKeyKind::Secret {
                    errors.extend(fields.iter().map(unknown));
                }
                if events.is_empty() {
                    errors.push(finding("/events", "must hold at least one event".to_owned()));
                }
                if events.len() > MOST_EVENTS {
                    let detail = format!(
                        "holds {} events; at most {MOST_EVENTS} may come at once",
                        events.len()
                    );
                    return Err(Problem::too_large(detail));
                }
                Submission::Batch(events)
            }
            Some(other) => {
                errors.push(finding(
                    "/events",
                    format!("must be a list of events, not {}", other.kind()),
                ));
                Submission::Batch(Vec::new())
            }
        };
        if errors.is_empty() {
            Ok(Body {
                envelope,
                submission,
                test_event_code,
            })
        } else {
            Err(invalid(errors))
        }
    }
}

/// The test event code that a request carries, if any.
fn take_test_event_code<'a>(fields: &mut Object<'a>, errors: &mut Vec<Finding>) -> Option<Cow<'a, str>> {
    match take(fields, "test_event_code")? {
        Json::Null => None,
        Json::String(code) if code.is_empty() => None,
        Json::String(code)
            if code.len() <= LONGEST_TEST_EVENT_CODE && !code.chars().any(char::is_control) =>
        {
            Some(code)
        }
        _ => {
            errors.push(finding(
                "/test_event_code",
                "must be a code from Meta's Test Events".to_owned(),
            ));
            None
        }
    }
}

fn take<'a>(fields: &mut Object<'a>, name: &str) -> Option<Json<'a>> {
    let index = fields.iter().position(|(known, _)| known == name)?;
    Some(fields.remove(index).1)
}

fn finding(pointer: &str, detail: String) -> Finding {
    Finding {
        pointer: pointer.to_owned(),
        detail: detail.into(),
    }
}

fn invalid(errors: Vec<Finding>) -> Problem {
    Problem::invalid("The request is not valid", errors)
}

/// The answer to one event that was stored: it will reach Meta.
#[derive(Serialize, ToSchema)]
pub(crate) struct Receipt<'a> {
    #[schema(example = "accepted")]
    pub(crate) status: &'static str,
    /// withheld: the visitor refused advertising, so that the event is stored here and never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) forwarding: Option<&'static str>,
    #[schema(example = "Lead")]
    pub(crate) event_name: &'a str,
    /// The event's own id, or the one made from its content if it came without.
    #[schema(example = "lead-7f3a")]
    pub(crate) event_id: &'a str,
    /// This request, as it is in the log.
    pub(crate) request_id: Uuid,
    /// What was left out of the event, and why.
    #[schema(value_type = Vec<FieldError>)]
    pub(crate) warnings: &'a [Finding],
}

/// The answer to a batch: every event has its own result, in the order in which they were sent.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchReceipt<'a> {
    pub(crate) request_id: Uuid,
    /// withheld: the visitor refused advertising, so that what was accepted is stored here and never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) forwarding: Option<&'static str>,
    pub(crate) accepted: usize,
    pub(crate) duplicate: usize,
    pub(crate) rejected: usize,
    pub(crate) results: Vec<ItemResult<'a>>,
}

/// What became of one event of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct ItemResult<'a> {
    /// Which event of the request, from 0.
    pub(crate) index: usize,
    /// accepted, duplicate or rejected.
    #[schema(example = "accepted")]
    pub(crate) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_id: Option<&'a str>,
    /// Of a duplicate: when the event was first received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_received_at: Option<DateTime<Utc>>,
    /// Of a rejected event: every field that is wrong. Pointers are into the request's body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    pub(crate) errors: Vec<Finding>,
    /// Of an accepted event: what was left out of it, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    pub(crate) warnings: Vec<Finding>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Body<'_>, Problem> {
        Body::parse(text.as_bytes(), ApiKeyKind::Secret, 0)
    }

    fn problem(text: &str) -> serde_json::Value {
        let problem = parse(text).err().expect("a problem");
        serde_json::to_value(problem).unwrap()
    }

    #[test]
    fn a_body_is_an_event_or_a_list_of_them() {
        let body = parse(r#"{"event_name":"Lead","test_event_code":"TEST1"}"#).unwrap();
        assert!(matches!(body.submission, Submission::One(Json::Object(fields)) if fields.len() == 1));
        assert_eq!(body.test_event_code.as_deref(), Some("TEST1"));
        let body = parse(r#"{"events":[{},{}],"test_event_code":null}"#).unwrap();
        assert!(matches!(body.submission, Submission::Batch(events) if events.len() == 2));
    }

    #[test]
    fn text_that_is_not_json_is_malformed_and_says_where() {
        let problem = problem("{\"a\":\n}");
        assert_eq!(problem["status"], 400);
        assert_eq!(problem["type"], "urn:rastro:problem:malformed");
        assert!(
            problem["detail"].as_str().unwrap().contains("line 2 column 1"),
            "{problem}"
        );
    }

    #[test]
    fn every_wrong_field_beside_the_events_is_named() {
        let problem = problem(r#"{"events":[],"evens":[],"test_event_code":7}"#);
        assert_eq!(problem["status"], 422);
        let pointers: Vec<_> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(pointers, ["/test_event_code", "/evens", "/events"]);
    }

    #[test]
    fn a_page_may_say_more_than_this_gateway_knows() {
        let text = br#"{"events":[{}],"sent_at":1795808043105,"sdk":"browser/9.0","news":{"a":1}}"#;
        assert!(Body::parse(text, ApiKeyKind::Publishable, 0).is_ok());
        let problem = problem(&String::from_utf8_lossy(text));
        assert_eq!(problem["errors"][0]["pointer"], "/news", "{problem}");
    }

    #[test]
    fn neither_a_list_nor_a_number_is_a_body() {
        assert_eq!(problem("[]")["status"], 422);
        assert_eq!(problem("7")["errors"][0]["pointer"], "");
        assert_eq!(problem(r#"{"events":{}}"#)["errors"][0]["pointer"], "/events");
    }

    #[test]
    fn a_thousand_events_may_come_at_once_and_not_one_more() {
        let body = |events: usize| format!(r#"{{"events":[{}]}}"#, vec!["{}"; events].join(","));
        assert!(parse(&body(1_000)).is_ok());
        assert_eq!(problem(&body(1_001))["status"], 413);
    }
}
