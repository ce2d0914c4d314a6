//! The body of a request: JSON in UTF-8, plain or compressed by gzip as the SDKs of event trackers send it,
//! within the limits of size and time.

use std::io::Read;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use actix_web::web::Payload;
use flate2::read::MultiGzDecoder;

use crate::memory::Memory;
pub(crate) use crate::memory::RequestBody;
use crate::problem::Problem;

/// Reads the body. `most` is how many bytes it may have, compressed and not. `takes_text`: it may be
/// announced as text, too, which is how a page sends JSON without being asked for its headers first.
pub(crate) async fn read(
    memory: &Memory,
    request: &HttpRequest,
    payload: Payload,
    most: usize,
    takes_text: bool,
) -> Result<RequestBody, Problem> {
    if !is_json_in_utf8(request.headers(), takes_text) {
        return Err(Problem::unsupported_media_type());
    }
    read_any(memory, request, payload, most).await
}

/// The same of a body that may be announced as anything.
pub(crate) async fn read_any(
    memory: &Memory,
    request: &HttpRequest,
    payload: Payload,
    most: usize,
) -> Result<RequestBody, Problem> {
    let encoding = header(request.headers(), CONTENT_ENCODING).to_ascii_lowercase();
    let is_compressed = match &*encoding {
        "" | "identity" => false,
        "gzip" | "x-gzip" => true,
        _ => return Err(Problem::unsupported_media_type()),
    };
    let body = memory.read(request, payload, most).await?;
    if !is_compressed {
        return Ok(body);
    }
    // Each of the server's threads decompresses one body at a time, so what is not counted yet is bounded
    // too.
    let text = decompressed(&body, most)?;
    drop(body);
    memory.hold(text).map_err(|_| Problem::unavailable())
}

/// One byte more than may come is read, and no more is ever in memory: gzip makes a thousand bytes of one.
fn decompressed(body: &[u8], most: usize) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(limit).read_to_end(&mut text);
    if text.len() > most {
        Err(too_large(most))
    } else if read.is_err() {
        Err(Problem::malformed(
            "the body is not compressed by gzip, as Content-Encoding says",
        ))
    } else {
        Ok(text)
    }
}

fn too_large(most: usize) -> Problem {
    Problem::too_large(format!(
        "the body may have at most {most} bytes, compressed and not"
    ))
}

/// Whether a body is announced as JSON. Proxies write the header twice into one; a charset is one that JSON
/// has.
fn is_json_in_utf8(headers: &HeaderMap, takes_text: bool) -> bool {
    let is_json = |media_type: &str| {
        let mut parts = media_type.split(';').map(str::trim);
        let charset = |parameter: &str| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("charset")
                .then(|| value.trim().trim_matches('"').to_owned())
        };
        parts.next().is_some_and(|kind| {
            kind.eq_ignore_ascii_case("application/json")
                || takes_text && kind.eq_ignore_ascii_case("text/plain")
        }) && parts.filter_map(charset).all(|charset| {
            ["utf-8", "utf8", "us-ascii"]
                .iter()
                .any(|known| charset.eq_ignore_ascii_case(known))
        })
    };
    header(headers, CONTENT_TYPE).split(',').all(is_json)
}

fn header(headers: &HeaderMap, name: HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use actix_web::http::header::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn status(body: Result<Vec<u8>, Problem>) -> u16 {
        body.unwrap_err()
            .into_response(uuid::Uuid::nil())
            .status()
            .as_u16()
    }

    #[test]
    fn a_compressed_body_is_bounded_by_what_it_becomes() {
        assert_eq!(decompressed(&gzip(b"{}"), 2).unwrap(), b"{}");
        let two = [gzip(b"[1,"), gzip(b"2]")].concat();
        assert_eq!(decompressed(&two, 100).unwrap(), b"[1,2]");
        let bomb = gzip(&vec![b' '; 100_000_000]);
        assert!(bomb.len() < 200_000);
        assert_eq!(status(decompressed(&bomb, 1_000_000)), 413);
        assert_eq!(status(decompressed(&gzip(b"{} "), 2)), 413);
    }

    #[test]
    fn what_is_not_compressed_or_breaks_off_is_malformed() {
        let whole = gzip(b"{\"events\":[]}");
        for broken in [&b"{}"[..], b"", &whole[..whole.len() - 4], &whole[..12]] {
            assert_eq!(
                status(decompressed(broken, 1_000)),
                400,
                "{}",
                broken.escape_ascii()
            );
        }
    }

    #[test]
    fn json_is_announced_in_many_ways_and_only_in_utf_8() {
        let is_json = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            is_json_in_utf8(&headers, false)
        };
        for value in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; charset=us-ascii; v=1",
            "application/json, application/json",
        ] {
            assert!(is_json(value), "{value}");
        }
        for value in [
            "",
            "text/plain",
            "application/json; charset=ISO-8859-1",
            "application/json, text/plain",
            "application/jsonp",
        ] {
            assert!(!is_json(value), "{value}");
        }
        assert!(!is_json_in_utf8(&HeaderMap::new(), false));
    }
}
