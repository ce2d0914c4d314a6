//! Reads `multipart/form-data` (RFC 7578) from a body that is already in memory, as Meta's PHP SDK and `curl
//! -F` send it.

/// One field of the form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a [u8],
}

/// The parts of a body. `content_type` names the boundary. `None`: it is not well-formed.
pub(crate) fn parts<'a>(body: &'a [u8], content_type: &str) -> Option<Vec<Part<'a>>> {
    let boundary = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty())?;
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    // The first delimiter has no line break before it, unless a preamble stands there.
    let mut rest = match body.strip_prefix(&delimiter[2..]) {
        Some(rest) => rest,
        None => cut(body, &delimiter)?.1,
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let (part, after) = cut(rest.strip_prefix(b"\r\n")?, &delimiter)?;
        let (head, value) = cut(part, b"\r\n\r\n")?;
        let disposition = str::from_utf8(head).ok()?.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-disposition").then_some(value)
        })?;
        let name = parameter(disposition, "name")?;
        parts.push(Part { name, value });
        rest = after;
    }
    Some(parts)
}

/// The value of `; name=value` or `; name="value"` in a header.
fn parameter<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let is_it = key.trim().eq_ignore_ascii_case(name);
        is_it.then(|| value.trim().trim_matches('"'))
    })
}

fn cut<'b>(bytes: &'b [u8], separator: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let mut windows = bytes.windows(separator.len());
    let at = windows.position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=b";

    fn read(body: &str) -> Option<Vec<(&str, &str)>> {
        let parts = parts(body.as_bytes(), TYPE)?.into_iter();
        Some(
            parts
                .map(|part| (part.name, str::from_utf8(part.value).unwrap()))
                .collect(),
        )
    }

    #[test]
    fn a_form_is_read_as_curl_and_guzzle_send_it() {
        let curl = "--b\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n[1]\r\n\
            --b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\nTOK\r\n--b--\r\n";
        assert_eq!(read(curl), Some(vec![("data", "[1]"), ("access_token", "TOK")]));
        let guzzle = "preamble\r\n--b\r\nContent-Type: multipart/form-data\r\nContent-Disposition: form-data; \
            name=data\r\nContent-Length: 8\r\n\r\na\r\n-b\r\n\r\nc\r\n--b--";
        assert_eq!(read(guzzle), Some(vec![("data", "a\r\n-b\r\n\r\nc")]));
    }

    #[test]
    fn a_form_that_is_cut_short_is_none() {
        for body in [
            "",
            "--b",
            "--b\r\n",
            "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue",
            "--b\r\nX: y\r\n\r\nv\r\n--b--",
        ] {
            assert_eq!(read(body), None, "{body:?}");
        }
        assert_eq!(parts(b"--b--", "multipart/form-data"), None);
    }
}
