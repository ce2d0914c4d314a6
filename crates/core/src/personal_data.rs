//! Personal data where it does not belong: outside `user_data`, whose keys are hashed, it would reach Meta and our
//! database in the clear. Meta forbids it, and people send it all the same: a thank-you page with `?email=` in its
//! address, a customer's e-mail as a custom property. It is left out, the event is kept, and a warning says so.
//!
//! What is looked for: names that people give to such fields, and texts that hold an e-mail address. A phone number
//! under a harmless name looks like any other number and is not found.

use std::borrow::Cow;

use crate::finding::{At, Findings};
use crate::json::{Json, Object, repeated_names};

const LEFT_OUT: &str =
    "was left out: it looks like personal data, which belongs in user_data, where it is hashed";

/// Names of personal data, in lower case and without separators. Places are absent: `city`, `region` and `country`
/// are what Meta calls the parts of a property's or a hotel's address.
const NAMES: [&str; 24] = [
    "email",
    "emailaddress",
    "phone",
    "phonenumber",
    "telephone",
    "telefone",
    "celular",
    "whatsapp",
    "firstname",
    "lastname",
    "fullname",
    "surname",
    "sobrenome",
    "nomecompleto",
    "birthday",
    "birthdate",
    "dateofbirth",
    "dob",
    "datanascimento",
    "datadenascimento",
    "cpf",
    "ssn",
    "passport",
    "passaporte",
];

/// The last two letters of each of these names, by which nearly every other name is told apart.
const ENDINGS: [[u8; 2]; NAMES.len()] = {
    let mut endings = [[0; 2]; NAMES.len()];
    let mut index = 0;
    while index < NAMES.len() {
        if let [.., before, last] = NAMES[index].as_bytes() {
            endings[index] = [*before, *last];
        }
        index += 1;
    }
    endings
};

/// Meta's own names of hashed keys that cannot mean anything else.
const KEYS: [&str; 2] = ["em", "ph"];

/// Whether a field of this name holds personal data: the name is one of those above, or ends in it as a word of its
/// own (`customer_email`, `buyerPhone2`, but not `smartphone` or `email_opt_in`).
pub(crate) fn is_personal_name(name: &str) -> bool {
    if KEYS.iter().any(|key| key.eq_ignore_ascii_case(name)) {
        return true;
    }
    let mut letters = name.bytes().rev().filter(u8::is_ascii_alphabetic);
    let (Some(last), Some(before)) = (letters.next(), letters.next()) else {
        return false;
    };
    ENDINGS.contains(&[before.to_ascii_lowercase(), last.to_ascii_lowercase()])
        && NAMES
            .iter()
            .any(|word| ends_in_word(name.as_bytes(), word.as_bytes()))
}

/// Compares letters only: separators and digits may stand anywhere between and behind them.
fn ends_in_word(name: &[u8], word: &[u8]) -> bool {
    if name.len() < word.len() {
        return false;
    }
    let mut start = name.len();
    for expected in word.iter().rev() {
        match name[..start].iter().rposition(u8::is_ascii_alphabetic) {
            Some(found) if name[found].to_ascii_lowercase() == *expected => start = found,
            _ => return false,
        }
    }
    match start.checked_sub(1).map(|before| name[before]) {
        None => true,
        Some(before) if before.is_ascii_lowercase() => name[start].is_ascii_uppercase(),
        Some(before) => !before.is_ascii_alphabetic(),
    }
}

/// Whether an e-mail address stands anywhere in the text, its `@` perhaps percent-encoded once or twice.
pub(crate) fn holds_email(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Few texts have either, and without stopping at the first the compiler can look at sixteen bytes at a time.
    let may_hold_sign = bytes
        .iter()
        .fold(false, |found, byte| found | matches!(byte, b'@' | b'%'));
    may_hold_sign
        && bytes.iter().enumerate().any(|(index, byte)| {
            let sign = match byte {
                b'@' => 1,
                b'%' if bytes[index..].starts_with(b"%40") => 3,
                b'%' if bytes[index..].starts_with(b"%2540") => 5,
                _ => return false,
            };
            let has_local = index
                .checked_sub(1)
                .is_some_and(|before| is_local_end(bytes[before]));
            has_local && starts_with_domain(&bytes[index + sign..])
        })
}

fn is_local_end(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'_' | b'-' | b'+' | b'.')
}

/// At least two labels, the second of at least two letters: `example.com`, but not the version in `react@18.2` and
/// not the scale in `logo@2x.png`.
fn starts_with_domain(bytes: &[u8]) -> bool {
    let is_label_byte = |byte: &&u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || **byte == b'-';
    let first = bytes.iter().take_while(is_label_byte).count();
    let is_scale = matches!(&bytes[..first], [b'0'..=b'9', b'x']);
    first > 0
        && !is_scale
        && bytes.get(first) == Some(&b'.')
        && bytes[first + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count()
            >= 2
}

/// The URL without the personal data in its credentials, path, query and fragment, or `None` if it has none. Names
/// of parameters stay, their values go: `?email=ana%40example.com&step=2` becomes `?email=&step=2`.
pub(crate) fn cleaned_url(url: &str) -> Option<String> {
    let is_delimiter = |c: char| matches!(c, '/' | '?' | '#' | '&' | ';');
    let colon = url.as_bytes().windows(3).position(|bytes| bytes == b"://");
    let (scheme, rest) = url.split_at(colon.map_or(0, |colon| colon + 3));
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);

    let pieces = rest.split_inclusive(is_delimiter).map(|piece| {
        let text = piece.trim_end_matches(is_delimiter);
        let (name, value) = text.split_once('=').unwrap_or(("", text));
        let kept = if holds_email(name) {
            ""
        } else if !value.is_empty() && (holds_email(value) || is_personal_name(name)) {
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

/// The object without its personal data, each with a warning. What is taken out of a list leaves a null, so that the
/// others keep their place. A name that stands twice, at any depth, is an error: readers would disagree on which
/// counts.
pub(crate) fn cleaned<'a>(object: Object<'a>, at: At<'_>, findings: &mut Findings) -> Object<'a> {
    for name in repeated_names(&object) {
        findings.error(at.field(name), "stands twice");
    }
    let keep = |(name, value): (Cow<'a, str>, Json<'a>)| {
        let at = at.field(&name);
        if holds_email(&name) || is_personal_name(&name) && says_something(&value) {
            findings.warn(at, LEFT_OUT);
            return None;
        }
        let value = cleaned_value(value, at, findings)?;
        Some((name, value))
    };
    object.into_iter().filter_map(keep).collect()
}

fn cleaned_value<'a>(value: Json<'a>, at: At<'_>, findings: &mut Findings) -> Option<Json<'a>> {
    match value {
        Json::String(text) if holds_email(&text) => {
            findings.warn(at, LEFT_OUT);
            None
        }
        Json::Array(items) => {
            let clean = |(index, item)| cleaned_value(item, at.index(index), findings).unwrap_or(Json::Null);
            Some(Json::Array(items.into_iter().enumerate().map(clean).collect()))
        }
        Json::Object(fields) => Some(Json::Object(cleaned(fields, at, findings))),
        other => Some(other),
    }
}

/// A flag named `whatsapp` says nothing about who somebody is, and an object is looked into.
fn says_something(value: &Json<'_>) -> bool {
    match value {
        Json::Null | Json::Bool(_) | Json::Object(_) => false,
        Json::String(text) => !text.is_empty(),
        Json::Unsigned(_) | Json::Negative(_) | Json::Float(_) | Json::Array(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_personal_data_are_known_in_every_spelling_and_only_as_words() {
        for name in [
            "email",
            "E-Mail",
            "e_mail",
            "EMAIL",
            "customer_email",
            "userEmail",
            "email2",
            "em",
            "PH",
            "phone_number",
            "PhoneNumber",
            "buyer.phone",
            "telefone",
            "user[telefone]",
            "cpf",
            "CPF_",
            "nome_completo",
            "firstName",
            "dataNascimento",
            "data_de_nascimento",
            "dob",
        ] {
            assert!(is_personal_name(name), "{name}");
        }
        for name in [
            "",
            "smartphone",
            "headphone",
            "email_opt_in",
            "phone_model",
            "item",
            "graph",
            "items",
            "name",
            "city",
            "country",
            "cpfl",
            "mailing",
            "_",
            "1",
            "é",
        ] {
            assert!(!is_personal_name(name), "{name}");
        }
    }

    #[test]
    fn an_email_address_is_found_anywhere_in_a_text() {
        for text in [
            "ana@example.com",
            "Ana <ana.souza+x@uol.com.br>",
            "josé@café.com.br",
            "x=ana%40example.com",
            "u=https%3A%2F%2Fx.br%3Fe%3Dana%2540example.com",
            "@ @@ a@b.co",
        ] {
            assert!(holds_email(text), "{text}");
        }
        for text in [
            "",
            "@",
            "ana@",
            "@loja.com.br",
            "ana@example",
            "ana@.com",
            "react@18.2.0",
            "logo@2x.png",
            "a @b.co",
            "https://www.google.com.br/maps/@-23.55,-46.63,15z",
            "100%40",
            "%",
            "%4",
        ] {
            assert!(!holds_email(text), "{text}");
        }
    }

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
