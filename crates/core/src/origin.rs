//! Where pages come from: the origins a dataset's pages have, and the domain its cookies are set for.
//!
//! Source: RFC 6454 (origins), RFC 6265 (cookie domains).

/// Whether this can stand on a list of origins: `https://loja.example.com.br`, with a port that is not the
/// scheme's own behind it if there is one; `https://*.example.com.br` for all names one label longer; or
/// `null`, which is what pages in local files and sandboxed frames say. It must be written as browsers write
/// it, or it would never match.
pub fn is_pattern(text: &str) -> bool {
    if text == "null" {
        return true;
    }
    let (host, own_port) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, "443"),
        (_, Some(rest)) => (rest, "80"),
        _ => return false,
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    };
    let is_port = |port: &str| port != own_port && !port.starts_with('0') && port.parse::<u16>().is_ok();
    let is_host = match host.strip_prefix("*.") {
        // Not a whole top-level domain.
        Some(parent) => is_domain(parent),
        None => host.split('.').all(is_label),
    };
    is_host && port.is_none_or(is_port)
}

/// Whether an `Origin` header is what a pattern means.
pub fn matches(pattern: &str, origin: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == origin;
    };
    let label = origin
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after));
    label.is_some_and(is_label)
}

/// Whether an `Origin` header names the host that a request was sent to, as its `Host` header says it.
pub fn is_same(origin: &str, host: &str) -> bool {
    let (authority, own_port) = match (origin.strip_prefix("https://"), origin.strip_prefix("http://")) {
        (Some(rest), _) => (rest, ":443"),
        (_, Some(rest)) => (rest, ":80"),
        _ => return false,
    };
    let host = host.strip_suffix(own_port).unwrap_or(host);
    !authority.is_empty() && authority.eq_ignore_ascii_case(host)
}

/// Whether this can be a cookie's domain: at least two labels, in small letters, without a dot in front.
pub fn is_domain(text: &str) -> bool {
    text.contains('.') && text.len() <= 253 && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_an_origin_as_browsers_write_it() {
        for pattern in [
            "https://loja.example.com.br",
            "https://*.example.com.br",
            "http://*.example.com.br:8088",
            "http://localhost:3000",
            "http://127.0.0.1:3000",
            "https://xn--clnica-6va.com.br",
            "null",
        ] {
            assert!(is_pattern(pattern), "{pattern}");
        }
        for other in [
            "",
            "*",
            "loja.example.com.br",
            "https://",
            "https://*",
            "https://*.br",
            "https://a.*.br",
            "https://*.*.example.com",
            "https://loja.example.com.br/",
            "https://loja.example.com.br/pagina",
            "https://Loja.example.com.br",
            "https://loja.example.com.br:443",
            "http://loja.example.com.br:80",
            "https://loja.example.com.br:08080",
            "https://loja.example.com.br:70000",
            "https://ana@loja.example.com.br",
            "ftp://loja.example.com.br",
            "NULL",
        ] {
            assert!(!is_pattern(other), "{other}");
        }
    }

    #[test]
    fn an_origin_is_matched_as_a_whole_and_a_star_is_one_label() {
        let exact = "https://loja.example.com.br";
        let any = "https://*.example.com.br";
        for (pattern, origin, expected) in [
            (exact, "https://loja.example.com.br", true),
            (exact, "http://loja.example.com.br", false),
            (exact, "https://loja.example.com.br:8443", false),
            (exact, "https://loja.example.com.br.evil.example", false),
            (any, "https://loja.example.com.br", true),
            (any, "https://www.example.com.br", true),
            (any, "https://example.com.br", false),
            (any, "https://a.b.example.com.br", false),
            (any, "https://.example.com.br", false),
            (any, "https://evil-example.com.br", false),
            (any, "https://evil.example/.example.com.br", false),
            (any, "https://loja.example.com.br:8443", false),
            (
                "http://*.example.com.br:8088",
                "http://loja.example.com.br:8088",
                true,
            ),
            (any, "null", false),
            ("null", "null", true),
        ] {
            assert_eq!(matches(pattern, origin), expected, "{pattern} {origin}");
        }
    }

    #[test]
    fn the_same_host_is_the_same_with_or_without_the_schemes_own_port() {
        assert!(is_same("https://loja.example.com.br", "loja.example.com.br"));
        assert!(is_same("https://loja.example.com.br", "loja.example.com.br:443"));
        assert!(is_same("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(!is_same("http://127.0.0.1:3000", "127.0.0.1:8080"));
        assert!(!is_same("https://loja.example.com.br", "track.example.com.br"));
        assert!(!is_same("null", "null"));
        assert!(!is_same("https://", ""));
    }
}
