//! Pieces of Mercado Pago's JSON. It writes ids as numbers or as texts, amounts as numbers or as texts, and
//! leaves out what it does not know: everything is read leniently, and amounts digit by digit.

use chrono::{DateTime, Utc};
use rastro_core::dataset::Currency;
use rastro_core::payment::minor_units;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The longest text kept of an answer, in bytes.
const LONGEST: usize = 200;

/// An id or a word: a number or a text, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(pub(super) String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        Ok(Word(plain(raw.get()).unwrap_or_default()))
    }
}

impl Word {
    pub(super) fn some(word: Option<Word>) -> Option<String> {
        word.map(|word| word.0).filter(|text| !text.is_empty())
    }
}

/// A text or the digits of a number; `None` for anything else, and where it holds control characters or is
/// too long.
fn plain(json: &str) -> Option<String> {
    let text = match json.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(json).ok()?,
        b'-' | b'0'..=b'9' => json.to_owned(),
        _ => return None,
    };
    let text = text.trim();
    (text.len() <= LONGEST && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// An amount as it was written.
#[derive(Clone, Debug)]
pub(super) struct Amount(String);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        Ok(Amount(plain(raw.get()).unwrap_or_default()))
    }
}

impl Amount {
    pub(super) fn minor(&self, currency: Currency) -> Option<i64> {
        minor_units(&self.0, currency)
    }
}

/// A moment, if it can be read: an odd one never costs the payment.
pub(super) fn moment(text: Option<String>) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text?.trim())
        .ok()
        .map(|time| time.with_timezone(&Utc))
}

/// Mercado Pago's words about a refusal.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    message: Option<String>,
    #[serde(default)]
    cause: serde_json::Value,
}

impl Refusal {
    pub(super) fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The first cause's code: `cause` is a list, an object, or not there.
    pub(super) fn code(&self) -> Option<i64> {
        let first = self.cause.get(0).unwrap_or(&self.cause);
        let code = first.get("code")?;
        code.as_i64().or_else(|| code.as_str()?.parse().ok())
    }

    pub(super) fn describe(&self, status: u16) -> String {
        let message = self.message.as_deref().unwrap_or("no reason given");
        let message: String = message
            .chars()
            .filter(|character| !character.is_control())
            .take(LONGEST)
            .collect();
        format!("status {status}, {message}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_texts_or_numbers_and_amounts_keep_their_digits() {
        let word = |json: &str| serde_json::from_str::<Word>(json).unwrap().0;
        assert_eq!(
            (word("123456789012"), word("\" ORD1 \"")),
            ("123456789012".into(), "ORD1".into())
        );
        assert_eq!(
            (word("{}"), word("[1]"), word("\"a\\u0000\"")),
            Default::default()
        );
        let brl = Currency::parse("BRL").unwrap();
        let minor = |json: &str| serde_json::from_str::<Amount>(json).unwrap().minor(brl);
        assert_eq!(
            (minor("58.8"), minor("\"150.00\""), minor("0.001")),
            (Some(5_880), Some(15_000), None)
        );
    }

    #[test]
    fn a_refusals_cause_is_a_list_an_object_or_missing() {
        for (body, code) in [
            (r#"{"message":"x","cause":[{"code":2006}]}"#, Some(2006)),
            (r#"{"message":"x","cause":{"code":"9062"}}"#, Some(9062)),
            (r#"{"message":"x"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(Refusal::read(body.as_bytes()).code(), code, "{body}");
        }
    }

    #[test]
    fn moments_keep_their_offset_and_odd_ones_are_none() {
        let read = |text: &str| moment(Some(text.to_owned())).map(|time| time.to_rfc3339());
        // 2026-11-22T23:30 at -04:00 is the 23rd in UTC.
        assert_eq!(
            read("2026-11-22T23:30:00.000-04:00").as_deref(),
            Some("2026-11-23T03:30:00+00:00")
        );
        assert_eq!(read("2015-03-25T10:04:58.39604:00"), None);
    }
}
