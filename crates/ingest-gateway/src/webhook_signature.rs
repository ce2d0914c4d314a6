//! Mercado Pago's signature of a webhook: an HMAC over the id in the query, the request's id and a time; the
//! body takes no part.
//!
//! Source: Mercado Pago, "Webhooks", "Validate origin of the notification", and the validators of its own
//! libraries.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// How far ahead of our clock a signature may be, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 600;
/// Times of so many digits are in milliseconds; both units are documented.
const MILLISECOND_DIGITS: usize = 12;

/// What of a request is signed, as it came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signed<'r> {
    /// `x-signature`.
    pub(crate) header: Option<&'r str>,
    /// `x-request-id`.
    pub(crate) request_id: Option<&'r str>,
    /// `data.id` of the query, decoded.
    pub(crate) data_id: Option<&'r str>,
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Missing,
    Malformed,
    NoTimestamp,
    NoHash,
    Mismatch,
    InTheFuture,
    TooOld,
}

impl Refused {
    /// For the log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Refused::Missing => "there is no x-signature",
            Refused::Malformed => "x-signature is malformed",
            Refused::NoTimestamp => "x-signature has no ts",
            Refused::NoHash => "x-signature has no v1",
            Refused::Mismatch => "no secret of the account signed it",
            Refused::InTheFuture => "it was signed in the future",
            Refused::TooOld => "it was signed too long ago",
        }
    }
}

/// Whether one of these secrets signed it. Age alone refuses nothing unless `max_age_seconds` says so: a
/// retry may carry the first signature, and doing the same twice does no harm.
pub(crate) fn verify(
    signed: &Signed<'_>,
    secrets: &[SecretString],
    now_ms: i64,
    max_age_seconds: Option<i32>,
) -> Result<(), Refused> {
    let header = signed.header.map(str::trim).filter(|header| !header.is_empty());
    let (ts, hash) = read(header.ok_or(Refused::Missing)?)?;
    let id = signed.data_id.map(str::trim).filter(|id| !id.is_empty());
    let request_id = signed.request_id.map(str::trim).filter(|id| !id.is_empty());
    // Which letters of an id are signed is told in two ways; both need the secret.
    let lower = id.map(str::to_ascii_lowercase);
    let spellings = [Some(id), (lower.as_deref() != id).then_some(lower.as_deref())];
    let is_signed = secrets.iter().any(|secret| {
        let by_secret = |id: &Option<&str>| is_by(secret, &manifest(*id, request_id, ts), &hash);
        spellings.iter().flatten().any(by_secret)
    });
    if !is_signed {
        return Err(Refused::Mismatch);
    }
    let at: i64 = ts.parse().map_err(|_| Refused::Malformed)?;
    let at_ms = match ts.len() {
        MILLISECOND_DIGITS.. => at,
        _ => at.saturating_mul(1_000),
    };
    let age_seconds = now_ms.saturating_sub(at_ms) / 1_000;
    if age_seconds < -CLOCK_SKEW_SECONDS {
        return Err(Refused::InTheFuture);
    }
    match max_age_seconds {
        Some(most) if age_seconds > i64::from(most) => Err(Refused::TooOld),
        _ => Ok(()),
    }
}

/// The time as it was written, and the hash.
fn read(header: &str) -> Result<(&str, [u8; 32]), Refused> {
    let (mut ts, mut hash, mut is_known) = (None, None, false);
    for piece in header.split(',') {
        let Some((name, value)) = piece.split_once('=') else {
            continue;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "ts" => {
                if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Refused::Malformed);
                }
                ts = Some(value);
            }
            "v1" => hash = Some(value),
            _ => continue,
        }
        is_known = true;
    }
    if !is_known {
        return Err(Refused::Malformed);
    }
    let ts = ts.ok_or(Refused::NoTimestamp)?;
    let hash = hash.ok_or(Refused::NoHash)?;
    Ok((ts, bytes(hash).ok_or(Refused::Malformed)?))
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// What is missing is left out with its label.
fn manifest(id: Option<&str>, request_id: Option<&str>, ts: &str) -> String {
    let mut manifest = String::new();
    for (label, value) in [("id", id), ("request-id", request_id), ("ts", Some(ts))] {
        if let Some(value) = value {
            manifest.push_str(label);
            manifest.push(':');
            manifest.push_str(value);
            manifest.push(';');
        }
    }
    manifest
}

/// In constant time.
fn is_by(secret: &SecretString, manifest: &str, hash: &[u8; 32]) -> bool {
    let key = secret.expose_secret().as_bytes();
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    hmac.update(manifest.as_bytes());
    hmac.verify_slice(hash).is_ok()
}

/// The vectors were computed with Python's `hmac`; Mercado Pago's released validators (`mercadopago` 3.6.0 on
/// PyPI, 3.6.1 on npm) agree on each but V4 and V9, where this one takes what they refuse: ids signed in
/// small letters, and capital hex.
#[cfg(test)]
mod tests {
    use super::*;

    const S1: &str = "mp_whsec_test_0123456789abcdef0123456789abcdef";
    const S2: &str = "your_secret_key_here";
    const RID: Option<&str> = Some("2066ca19-c6f1-498a-be75-1923005edd06");
    const ORDER: Option<&str> = Some("ORD01JQ4S4KY8HWQ6NA5PXB65B3D3");
    const V1: &str = "c2525e0dc4dd72173616c74312b9bf6a162c458ee8860298175b7efa5e5efc25";
    const V2: &str = "e5ab4c777f325a1b2ef781e7293be7f2ce1b71de7aa818faa53d7f6a2b752ddf";
    const SECONDS: i64 = 1_704_908_010;
    const MILLISECONDS: i64 = 1_742_505_638_683;

    fn at(
        secret: &str,
        data_id: Option<&str>,
        request_id: Option<&str>,
        header: &str,
        now_ms: i64,
        max_age_seconds: Option<i32>,
    ) -> Result<(), Refused> {
        let signed = Signed {
            header: Some(header),
            request_id,
            data_id,
        };
        // The second of two secrets: the first is the one that takes over.
        let secrets = ["another-secret", secret].map(SecretString::from);
        verify(&signed, &secrets, now_ms, max_age_seconds)
    }

    fn verdict(
        secret: &str,
        data_id: Option<&str>,
        request_id: Option<&str>,
        header: &str,
    ) -> Result<(), Refused> {
        at(secret, data_id, request_id, header, MILLISECONDS, None)
    }

    #[test]
    fn v1_an_id_of_digits_and_a_time_in_seconds() {
        let header = format!("ts=1704908010,v1={V1}");
        assert_eq!(verdict(S1, Some("999999999"), RID, &header), Ok(()));
    }

    #[test]
    fn v2_a_time_in_milliseconds() {
        let header = format!("ts=1742505638683,v1={V2}");
        assert_eq!(verdict(S1, Some("123456789012"), RID, &header), Ok(()));
    }

    #[test]
    fn v3_an_id_of_letters_signed_as_it_is() {
        let header = "ts=1742505638683,v1=fb15ae6472eb449173c556793205d77787d58f384d183bb5bc3b724c27bd103c";
        assert_eq!(verdict(S2, ORDER, RID, header), Ok(()));
    }

    #[test]
    fn v4_an_id_of_letters_signed_in_small_ones() {
        let header = "ts=1742505638683,v1=633f91233312dd391ec75fa0bea539cfc2d6c4918873305b84a96cc1c58db71c";
        assert_eq!(verdict(S2, ORDER, RID, header), Ok(()));
    }

    #[test]
    fn v5_without_an_id() {
        let header = "ts=1704908010,v1=4013f13f5a35dad9929c60f11d585fec70fec99437f61ab876b55291d3bf4c4e";
        assert_eq!(verdict(S1, None, RID, header), Ok(()));
        assert_eq!(verdict(S1, Some(" "), RID, header), Ok(()));
    }

    #[test]
    fn v6_without_a_request_id() {
        let header = "ts=1704908010,v1=de8f444e1a9cdf76b781852127cf2a9f60fcde506faa0216bd4bd9235734da75";
        assert_eq!(verdict(S1, Some("999999999"), None, header), Ok(()));
        assert_eq!(
            verdict(S1, Some("999999999"), RID, header),
            Err(Refused::Mismatch)
        );
    }

    #[test]
    fn v7_with_neither() {
        let header = "ts=1704908010,v1=33204b61f089a32265f38627ca7080ad9a099189ff30bdd897fb2a9ebafb960a";
        assert_eq!(verdict(S1, None, None, header), Ok(()));
    }

    #[test]
    fn v8_in_another_order_with_blanks_and_something_else() {
        let header = format!(" v1={V1} , foo=bar, TS = 1704908010 ");
        assert_eq!(verdict(S1, Some("999999999"), RID, &header), Ok(()));
    }

    #[test]
    fn v9_in_capital_hex() {
        let header = format!("ts=1704908010,v1={}", V1.to_ascii_uppercase());
        assert_eq!(verdict(S1, Some("999999999"), RID, &header), Ok(()));
    }

    #[test]
    fn v10_of_another_id() {
        let header = "ts=1704908010,v1=81abb108af43c8ee27dbb7f5f506729fb263385224fff6fc783f29058fc04420";
        assert_eq!(
            verdict(S1, Some("999999999"), RID, header),
            Err(Refused::Mismatch)
        );
        assert_eq!(verdict(S1, Some("888888888"), RID, header), Ok(()));
    }

    #[test]
    fn v11_without_the_last_semicolon() {
        let header = "ts=1704908010,v1=a1c427eb6b187b8d50a6c8ae8b9bda52599fb38356d93e6f4822e3e75077b9db";
        assert_eq!(
            verdict(S1, Some("999999999"), RID, header),
            Err(Refused::Mismatch)
        );
    }

    #[test]
    fn v12_without_a_hash() {
        assert_eq!(
            verdict(S1, Some("999999999"), RID, "ts=1704908010"),
            Err(Refused::NoHash)
        );
    }

    #[test]
    fn v13_without_a_time() {
        let header = format!("v1={V1}");
        assert_eq!(
            verdict(S1, Some("999999999"), RID, &header),
            Err(Refused::NoTimestamp)
        );
    }

    #[test]
    fn v14_garbage() {
        assert_eq!(
            verdict(S1, Some("999999999"), RID, "this-is-garbage"),
            Err(Refused::Malformed)
        );
    }

    #[test]
    fn v15_a_time_that_is_no_number() {
        let header = format!("ts=17049x,v1={V1}");
        assert_eq!(
            verdict(S1, Some("999999999"), RID, &header),
            Err(Refused::Malformed)
        );
    }

    #[test]
    fn v16_no_header_or_a_blank_one() {
        assert_eq!(verdict(S1, Some("999999999"), RID, "  "), Err(Refused::Missing));
        let none = Signed {
            data_id: Some("999999999"),
            ..Signed::default()
        };
        assert_eq!(
            verify(&none, &[SecretString::from(S1)], MILLISECONDS, None),
            Err(Refused::Missing)
        );
    }

    #[test]
    fn the_time_is_in_either_unit_and_only_the_future_is_refused_unasked() {
        let (seconds, milliseconds) = (
            format!("ts=1704908010,v1={V1}"),
            format!("ts=1742505638683,v1={V2}"),
        );
        let one = |now_ms, age| at(S1, Some("999999999"), RID, &seconds, now_ms, age);
        let other = |now_ms, age| at(S1, Some("123456789012"), RID, &milliseconds, now_ms, age);
        assert_eq!(one((SECONDS + 120) * 1_000, Some(300)), Ok(()));
        assert_eq!(one((SECONDS + 301) * 1_000, Some(300)), Err(Refused::TooOld));
        assert_eq!(one((SECONDS + 10_000_000) * 1_000, None), Ok(()));
        // Mercado Pago's own validators take this for a time in the far future.
        assert_eq!(other(MILLISECONDS + 120_000, Some(300)), Ok(()));
        assert_eq!(other(MILLISECONDS - 601_000, None), Err(Refused::InTheFuture));
        assert_eq!(other(MILLISECONDS - 599_000, None), Ok(()));
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let signed = Signed {
            header: Some("ts=1704908010,v1=c2525e0dc4dd72173616c74312b9bf6a162c458ee8860298175b7efa5e5efc25"),
            request_id: RID,
            data_id: Some("999999999"),
        };
        assert_eq!(verify(&signed, &[], MILLISECONDS, None), Err(Refused::Mismatch));
    }
}
