//! JSON in and out: one event, or a batch of them. What operators send and get is in the modules below.

pub(crate) mod admin;
pub(crate) mod breaker;
pub(crate) mod capture;
pub(crate) mod dead_letters;
pub(crate) mod fields;
pub(crate) mod graph;
pub(crate) mod graph_answer;
pub(crate) mod people;
pub(crate) mod webhook;

mod multipart;

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use rastro_core::finding::Finding;
use rastro_core::json::{Json, Object};
use rastro_store::ApiKeyKind;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
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
    Batch(Vec<Item<'a>>),
}

/// One event of a batch.
pub(crate) struct Item<'a> {
    /// Or why it cannot be read, which costs none of the others.
    pub(crate) event: Result<Json<'a>, Finding>,
    /// Its own, before that of the batch.
    pub(crate) test_event_code: Option<Cow<'a, str>>,
    /// What was left out beside the event.
    pub(crate) warnings: Vec<Finding>,
}

/// A request body: `{"events": [...]}`, or an event itself. In either, optionally, a `test_event_code` and a
/// page's envelope.
pub(crate) struct Body<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) submission: Submission<'a>,
    pub(crate) test_event_code: Option<Cow<'a, str>>,
    /// What was left out of the body.
    pub(crate) warnings: Vec<Finding>,
}

impl<'a> Body<'a> {
    pub(crate) fn parse(text: &'a [u8], kind: ApiKeyKind, now_ms: i64) -> Result<Self, Problem> {
        let (mut fields, events) = match Json::parse(text) {
            Ok(Json::Object(mut fields)) => {
                let events = take(&mut fields, "events");
                (fields, events.map(Events::Read))
            }
            Ok(other) => {
                let detail = format!("must be an event, or {{\"events\": [...]}}, not {}", other.kind());
                return Err(invalid(vec![finding("", detail)]));
            }
            // The parser's sentence quotes nothing of the body.
            Err(error) => one_by_one(text).ok_or_else(|| Problem::malformed(format!("{error}")))?,
        };
        let mut warnings = Vec::new();
        let test_event_code = test_event_code(&mut fields, &mut warnings);
        let mut errors = Vec::new();
        let envelope = Envelope::take(&mut fields, kind, now_ms, &mut errors);
        let events = match events {
            None if !errors.is_empty() => return Err(invalid(errors)),
            None => {
                return Ok(Body {
                    envelope,
                    submission: Submission::One(Json::Object(fields)),
                    test_event_code,
                    warnings,
                });
            }
            Some(Events::Read(Json::Array(events))) => events.into_iter().map(Ok).collect(),
            Some(Events::OneByOne(events)) => events,
            Some(Events::Read(other)) => {
                let detail = format!("must be a list of events, not {}", other.kind());
                errors.push(finding("/events", detail));
                Vec::new()
            }
        };
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
        if events.is_empty() && !errors.iter().any(|error| error.pointer == "/events") {
            errors.push(finding("/events", "must hold at least one event".to_owned()));
        }
        if events.len() > MOST_EVENTS {
            let detail = format!(
                "holds {} events; at most {MOST_EVENTS} may come at once",
                events.len()
            );
            return Err(Problem::too_large(detail));
        }
        if !errors.is_empty() {
            return Err(invalid(errors));
        }
        Ok(Body {
            envelope,
            submission: Submission::Batch(events.into_iter().map(item).collect()),
            test_event_code,
            warnings,
        })
    }
}

/// The events of a batch: read with the whole body, or each by itself.
enum Events<'a> {
    Read(Json<'a>),
    OneByOne(Vec<Result<Json<'a>, Finding>>),
}

/// A batch that cannot be read as a whole, read event by event: a number that no double holds or a nesting
/// too deep is grammatical, and costs the event that it stands in. `None` if the body is no JSON at all, or
/// no batch.
fn one_by_one(text: &[u8]) -> Option<(Object<'_>, Option<Events<'_>>)> {
    let text = str::from_utf8(text).ok()?;
    let members: Members<'_> = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    let mut fields = Object::new();
    let mut events = None;
    for (name, value) in members.0 {
        if name == "events" && events.is_none() {
            let each: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            let each = each.into_iter().map(|event| {
                let event = Json::parse(event.get().as_bytes());
                event.map_err(|error| finding("", format!("cannot be read as JSON: {error}")))
            });
            events = Some(each.collect());
        } else {
            fields.push((name, Json::parse(value.get().as_bytes()).ok()?));
        }
    }
    Some((fields, Some(Events::OneByOne(events?))))
}

fn item(event: Result<Json<'_>, Finding>) -> Item<'_> {
    let mut warnings = Vec::new();
    let mut code = None;
    let event = event.map(|mut event| {
        if let Json::Object(fields) = &mut event {
            code = test_event_code(fields, &mut warnings);
        }
        event
    });
    Item {
        event,
        test_event_code: code,
        warnings,
    }
}

/// The code, taken out of the fields. One that is none is left out: it shows an event to whoever tests, and
/// no more.
fn test_event_code<'a>(fields: &mut Object<'a>, warnings: &mut Vec<Finding>) -> Option<Cow<'a, str>> {
    usable_test_event_code(take(fields, "test_event_code")?, warnings)
}

fn usable_test_event_code<'a>(code: Json<'a>, warnings: &mut Vec<Finding>) -> Option<Cow<'a, str>> {
    match code {
        Json::Null => None,
        Json::String(code) if code.trim().is_empty() => None,
        Json::String(code)
            if code.len() <= LONGEST_TEST_EVENT_CODE && !code.chars().any(char::is_control) =>
        {
            Some(code)
        }
        _ => {
            let detail = "was left out: it must be a code from Meta's Test Events";
            warnings.push(finding("/test_event_code", detail.to_owned()));
            None
        }
    }
}

fn take<'a>(fields: &mut Object<'a>, name: &str) -> Option<Json<'a>> {
    let index = fields.iter().position(|(known, _)| known == name)?;
    Some(fields.remove(index).1)
}

/// The members of an object in the order in which they were written, not looked into.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((name.into(), value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

pub(crate) fn finding(pointer: &str, detail: String) -> Finding {
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

    fn parse(text: &[u8]) -> Result<Body<'_>, Problem> {
        Body::parse(text, ApiKeyKind::Secret, 0)
    }

    fn problem(text: &str) -> serde_json::Value {
        let problem = parse(text.as_bytes()).err().expect("a problem");
        serde_json::to_value(problem).unwrap()
    }

    #[test]
    fn a_body_is_an_event_or_a_list_of_them() {
        let body = parse(br#"{"event_name":"Lead","test_event_code":"TEST1"}"#).unwrap();
        assert!(matches!(body.submission, Submission::One(Json::Object(fields)) if fields.len() == 1));
        assert_eq!(body.test_event_code.as_deref(), Some("TEST1"));
        let body = parse(br#"{"events":[{},{}],"test_event_code":null}"#).unwrap();
        assert!(matches!(body.submission, Submission::Batch(events) if events.len() == 2));
    }

    #[test]
    fn a_test_event_code_may_stand_beside_the_events_or_inside_one() {
        let body =
            parse(br#"{"events":[{"test_event_code":"TEST1"},{}],"test_event_code":"TEST2"}"#).unwrap();
        let Submission::Batch(items) = body.submission else {
            panic!("a batch")
        };
        let codes: Vec<_> = items.iter().map(|item| item.test_event_code.as_deref()).collect();
        assert_eq!(codes, [Some("TEST1"), None]);
        assert!(matches!(&items[0].event, Ok(Json::Object(fields)) if fields.is_empty()));
        assert_eq!(body.test_event_code.as_deref(), Some("TEST2"));
        for nothing in ["null", "\"\"", "\" \""] {
            let text = format!(r#"{{"event_name":"Lead","test_event_code":{nothing}}}"#);
            let body = parse(text.as_bytes()).unwrap();
            assert_eq!((body.test_event_code, body.warnings), (None, vec![]), "{nothing}");
        }
        for wrong in ["7", "[]", "\"a\\u0000\"", &format!("\"{}\"", "x".repeat(65))] {
            let text = format!(r#"{{"event_name":"Lead","test_event_code":{wrong}}}"#);
            let body = parse(text.as_bytes()).unwrap();
            assert_eq!(body.test_event_code, None, "{wrong}");
            assert_eq!(body.warnings[0].pointer, "/test_event_code", "{wrong}");
        }
    }

    #[test]
    fn an_event_that_cannot_be_read_costs_none_of_the_others() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let text = format!(
            r#"{{"events":[{{"a":1}},{{"value":1e400}},{{"a":"\ud83d"}},{{"a":{deep}}},7],"test_event_code":"T"}}"#
        );
        for text in [text.clone(), format!("\u{feff}{text}")] {
            let body = parse(text.as_bytes()).unwrap();
            let Submission::Batch(items) = body.submission else {
                panic!("a batch")
            };
            let readable: Vec<_> = items.iter().map(|item| item.event.is_ok()).collect();
            assert_eq!(readable, [true, false, false, false, true]);
            let error = items[1].event.as_ref().unwrap_err();
            assert_eq!(error.pointer, "");
            assert!(
                error
                    .detail
                    .starts_with("cannot be read as JSON: number out of range"),
                "{}",
                error.detail
            );
            assert_eq!(body.test_event_code.as_deref(), Some("T"));
        }
        for malformed in [
            r#"{"events":[{"a":1},{"a":1e400}}"#,
            r#"{"value":1e400}"#,
            r#"{"events":[{}],"a":1e400}"#,
        ] {
            assert_eq!(problem(malformed)["status"], 400, "{malformed}");
        }
    }

    #[test]
    fn a_byte_order_mark_before_the_body_is_ignored() {
        assert!(parse("\u{feff}{\"event_name\":\"Lead\"}".as_bytes()).is_ok());
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
        assert_eq!(pointers, ["/evens", "/events"]);
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
        assert!(parse(body(1_000).as_bytes()).is_ok());
        assert_eq!(problem(&body(1_001))["status"], 413);
    }
}
