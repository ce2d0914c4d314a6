//! A JSON value that borrows from the text it was read from.
//!
//! Events are read without knowing which fields they carry, so that *every* wrong field can be named in the
//! answer; a typed `Deserialize` would stop at the first. Borrowing keeps that nearly as cheap as a typed
//! read: strings without escapes are slices of the request body, and objects are plain lists in the order
//! they were written.

pub(crate) mod writer;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A JSON object: keys in the order they were written. A key may stand twice; readers decide what that means.
pub type Object<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// A JSON value borrowing its strings from the text where it can.
///
/// Numbers are integers where they were written as such, else `f64`: exact for every amount of money up to
/// fifteen digits, and written back in the shortest form that reads as the same number.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Object<'a>),
}

impl<'a> Json<'a> {
    /// Reads one JSON document, perhaps behind a byte order mark, as .NET writes one. The error says line and
    /// column, never the content.
    pub fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        // Checking all of it for UTF-8 at once is cheaper than each string by itself.
        match str::from_utf8(text) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(text), // which says where
        }
    }

    /// The document inside a text of its own, as shops put lists into attributes of pages.
    pub(crate) fn parse_within(text: &str) -> Option<Json<'static>> {
        serde_json::from_str(text).ok().map(Json::into_owned)
    }

    pub(crate) fn into_owned(self) -> Json<'static> {
        let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Json::Null => Json::Null,
            Json::Bool(value) => Json::Bool(value),
            Json::Unsigned(value) => Json::Unsigned(value),
            Json::Negative(value) => Json::Negative(value),
            Json::Float(value) => Json::Float(value),
            Json::String(value) => Json::String(text(value)),
            Json::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Json::Object(fields) => {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (text(name), value.into_owned()));
                Json::Object(fields.collect())
            }
        }
    }

    /// Whether it says nothing: null, which Meta's SDKs write for what they were not given, or text without a
    /// letter in it, which forms send for a field that nobody filled in.
    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            Json::Null => true,
            Json::String(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// What kind of value this is, for sentences such as "must be a string, not a number".
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Unsigned(_) | Json::Negative(_) | Json::Float(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "a list",
            Json::Object(_) => "an object",
        }
    }

    /// The string inside, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer inside, if it is one that fits. `1700000000.0` is one too: some languages write whole
    /// floats so.
    pub fn as_i64(&self) -> Option<i64> {
        /// Beyond 2^53 a float has lost digits, and would be some other number.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match *self {
            Json::Unsigned(n) => i64::try_from(n).ok(),
            Json::Negative(n) => Some(n),
            Json::Float(n) if n.fract() == 0.0 && n.abs() < EXACT => Some(n as i64),
            _ => None,
        }
    }

    /// The integer inside, which may be written as text.
    pub(crate) fn whole_number(&self) -> Option<i64> {
        match self {
            Json::String(text) => {
                let text = text.trim();
                let digits = text.strip_prefix('-').unwrap_or(text);
                let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                is_whole.then(|| text.parse().ok())?
            }
            number => number.as_i64(),
        }
    }

    /// The text of a string, or the digits of a whole number: identifiers are sent as either.
    pub fn into_identifier(self) -> Result<Cow<'a, str>, Self> {
        match self {
            Json::String(text) => Ok(text),
            Json::Unsigned(n) => Ok(Cow::Owned(n.to_string())),
            Json::Float(n) if n >= 0.0 => self.as_i64().map(|n| Cow::Owned(n.to_string())).ok_or(self),
            other => Err(other),
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text with every half of a surrogate pair replaced by U+FFFD. A program that cuts text by UTF-16 units
/// leaves half an emoji, which it writes as `\ud83d`: that is grammatical (RFC 8259, 8.2), but no text.
pub fn without_half_characters(text: &[u8]) -> Cow<'_, [u8]> {
    const LENGTH: usize = br"\ud83d".len();
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let unit = |index: usize| {
        let escape = text.get(index..index + LENGTH)?.strip_prefix(br"\u")?;
        u16::from_str_radix(str::from_utf8(escape).ok()?, 16).ok()
    };
    let mut mended = Cow::Borrowed(text);
    let mut index = 0;
    while let Some(step) = text[index..].iter().position(|byte| *byte == b'\\') {
        index += step;
        index += match (unit(index), unit(index + LENGTH)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 2 * LENGTH,
            (Some(0xd800..=0xdfff), _) => {
                mended.to_mut()[index..index + LENGTH].copy_from_slice(br"\ufffd");
                LENGTH
            }
            _ => 2, // the backslash and what it escapes, so that the second of `\\` begins nothing
        };
        index = index.min(text.len());
    }
    mended
}

/// The names that an object has more than once, one for each repeat. Linear: objects come from strangers.
pub(crate) fn repeated_names<'o>(object: &'o Object<'_>) -> Vec<&'o str> {
    /// Up to here comparing each with each is faster than hashing.
    const FEW: usize = 16;
    if object.len() <= FEW {
        let is_repeat = |index: &usize| {
            let name = &*object[*index].0;
            object[..*index].iter().any(|(earlier, _)| **earlier == *name)
        };
        return (1..object.len())
            .filter(is_repeat)
            .map(|index| &*object[index].0)
            .collect();
    }
    let mut seen = HashSet::with_capacity(object.len());
    object
        .iter()
        .map(|(name, _)| &**name)
        .filter(|name| !seen.insert(*name))
        .collect()
}

struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonVisitor;
        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = Json<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Json::Bool(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Json::Unsigned(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(u64::try_from(value).map_or(Json::Negative(value), Json::Unsigned))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Json::Float(value))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Json::String(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Json::String(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = sequence.next_element()? {
                    items.push(item);
                }
                Ok(Json::Array(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // Not reserved ahead: a body of `{},{},` would turn each three bytes into hundreds.
                let mut fields = Vec::new();
                while let Some((Text(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(Json::Object(fields))
            }
        }
        deserializer.deserialize_any(JsonVisitor)
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Unsigned(value) => serializer.serialize_u64(*value),
            Json::Negative(value) => serializer.serialize_i64(*value),
            Json::Float(value) => serializer.serialize_f64(*value),
            Json::String(text) => serializer.serialize_str(text),
            Json::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    sequence.serialize_element(item)?;
                }
                sequence.end()
            }
            Json::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_back_as_it_was_read() {
        let text = r#"{"a":[1,-2,129.9,true,null],"b":{"c":"d\n","ç":"É"},"a":"again"}"#;
        let json = Json::parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
    }

    #[test]
    fn strings_without_escapes_borrow_from_the_text() {
        let json = Json::parse(br#"{"plain":"escaped\t"}"#).unwrap();
        let Json::Object(fields) = json else {
            panic!("an object")
        };
        assert!(matches!(fields[0].0, Cow::Borrowed("plain")));
        assert!(matches!(fields[0].1, Json::String(Cow::Owned(_))));
    }

    #[test]
    fn a_syntax_error_says_where_it_is() {
        let error = Json::parse(b"{\n  \"a\": }").unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 8));
    }

    #[test]
    fn numbers_that_no_double_can_hold_lone_surrogates_and_broken_utf8_are_syntax_errors() {
        for text in [
            &b"1e400"[..],
            b"-1e400",
            br#""\ud800""#,
            br#""\udc00x""#,
            b"\"\xff\"",
            b"NaN",
            b"Infinity",
            b"01",
        ] {
            assert!(Json::parse(text).is_err(), "{}", text.escape_ascii());
        }
        assert_eq!(
            Json::parse(br#""\ud83d\ude00\u0000""#).unwrap(),
            Json::String("\u{1f600}\0".into())
        );
    }

    #[test]
    fn half_a_character_becomes_a_replacement_and_everything_else_stays() {
        for (text, expected) in [
            (r#"["a\ud83d"]"#, r#"["a\ufffd"]"#),
            (r#"["\udc00x"]"#, r#"["\ufffdx"]"#),
            (r#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#),
            (r#"["\uD83Dx\uDE00"]"#, r#"["\ufffdx\ufffd"]"#),
            (r#"["\ud83d\u0041"]"#, r#"["\ufffd\u0041"]"#),
            (r#"["\\ud83d"]"#, r#"["\\ud83d"]"#),
            (r#"["\\\ud83d"]"#, r#"["\\\ufffd"]"#),
        ] {
            assert_eq!(
                without_half_characters(text.as_bytes()),
                expected.as_bytes(),
                "{text}"
            );
            assert!(Json::parse(expected.as_bytes()).is_ok(), "{expected}");
        }
        for text in ["", "\\", r"\u", r"\ud8", r#"{"a":"\ud83d\ude00 é"}"#, r"\ud83d\"] {
            let mended = without_half_characters(text.as_bytes());
            assert_eq!(mended.len(), text.len());
            assert!(
                matches!(mended, Cow::Borrowed(_)) || text.ends_with('\\'),
                "{text}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_document() {
        assert_eq!(Json::parse(b"\xef\xbb\xbf1").unwrap(), Json::Unsigned(1));
        assert!(Json::parse(b"1\xef\xbb\xbf").is_err());
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written_as_long_as_every_digit_is_kept() {
        for (text, expected) in [
            ("1700000000", Some(1_700_000_000)),
            ("1700000000.0", Some(1_700_000_000)),
            ("1.7e9", Some(1_700_000_000)),
            ("-0", Some(0)),
            ("-3", Some(-3)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("18446744073709551616", None),
            ("9007199254740993.0", None),
            ("1700000000.5", None),
            ("\"1\"", None),
            ("true", None),
        ] {
            assert_eq!(Json::parse(text.as_bytes()).unwrap().as_i64(), expected, "{text}");
        }
    }

    #[test]
    fn a_float_of_any_length_is_written_back_as_the_same_number() {
        // The second is 0.1 + 0.2 as every language with doubles prints it; the last two need correct
        // rounding.
        for text in [
            "129.9",
            "0.30000000000000004",
            "5e-324",
            "1.7976931348623157e308",
            "122.416294033786585",
        ] {
            let Json::Float(read) = Json::parse(text.as_bytes()).unwrap() else {
                panic!("{text} is a float")
            };
            assert_eq!(read, text.parse::<f64>().unwrap(), "{text}");
        }
    }

    #[test]
    fn every_repeat_of_a_name_is_found_in_small_and_in_large_objects() {
        for filler in [0, 100] {
            let mut text = String::from(r#"{"a":1,"b":2,"a":3,"\u0061":4,"#);
            (0..filler).for_each(|n| text.push_str(&format!(r#""n{n}":0,"#)));
            text.push_str(r#""B":5,"b":null}"#);
            let Json::Object(object) = Json::parse(text.as_bytes()).unwrap() else {
                panic!("an object")
            };
            assert_eq!(repeated_names(&object), ["a", "a", "b"]);
        }
    }

    #[test]
    fn nesting_beyond_the_parser_limit_is_refused_and_does_not_overflow_the_stack() {
        let deep = "[".repeat(100_000);
        assert!(Json::parse(deep.as_bytes()).is_err());
    }
}
