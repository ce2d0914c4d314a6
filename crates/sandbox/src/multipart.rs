//! Reads `multipart/form-data` (RFC 7578) from a body that is already in memory. Meta's PHP SDK and `curl -F`
//! send it; a streaming parser would bring eight more dependencies for a request of a few fields.

/// One field of the form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a [u8],
}

/// The boundary in a `multipart/form-data; boundary=...` content type.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty())
}

/// Splits the body into its parts; `None` when it is not well-formed.
pub(crate) fn parts<'a>(body: &'a [u8], boundary: &str) -> Option<Vec<Part<'a>>> {
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line break before it, unless a preamble stands there.
    let mut rest = match body.strip_prefix(&delimiter.as_bytes()[2..]) {
        Some(rest) => rest,
        None => split_at(body, delimiter.as_bytes())?.1,
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let (part, after) = split_at(rest.strip_prefix(b"\r\n")?, delimiter.as_bytes())?;
        let (head, value) = split_at(part, b"\r\n\r\n")?;
        let head = std::str::from_utf8(head).ok()?;
        let disposition = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-disposition").then_some(value)
        })?;
        parts.push(Part {
            name: parameter(disposition, "name")?,
            value,
        });
        rest = after;
    }
    Some(parts)
}

/// The value of `; name=value` or `; name="value"` in a header.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

fn split_at<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let position = bytes
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((&bytes[..position], &bytes[position + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_form_that_curl_sends() {
        // Captured from `curl -F 'data=[1]' -F access_token=TOK` (8.x).
        let body = b"--------------------------d1f\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n[1]\r\n\
            --------------------------d1f\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\nTOK\r\n\
            --------------------------d1f--\r\n";
        let content_type = "multipart/form-data; boundary=------------------------d1f";
        assert_eq!(
            parts(body, boundary(content_type).unwrap()),
            Some(vec![
                Part {
                    name: "data",
                    value: b"[1]"
                },
                Part {
                    name: "access_token",
                    value: b"TOK"
                }
            ])
        );
    }

    #[test]
    fn a_part_may_have_its_own_content_type_and_hold_line_breaks() {
        let body = b"preamble\r\n--b\r\nContent-Type: multipart/form-data\r\nContent-Disposition: form-data; name=data\r\n\r\n\
            a\r\n-b\r\n\r\nc\r\n--b--";
        assert_eq!(
            parts(body, "b"),
            Some(vec![Part {
                name: "data",
                value: b"a\r\n-b\r\n\r\nc"
            }])
        );
    }

    #[test]
    fn a_form_cut_short_is_not_a_form() {
        for body in [
            "",
            "--b",
            "--b\r\n",
            "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue",
            "--b\r\nX: y\r\n\r\nv\r\n--b--",
        ] {
            assert_eq!(parts(body.as_bytes(), "b"), None, "{body:?}");
        }
        assert_eq!(boundary("multipart/form-data"), None);
    }
}
