//! `fbc` and `fbp`: the click and browser identifiers of Meta's cookies.
//!
//! Source: Meta, "fbp and fbc parameters". An `fbclid` is case-sensitive and is never changed, decoded twice
//! or hashed.

use std::borrow::Cow;

use crate::personal_data::unescaped;
use crate::placeholder::is_placeholder;

/// The longest click or browser id taken, in bytes. Meta's own browser library ignores longer ones.
const LONGEST: usize = 500;
/// The digits of a time in milliseconds, from 2001 to 2286. Ten are a time in seconds, and some other moment
/// to Meta.
const MILLISECONDS_DIGITS: usize = 13;

/// Whether this is the value of a `_fbc` or `_fbp` cookie: `fb.{subdomain index}.{milliseconds}.{payload}`,
/// with the optional fifth part that Meta's parameter builder adds.
pub fn is_valid(value: &str) -> bool {
    let mut parts = value.split('.');
    let (Some("fb"), Some(index), Some(created), Some(payload)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    payload.len() <= LONGEST
        && index.len() <= 10
        && digits(index)
        && digits(created)
        && created.len() == MILLISECONDS_DIGITS
        && !is_placeholder(payload)
        && is_base64url(payload)
        && parts.next().is_none_or(is_builder_suffix)
        && parts.next().is_none()
}

/// The value of a `_fbc` or `_fbp` cookie as a browser sends it, perhaps in quotes or percent-encoded.
pub fn of_cookie(sent: &str) -> Option<Cow<'_, str>> {
    let sent = sent.trim();
    let bare = sent
        .strip_prefix('"')
        .and_then(|sent| sent.strip_suffix('"'))
        .unwrap_or(sent);
    Some(unescaped(bare)).filter(|value| is_valid(value))
}

/// Whether this is what Meta's parameter builder writes, after a dot, behind the values it had in its hands:
/// click and browser ids, addresses, URLs.
pub fn is_builder_suffix(text: &str) -> bool {
    matches!(text, "AQ" | "Ag" | "Aw" | "BA" | "BQ" | "Bg") || text.len() == 8 && is_base64url(text)
}

fn is_base64url(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// When the browser or click id was made, in milliseconds since 1970. `None`: it is not a valid one.
pub fn time_ms(value: &str) -> Option<i64> {
    let created = value.split('.').nth(2)?.parse().ok()?;
    is_valid(value).then_some(created)
}

/// The id of the click inside a valid `fbc`.
pub fn click_of(fbc: &str) -> Option<&str> {
    fbc.split('.').nth(3)
}

/// The click id in a page's URL, percent-encoding left as it is (real ones have none) and without what the
/// parameter builder puts behind a URL, each time that it has it in its hands.
pub fn fbclid(url: &str) -> Option<&str> {
    let before_fragment = url.split_once('#').map_or(url, |(before, _)| before);
    let query = before_fragment.split_once('?')?.1;
    let mut value = query.split('&').find_map(|pair| pair.strip_prefix("fbclid="))?;
    while let Some((id, suffix)) = value.rsplit_once('.')
        && is_builder_suffix(suffix)
    {
        value = id;
    }
    (!is_placeholder(value) && value.len() <= LONGEST).then_some(value)
}

/// The `fbc` of a click whose cookie nobody stored: subdomain index 1, as Meta asks of servers.
pub fn fbc_from_click(fbclid: &str, first_seen_ms: i64) -> String {
    format!("fb.1.{first_seen_ms}.{fbclid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_meta_prints_them_are_valid() {
        for value in [
            "fb.1.1554763741205.AbCdEfGhIjKlMnOpQrStUvWxYz1234567890",
            "fb.1.1596403881668.1116446470",
            "fb.2.1700000000123.AbC_d-1.AQQCAQMC",
            "fb.1.1600000000000.Old.BA",
        ] {
            assert!(is_valid(value), "{value}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for value in [
            "",
            "garbage",
            "fb.1.16x.Old",
            "fb.1.1700000000123",
            "fb.1.1700000000123.",
            "fb..1700000000123.a",
            "fb.1.170000000012345.a",
            "fb.1.1758300000.1293847561",
            "fb.1.1758300000456.undefined",
            "fb.1.1758300000456.null",
            "fb.1.1758300000456.NaN",
            "fb.1.1700000000123.a b",
            "fb.1.1700000000123.a.XX",
            "fb.1.1700000000123.a.AQQCAQMC.b",
            "FB.1.1700000000123.a",
            &format!("fb.1.1700000000123.{}", "a".repeat(501)),
        ] {
            assert!(!is_valid(value), "{value}");
        }
    }

    #[test]
    fn a_cookie_is_read_as_browsers_write_it() {
        let value = "fb.1.1596403881668.1116446470";
        for sent in [
            value,
            &format!("\"{value}\""),
            &format!(" {value} "),
            "fb%2E1%2E1596403881668%2E1116446470",
        ] {
            assert_eq!(of_cookie(sent).as_deref(), Some(value), "{sent}");
        }
        for sent in ["", "\"", "fb.1.1596403881668.null", "%", "fb%"] {
            assert_eq!(of_cookie(sent), None, "{sent}");
        }
    }

    #[test]
    fn the_click_id_is_taken_from_the_query_as_it_stands() {
        assert_eq!(
            fbclid("https://x.br/a?utm=1&fbclid=IwAR0_aB-c#top"),
            Some("IwAR0_aB-c")
        );
        assert_eq!(fbclid("https://x.br/a?xfbclid=1"), None);
        assert_eq!(fbclid("https://x.br/fbclid=1"), None);
        assert_eq!(fbclid("https://x.br/a#?fbclid=1"), None);
        assert_eq!(fbclid("https://x.br/a?fbclid="), None);
        assert_eq!(fbclid("https://x.br/a?fbclid=AbC.AQICAQMC"), Some("AbC"));
        assert_eq!(fbclid("https://x.br/a?fbclid=AbC.AQICAQMC.AQ"), Some("AbC"));
        for nothing in ["null", "undefined", "{{fbclid}}", "NaN"] {
            assert_eq!(
                fbclid(&format!("https://x.br/a?fbclid={nothing}")),
                None,
                "{nothing}"
            );
        }
        let long = format!("https://x.br/?fbclid={}", "a".repeat(501));
        assert_eq!(fbclid(&long), None);
    }

    #[test]
    fn a_click_becomes_an_fbc_with_its_own_time() {
        let fbc = fbc_from_click("AbC_d-1", 1_700_000_000_123);
        assert_eq!(fbc, "fb.1.1700000000123.AbC_d-1");
        assert!(is_valid(&fbc));
    }
}
