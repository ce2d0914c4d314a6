//! What a client sent, whichever of the three encodings it used: the request's parameters and the text of
//! each event.
//!
//! Meta takes JSON, `application/x-www-form-urlencoded` and `multipart/form-data`. `data` is an array, or the
//! JSON text of one; its elements are objects, or JSON texts of objects (the edge's formal type). All of it
//! is in use: the Python SDK posts a form whose `data` is an array of strings, Node posts JSON with explicit
//! nulls and a stray `id`, PHP posts multipart. Parameters the edge does not know (`id`, `trace`,
//! `namespace_id`, `upload_*`, ...) are ignored.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::Json;
use crate::multipart;
use crate::refusal::Refusal;

/// How the request's body was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    Json,
    Form,
    Multipart,
}

impl Encoding {
    /// What a content type announces. Anything but JSON and multipart is read as a form, as PHP servers do.
    pub(crate) fn of(content_type: &str) -> Self {
        let media_type = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match media_type.as_str() {
            "application/json" => Self::Json,
            "multipart/form-data" => Self::Multipart,
            _ => Self::Form,
        }
    }
}

/// The parameters the `/events` edge reads. Of a parameter given twice the later one counts, except for
/// credentials: clients send the token in up to three places, and all are kept so that they can be compared.
#[derive(Debug, Default)]
pub(crate) struct Submission<'a> {
    data: Data<'a>,
    pub(crate) test_event_code: Option<Cow<'a, str>>,
    pub(crate) partner_agent: Option<Cow<'a, str>>,
    pub(crate) access_tokens: Vec<Cow<'a, str>>,
    pub(crate) appsecret_proofs: Vec<Cow<'a, str>>,
}

/// `data` as it came. The elements of an array are told apart while the body is read for the first time, and
/// not looked into before they are judged.
#[derive(Debug, Default)]
enum Data<'a> {
    #[default]
    Missing,
    Array(Vec<&'a RawValue>),
    /// The JSON text of an array: all that a form can carry.
    Text(Cow<'a, str>),
    SomethingElse,
}

#[derive(Deserialize)]
struct JsonBody<'a> {
    #[serde(borrow, default)]
    data: Data<'a>,
    #[serde(borrow)]
    test_event_code: Option<Json<'a>>,
    #[serde(borrow)]
    partner_agent: Option<Json<'a>>,
    #[serde(borrow)]
    access_token: Option<Json<'a>>,
    #[serde(borrow)]
    appsecret_proof: Option<Json<'a>>,
}

impl<'a> Submission<'a> {
    /// Reads the query string and the body.
    ///
    /// # Errors
    /// Code 100 when the body is not what its content type says.
    pub(crate) fn read(query: &'a str, content_type: &str, body: &'a [u8]) -> Result<Self, Refusal> {
        let mut submission = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            submission.set(&name, value);
        }
        match Encoding::of(content_type) {
            Encoding::Json => submission.read_json(body)?,
            Encoding::Form => {
                for (name, value) in form_urlencoded::parse(body) {
                    submission.set(&name, value);
                }
            }
            Encoding::Multipart => {
                let parts =
                    multipart::boundary(content_type).and_then(|boundary| multipart::parts(body, boundary));
                for part in
                    parts.ok_or_else(|| Refusal::parameter("The body is not valid multipart/form-data"))?
                {
                    let value = std::str::from_utf8(part.value).map_err(|_| {
                        Refusal::parameter(format!("Param {} must be valid UTF-8", part.name))
                    })?;
                    submission.set(part.name, Cow::Borrowed(value));
                }
            }
        }
        Ok(submission)
    }

    fn read_json(&mut self, body: &'a [u8]) -> Result<(), Refusal> {
        let body =
            std::str::from_utf8(body).map_err(|_| Refusal::parameter("The body must be valid UTF-8"))?;
        let body: JsonBody<'a> = serde_json::from_str(body)
            .map_err(|error| Refusal::parameter(format!("The body is not a valid JSON object: {error}")))?;
        if !matches!(body.data, Data::Missing) {
            self.data = body.data;
        }
        let texts = [
            ("test_event_code", body.test_event_code),
            ("partner_agent", body.partner_agent),
            ("access_token", body.access_token),
            ("appsecret_proof", body.appsecret_proof),
        ];
        for (name, value) in texts {
            match value {
                None | Some(Json::Null) => {}
                Some(Json::Text(text)) => self.set(name, text),
                Some(_) => return Err(Refusal::parameter(format!("Param {name} must be a string"))),
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Cow<'a, str>) {
        match name {
            "data" => self.data = Data::Text(value),
            "test_event_code" => self.test_event_code = Some(value),
            "partner_agent" => self.partner_agent = Some(value),
            "access_token" => self.access_tokens.push(value),
            "appsecret_proof" => self.appsecret_proofs.push(value),
            _ => {}
        }
    }

    /// The JSON text of each event, in order, as the client wrote it.
    ///
    /// # Errors
    /// Code 100 when `data` is missing or is not an array.
    pub(crate) fn event_texts(&self) -> Result<Vec<Cow<'_, str>>, Refusal> {
        match &self.data {
            Data::Missing => Err(Refusal::parameter("The parameter data is required.")),
            Data::Array(elements) => elements.iter().map(|element| event_text(element)).collect(),
            Data::Text(text) => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| not_a_list())?;
                elements.into_iter().map(event_text).collect()
            }
            Data::SomethingElse => Err(not_a_list()),
        }
    }
}

/// The event's own text, which may have been wrapped in a JSON string.
fn event_text(element: &RawValue) -> Result<Cow<'_, str>, Refusal> {
    match element.get() {
        text if text.starts_with('"') => serde_json::from_str(text)
            .map(Cow::Owned)
            .map_err(|_| not_a_list()),
        text => Ok(Cow::Borrowed(text)),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = array.next_element()? {
            elements.push(element);
        }
        Ok(Data::Array(elements))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Data::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Data::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Data::Missing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Data::SomethingElse)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Data::SomethingElse)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Data::SomethingElse)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Data::SomethingElse)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Data::SomethingElse)
    }
}

fn not_a_list() -> Refusal {
    Refusal::parameter("Param data must be an array.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(content_type: &str, body: &str) -> Result<Vec<String>, Refusal> {
        let submission = Submission::read("", content_type, body.as_bytes())?;
        Ok(submission
            .event_texts()?
            .into_iter()
            .map(Cow::into_owned)
            .collect())
    }

    #[test]
    fn data_may_be_an_array_the_text_of_one_or_an_array_of_texts() {
        let wanted = vec![r#"{"a": "é"}"#.to_owned()];
        let json = "application/json; charset=utf-8";
        assert_eq!(texts(json, r#"{"data":[{"a": "é"}]}"#).unwrap(), wanted);
        assert_eq!(texts(json, r#"{"data":["{\"a\": \"é\"}"]}"#).unwrap(), wanted);
        assert_eq!(texts(json, r#"{"data":"[{\"a\": \"é\"}]"}"#).unwrap(), wanted);
        let form = "application/x-www-form-urlencoded";
        assert_eq!(
            texts(form, "data=%5B%7B%22a%22%3A+%22%C3%A9%22%7D%5D").unwrap(),
            wanted
        );
        assert_eq!(
            texts(form, "data=%5B%22%7B%5C%22a%5C%22%3A+%5C%22%C3%A9%5C%22%7D%22%5D").unwrap(),
            wanted
        );
    }

    #[test]
    fn anything_but_an_array_is_refused() {
        for body in [
            r#"{"data":{"a":1}}"#,
            r#"{"data":7}"#,
            r#"{"data":"text"}"#,
            r#"{"data":null}"#,
            "{}",
            "[",
            "",
        ] {
            assert_eq!(texts("application/json", body).unwrap_err().code, 100, "{body}");
        }
    }

    #[test]
    fn credentials_are_collected_from_query_and_body() {
        let submission = Submission::read(
            "access_token=A&x=1",
            "application/json",
            br#"{"access_token":"B"}"#,
        )
        .unwrap();
        assert_eq!(submission.access_tokens, ["A", "B"]);
    }
}
