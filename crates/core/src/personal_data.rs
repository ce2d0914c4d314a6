//! Personal data where it does not belong: outside `user_data`, whose keys are hashed, it would reach Meta
//! and our database in the clear. Meta forbids it, and people send it all the same: a thank-you page with
//! `?email=` in its address, a customer's telephone as a custom property. It is left out, the event is kept,
//! and a warning says so.
//!
//! It is known by the [name](names) of its field and by its [shape]. A person's name under a harmless field
//! name looks like any other text and is not found.

mod names;
mod shape;

use std::borrow::Cow;

use crate::finding::{At, Findings};
use crate::json::{Json, Object, repeated_names};

use names::FieldName;
pub(crate) use shape::holds_personal_data;
use shape::{Digits, holds_email};

const LEFT_OUT: &str =
    "was left out: it looks like personal data, which belongs in user_data, where it is hashed";

/// The URL without the personal data in its credentials, path, query and fragment, or `None` if it has none.
/// Names of parameters stay, their values go: `?email=ana%40example.com&step=2` becomes `?email=&step=2`.
pub(crate) fn cleaned_url(url: &str) -> Option<String> {
    let is_delimiter = |c: char| matches!(c, '/' | '?' | '#' | '&' | ';');
    let colon = url.as_bytes().windows(3).position(|bytes| bytes == b"://");
    let (scheme, rest) = url.split_at(colon.map_or(0, |colon| colon + 3));
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);

    let pieces = rest.split_inclusive(is_delimiter).map(|piece| {
        let text = piece.trim_end_matches(is_delimiter);
        let (name, value) = text.split_once('=').unwrap_or(("", text));
        let is_personal = |value: &str| {
            let field = FieldName::of(name);
            let is_parameter = name.len() < text.len() && !name.is_empty();
            let digits = if is_parameter {
                digits_under(&field)
            } else {
                Digits::Written
            };
            field.is_personal(false)
                || holds_email(value)
                || shape::is_number_of_a_person(&unescaped(value), digits)
        };
        let kept = if holds_email(name) {
            ""
        } else if !value.is_empty() && is_personal(value) {
            &text[..text.len() - value.len()]
        } else {
            text
        };
        [kept, &piece[text.len()..]]
    });
    let kept: usize = pieces.clone().flatten().map(str::len).sum();
    let is_clean = host.len() == authority.len() && kept == rest.len();
    (!is_clean).then(|| [scheme, host].into_iter().chain(pieces.flatten()).collect())
}

/// The value of a query's parameter, or of a cookie, as it was before it was escaped.
pub(crate) fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['%', '+']) {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [byte, behind @ ..] = rest {
        let escape = behind.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let escaped = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (rest, _) = match (byte, escaped) {
            (b'%', Some(escaped)) => (&behind[2..], bytes.push(escaped)),
            (b'+', _) => (behind, bytes.push(b' ')),
            (byte, _) => (behind, bytes.push(*byte)),
        };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// How digits without separators are read in a field: those of an id, an amount or a time are its own.
fn digits_under(name: &FieldName) -> Digits {
    if name.is_of_numbers {
        Digits::Written
    } else {
        Digits::Any
    }
}

/// Where a value stands: what that says of it.
#[derive(Clone, Copy)]
struct Within {
    /// Inside an object that is a person, such as `customer`.
    person: bool,
    digits: Digits,
}

/// The object without its personal data, each with a warning. What is taken out of a list leaves a null, so
/// that the others keep their place. A name that stands twice, at any depth, is an error: readers would
/// disagree on which counts.
pub(crate) fn cleaned<'a>(object: Object<'a>, at: At<'_>, findings: &mut Findings) -> Object<'a> {
    cleaned_fields(object, false, at, findings)
}

/// One value of its own, as [`cleaned`] does it.
pub(crate) fn cleaned_value<'a>(
    name: &str,
    value: Json<'a>,
    at: At<'_>,
    findings: &mut Findings,
) -> Option<Json<'a>> {
    let name = FieldName::of(name);
    let within = Within {
        person: name.is_a_person(),
        digits: digits_under(&name),
    };
    clean(value, within, at, findings)
}

fn cleaned_fields<'a>(
    object: Object<'a>,
    in_person: bool,
    at: At<'_>,
    findings: &mut Findings,
) -> Object<'a> {
    for name in repeated_names(&object) {
        findings.error(at.field(name), "stands twice");
    }
    let keep = |(name, value): (Cow<'a, str>, Json<'a>)| {
        let at = at.field(&name);
        let known = FieldName::of(&name);
        if holds_personal_data(&name) || says_something(&value) && known.is_personal(in_person) {
            findings.warn(at, LEFT_OUT);
            return None;
        }
        let within = Within {
            person: in_person || known.is_a_person(),
            digits: digits_under(&known),
        };
        let value = clean(value, within, at, findings)?;
        Some((name, value))
    };
    object.into_iter().filter_map(keep).collect()
}

fn clean<'a>(value: Json<'a>, within: Within, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    let is_personal = match &value {
        Json::String(text) => holds_email(text) || shape::is_number_of_a_person(text, within.digits),
        Json::Unsigned(number) => shape::is_number_of_a_person(&number.to_string(), within.digits),
        _ => false,
    };
    if is_personal {
        findings.warn(at, LEFT_OUT);
        return None;
    }
    match value {
        Json::Array(items) => {
            let clean = |(index, item)| clean(item, within, at.index(index), findings).unwrap_or(Json::Null);
            Some(Json::Array(items.into_iter().enumerate().map(clean).collect()))
        }
        Json::Object(fields) => Some(Json::Object(cleaned_fields(fields, within.person, at, findings))),
        Json::String(text) => {
            if text.contains(char::REPLACEMENT_CHARACTER) {
                findings.warn(at, "has characters that were lost on the way here (U+FFFD)");
            }
            Some(Json::String(text))
        }
        other => Some(other),
    }
}

/// A flag named `whatsapp` says nothing about who somebody is, and an object is looked into; so is a list of
/// objects.
fn says_something(value: &Json<'_>) -> bool {
    match value {
        Json::Null | Json::Bool(_) | Json::Object(_) => false,
        Json::String(text) => !text.trim().is_empty(),
        Json::Array(items) => items.iter().any(says_something),
        Json::Unsigned(_) | Json::Negative(_) | Json::Float(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_everything_but_the_personal_data_in_it() {
        for (url, expected) in [
            (
                "https://x.br/ok?email=ana%40example.com&step=2",
                "https://x.br/ok?email=&step=2",
            ),
            (
                "https://x.br/ok?step=2&telefone=11912345678#top",
                "https://x.br/ok?step=2&telefone=#top",
            ),
            ("https://x.br/?q=ana@example.com", "https://x.br/?q="),
            ("https://x.br/?ana@example.com&a=1", "https://x.br/?&a=1"),
            ("https://x.br/?ana@example.com=1&a=1", "https://x.br/?&a=1"),
            (
                "https://x.br/u/ana@example.com/orders?a=1",
                "https://x.br/u//orders?a=1",
            ),
            ("https://x.br/#/login?email=a@b.co", "https://x.br/#/login?email="),
            (
                "https://x.br/?u=https%3A%2F%2Fy%2Fana%40example.com&fbclid=AbC",
                "https://x.br/?u=&fbclid=AbC",
            ),
            ("https://ana:secret@x.br/a", "https://x.br/a"),
            ("https://ana@x.br", "https://x.br"),
            ("ana@example.com", "example.com"),
        ] {
            assert_eq!(cleaned_url(url).as_deref(), Some(expected), "{url}");
            assert_eq!(cleaned_url(expected), None, "{expected}");
        }
        for url in [
            "https://x.br/a/b?utm_source=ig&fbclid=IwAR0_aB-c#top",
            "https://x.br/t?fbclid=AbC.AQICAQMC",
            "https://x.br/?email=&phone",
            "http://[2001:db8::1]:8080/a;b=c/?x=%C3%A7&&=;",
            "android-app://com.google.android.gm/",
            "",
        ] {
            assert_eq!(cleaned_url(url), None, "{url}");
        }
    }
}
