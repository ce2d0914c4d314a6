//! What a client of Meta's Graph API sends to `/{dataset}/events`, in every form in which Meta's own SDKs and
//! the common tag managers send it.
//!
//! JSON, a form, or a multipart form. `data` is a list, or the JSON text of one; its elements are objects, or
//! JSON texts of objects, which is the edge's formal type; one object alone is taken, too. The Python SDK
//! posts a form whose `data` is a list of strings, Node posts JSON with explicit nulls and a stray `id`, PHP
//! posts multipart.
//!
//! Parameters that only concern Meta's own upload tools (`namespace_id`, `upload_id`, `upload_tag`,
//! `upload_source`, `trace`, `platforms`, `progress`), the app's proof (`appsecret_proof`) and
//! `partner_agent` change nothing here: our forwarder speaks to Meta in its own name.
//!
//! Source: Meta, "Conversions API, using the API" and the edge's reference; the SDKs named in
//! proto-docs/clients.md.

use std::borrow::Cow;

use chrono::DateTime;
use rastro_core::finding::Finding;
use rastro_core::json::{Json, Object, without_half_characters};

use super::graph_answer::GraphError;
use super::{MOST_EVENTS, finding, multipart, usable_test_event_code};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Form,
    Multipart,
}

impl Encoding {
    /// What a content type announces. Nothing announced is a form, as it is to Meta.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/json" => Some(Encoding::Json),
            "application/x-www-form-urlencoded" | "" => Some(Encoding::Form),
            "multipart/form-data" => Some(Encoding::Multipart),
            _ => None,
        }
    }
}

/// The parameters that count. Of one that came twice the later counts, but for keys: clients send theirs in
/// up to three places, and all must agree.
#[derive(Default)]
pub(crate) struct Parameters<'a> {
    /// Secrets: for comparing only.
    pub(crate) keys: Vec<Cow<'a, str>>,
    pub(crate) test_event_code: Option<Cow<'a, str>>,
    /// What was left out beside the events.
    pub(crate) warnings: Vec<Finding>,
    data: Option<Json<'a>>,
}

impl<'a> Parameters<'a> {
    /// Those of the query.
    pub(crate) fn of_query(query: &'a str) -> Self {
        let mut parameters = Parameters::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            parameters.set(&name, Json::String(value));
        }
        parameters
    }

    /// Adds those of the body.
    pub(crate) fn add_body(
        &mut self,
        encoding: Encoding,
        content_type: &str,
        body: &'a [u8],
    ) -> Result<(), GraphError> {
        match encoding {
            Encoding::Json => match Json::parse(body) {
                Ok(Json::Object(fields)) => fields
                    .into_iter()
                    .for_each(|(name, value)| self.set(&name, value)),
                Ok(_) => return Err(GraphError::parameter("The body must be a JSON object")),
                // The parser's sentence quotes nothing of the body.
                Err(error) => return Err(GraphError::parameter(format!("The body is not JSON: {error}"))),
            },
            Encoding::Form => {
                for (name, value) in form_urlencoded::parse(body) {
                    self.set(&name, Json::String(value));
                }
            }
            Encoding::Multipart => {
                let wrong = || GraphError::parameter("The body is not valid multipart/form-data in UTF-8");
                for part in multipart::parts(body, content_type).ok_or_else(wrong)? {
                    let value = str::from_utf8(part.value).map_err(|_| wrong())?;
                    self.set(part.name, Json::String(value.into()));
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Json<'a>) {
        match (name, value) {
            (_, Json::Null) => {}
            // accessKey: as Meta's gateway is told it.
            ("access_token" | "accessKey", value) => self.keys.push(match value {
                Json::String(key) => key,
                // It opens nothing, and must not be taken for absent.
                _ => Cow::Borrowed(""),
            }),
            ("test_event_code", value) => {
                self.test_event_code = usable_test_event_code(value, &mut self.warnings);
            }
            ("data", value) => self.data = Some(value),
            _ => {}
        }
    }

    /// The elements of `data`: objects, or their texts, or what else stands there.
    ///
    /// `text`: where the list is kept if it came as text.
    pub(crate) fn elements<'t>(&mut self, text: &'t mut Cow<'a, str>) -> Result<Vec<Json<'t>>, GraphError>
    where
        'a: 't,
    {
        let data: Json<'t> = match self.data.take() {
            None => return Err(GraphError::parameter("The parameter data is required")),
            Some(Json::String(list)) => {
                *text = mended(list);
                Json::parse(text.as_bytes())
                    .map_err(|error| GraphError::parameter(format!("Param data must be JSON: {error}")))?
            }
            Some(other) => other,
        };
        let elements = match data {
            Json::Array(elements) => elements,
            Json::Object(fields) => vec![Json::Object(fields)],
            _ => return Err(GraphError::parameter("Param data must be an array")),
        };
        if elements.is_empty() {
            return Err(GraphError::parameter("Param data must hold at least one event"));
        }
        if elements.len() > MOST_EVENTS {
            return Err(GraphError::too_large(format!(
                "Param data holds {} events; at most {MOST_EVENTS} may come at once",
                elements.len()
            )));
        }
        Ok(elements)
    }
}

/// One element as an event, not yet checked. A text is the JSON of one.
pub(crate) fn event<'t>(element: &'t mut Json<'_>) -> Result<Json<'t>, Finding> {
    let mut event = parsed(element)?;
    if let Json::Object(fields) = &mut event {
        in_seconds(fields);
    }
    Ok(event)
}

/// Segment sends `event_time` as a date with its zone, which Meta's edge takes from it every day.
fn in_seconds(fields: &mut Object<'_>) {
    let time = fields.iter_mut().find(|(name, _)| name == "event_time");
    if let Some((_, time)) = time
        && let Some(date) = time.as_str()
        && let Ok(date) = DateTime::parse_from_rfc3339(date)
        && let Ok(seconds) = u64::try_from(date.timestamp())
    {
        *time = Json::Unsigned(seconds);
    }
}

fn parsed<'t>(element: &'t mut Json<'_>) -> Result<Json<'t>, Finding> {
    match element {
        Json::String(text) => {
            *text = mended(std::mem::take(text));
            match Json::parse(text.as_bytes()) {
                Ok(event @ Json::Object(_)) => Ok(event),
                Ok(other) => Err(finding("", format!("must be an event, not {}", other.kind()))),
                Err(error) => Err(finding("", format!("cannot be read as JSON: {error}"))),
            }
        }
        other => Ok(std::mem::replace(other, Json::Null)),
    }
}

/// A JSON text that stood in another text: its escapes were not looked at yet.
fn mended(text: Cow<'_, str>) -> Cow<'_, str> {
    let mended = match without_half_characters(text.as_bytes()) {
        Cow::Borrowed(_) => None,
        Cow::Owned(mended) => Some(mended),
    };
    match mended {
        None => text,
        Some(mended) => String::from_utf8(mended)
            .expect("an escape was replaced by another")
            .into(),
    }
}

/// What a refused event said, by which Meta's subcode for it is found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clues {
    event_time: Option<i64>,
    has_value: bool,
    has_currency: bool,
}

impl Clues {
    pub(crate) fn of(event: &Json<'_>) -> Self {
        let Json::Object(fields) = event else {
            return Clues::default();
        };
        let custom_data = match get(fields, "custom_data") {
            Some(Json::Object(custom_data)) => custom_data.as_slice(),
            _ => &[],
        };
        let has = |name| {
            get(custom_data, name)
                .is_some_and(|value| !matches!(value, Json::Null) && value.as_str() != Some(""))
        };
        Clues {
            event_time: get(fields, "event_time").and_then(Json::as_i64),
            has_value: has("value"),
            has_currency: has("currency"),
        }
    }

    /// Meta's subcode for what is wrong and a title. Those of the first four were seen in Meta's own answers;
    /// the last is what others report for events of the wrong shape.
    pub(crate) fn subcode(&self, error: &Finding, now: i64) -> (i32, &'static str) {
        const DAY: i64 = 86_400;
        match error.pointer.as_str() {
            "/event_time" if self.event_time.is_some_and(|time| time < now - 7 * DAY) => {
                (2_804_003, "Event Timestamp Too Old")
            }
            "/custom_data/value" if !self.has_value => (2_804_009, "Missing Value for Purchase Event"),
            "/custom_data/currency" if !self.has_currency => {
                (2_804_010, "Missing Currency for Purchase Event")
            }
            "/user_data" => (
                2_804_050,
                "Your Event Doesn't Have Enough Customer Information Parameters",
            ),
            _ => (2_804_019, "Server Side Api Parameter Error"),
        }
    }
}

fn get<'o, 'a>(fields: &'o [(Cow<'a, str>, Json<'a>)], name: &str) -> Option<&'o Json<'a>> {
    let known = fields.iter().find(|(known, _)| known == name);
    known.map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The event names of the elements, and the other parameters.
    fn read(query: &str, content_type: &str, body: &str) -> (Vec<String>, Vec<String>, Option<String>) {
        let mut parameters = Parameters::of_query(query);
        let encoding = Encoding::of(content_type).unwrap();
        parameters
            .add_body(encoding, content_type, body.as_bytes())
            .unwrap();
        let mut text = Cow::Borrowed("");
        let mut elements = parameters.elements(&mut text).unwrap();
        let names = elements.iter_mut().map(|element| {
            let Ok(Json::Object(fields)) = event(element) else {
                panic!("an event")
            };
            get(&fields, "event_name").unwrap().as_str().unwrap().to_owned()
        });
        let names = names.collect();
        let keys = parameters.keys.iter().map(ToString::to_string).collect();
        (names, keys, parameters.test_event_code.map(Cow::into_owned))
    }

    /// The shapes that the reference captured from real clients.
    #[test]
    fn every_clients_shape_is_read() {
        let two = (
            vec!["Lead".to_owned(), "Purchase".to_owned()],
            vec!["TOK".to_owned()],
            None,
        );
        let form = "application/x-www-form-urlencoded";
        let python = "data=%5B%22%7B%5C%22event_name%5C%22%3A+%5C%22Lead%5C%22%7D%22%2C+%22%7B%5C%22event_name%5C%22%3A+%5C%22Purchase%5C%22%7D%22%5D&namespace_id=1";
        assert_eq!(read("access_token=TOK", form, python), two);
        let python_async = "access_token=TOK&data=%5B%7B%22event_name%22%3A%22Lead%22%7D%2C%7B%22event_name%22%3A%22Purchase%22%7D%5D";
        assert_eq!(read("", form, python_async), two);
        assert_eq!(read("", "", python_async), two);
        let node = r#"{"data":[{"event_name":"Lead"},{"event_name":"Purchase"}],"partner_agent":null,"test_event_code":null,
            "namespace_id":null,"upload_id":null,"access_token":"TOK","id":"111"}"#;
        let (names, keys, code) = read("access_token=TOK", "application/json", node);
        assert_eq!((names, code), (two.0.clone(), None));
        assert_eq!(keys, ["TOK", "TOK"]);
        let php = "--b\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n[{\"event_name\":\"Lead\"},{\"event_name\":\"Purchase\"}]\r\n\
            --b\r\nContent-Disposition: form-data; name=\"test_event_code\"\r\n\r\nTEST1\r\n\
            --b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\nTOK\r\n--b--\r\n";
        let (names, keys, code) = read("", "multipart/form-data; boundary=b", php);
        assert_eq!((names, keys, code.as_deref()), (two.0, two.1, Some("TEST1")));
        let gateway = r#"{"data":[{"event_name":"Lead"}],"accessKey":"TOK"}"#;
        assert_eq!(read("", "application/json; charset=utf-8", gateway).1, ["TOK"]);
        for one in [
            r#"{"data":{"event_name":"Lead"}}"#,
            r#"{"data":"{\"event_name\":\"Lead\"}"}"#,
            r#"{"data":"[\"{\\\"event_name\\\":\\\"Lead\\\"}\"]"}"#,
            r#"{"data":["{\"event_name\":\"Lead\"}"]}"#,
        ] {
            assert_eq!(read("", "application/json", one).0, ["Lead"], "{one}");
        }
    }

    #[test]
    fn what_is_no_list_of_events_is_refused() {
        for data in [
            "",
            "data=",
            "data=7",
            "data=[]",
            "data=null",
            "data=%5B1",
            "data=%22x%22",
        ] {
            let mut parameters = Parameters::default();
            parameters.add_body(Encoding::Form, "", data.as_bytes()).unwrap();
            let mut text = Cow::Borrowed("");
            assert!(parameters.elements(&mut text).is_err(), "{data}");
        }
        for element in [r#""[]""#, r#""{""#, r#""7""#] {
            assert!(
                event(&mut Json::parse(element.as_bytes()).unwrap()).is_err(),
                "{element}"
            );
        }
        let mut parameters = Parameters::default();
        for (kind, body) in [
            (Encoding::Json, "[]"),
            (Encoding::Json, "{"),
            (Encoding::Multipart, "{}"),
        ] {
            assert!(
                parameters
                    .add_body(kind, "multipart/form-data", body.as_bytes())
                    .is_err()
            );
        }
        assert_eq!(Encoding::of("text/plain"), None);
    }

    #[test]
    fn a_key_of_the_wrong_kind_is_not_taken_for_none() {
        let mut parameters = Parameters::of_query("access_token=TOK");
        parameters
            .add_body(Encoding::Json, "", br#"{"access_token":7,"data":[]}"#)
            .unwrap();
        assert_eq!(parameters.keys, ["TOK", ""]);
    }

    #[test]
    fn a_date_with_its_zone_is_a_time_in_seconds() {
        // date -u -d 2026-11-28T02:47:36Z +%s
        for (sent, expected) in [
            (
                r#"{"event_time":"2026-11-28T02:47:36.665Z"}"#,
                Json::Unsigned(1_795_834_056),
            ),
            (
                r#"{"event_time":"2026-11-27T23:47:36-03:00"}"#,
                Json::Unsigned(1_795_834_056),
            ),
            (
                r#"{"event_time":"2026-11-28"}"#,
                Json::String("2026-11-28".into()),
            ),
            (r#"{"event_time":1795834056}"#, Json::Unsigned(1_795_834_056)),
        ] {
            let mut element = Json::parse(sent.as_bytes()).unwrap();
            let Ok(Json::Object(fields)) = event(&mut element) else {
                panic!("an event")
            };
            assert_eq!(fields[0].1, expected, "{sent}");
        }
    }
}
