//! A JSON value that borrows its strings from the request: the rules look at a thousand events per request,
//! and copying every string would cost more than judging it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// One JSON value. An object keeps its members in order; of equal names the last one counts, as in PHP and
/// Hack.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    /// Also whole numbers too large for an `i64`.
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// The member of this name; `None` when it is absent or null, which Meta's clients use alike.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        let Json::Object(members) = self else { return None };
        let (_, value) = members.iter().rev().find(|(member, _)| member == name)?;
        (*value != Json::Null).then_some(value)
    }

    pub(crate) fn as_text(&self) -> Option<&Cow<'a, str>> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Json::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// Whether there is anything in it: not null, not blank text, not a list or object of such.
    pub(crate) fn says_something(&self) -> bool {
        match self {
            Json::Null => false,
            Json::Text(text) => !text.trim().is_empty(),
            Json::List(items) => items.iter().any(Json::says_something),
            Json::Object(members) => members.iter().any(|(_, value)| value.says_something()),
            Json::Bool(_) | Json::Integer(_) | Json::Float(_) => true,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = object.next_entry()? {
            members.push((name, value));
        }
        Ok(Json::Object(members))
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Json<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn plain_strings_are_borrowed_and_escaped_ones_are_not() {
        let json = parse(r#"{"plain":"text","\u0065scaped":"caf\u00e9"}"#);
        assert!(matches!(
            json.get("plain"),
            Some(Json::Text(Cow::Borrowed("text")))
        ));
        assert!(matches!(json.get("escaped"), Some(Json::Text(Cow::Owned(text))) if text == "café"));
    }

    #[test]
    fn the_last_of_equal_names_counts_and_null_is_absent() {
        assert_eq!(parse(r#"{"a":1,"a":2}"#).get("a"), Some(&Json::Integer(2)));
        assert_eq!(parse(r#"{"a":1,"a":null}"#).get("a"), None);
        assert_eq!(parse("[1]").get("a"), None);
    }

    #[test]
    fn nulls_and_blanks_say_nothing() {
        for nothing in [
            "null",
            r#""""#,
            r#"" ""#,
            "[]",
            "[null,\"\"]",
            "{}",
            r#"{"a":null}"#,
        ] {
            assert!(!parse(nothing).says_something(), "{nothing}");
        }
        for something in ["0", "false", r#""a""#, "[null,\"a\"]", r#"{"a":[1]}"#] {
            assert!(parse(something).says_something(), "{something}");
        }
    }
}
