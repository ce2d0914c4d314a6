//! What a request tells of the visitor behind it: address, browser, Meta's cookies. A visitor cannot mend a
//! header, so whatever is wrong with one costs that header and nothing else.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Once;

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, HeaderName, HeaderValue, USER_AGENT};
use ipnet::IpNet;
use rastro_core::click_id;
use rastro_core::user_data::{Visitor, address_and_port, is_public};
use rastro_store::ApiKeyKind;
use tracing::warn;

/// Owned, because a request's cookies and headers are decoded.
#[derive(Debug, Default)]
pub(crate) struct RequestVisitor {
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    fbp: Option<String>,
    fbc: Option<String>,
    is_browser: bool,
}

impl RequestVisitor {
    /// Reads the request. A server's address and user agent are its own, not the visitor's: with a secret key
    /// only the cookies count, which a server has from the visitor.
    pub(crate) fn of(request: &HttpRequest, kind: ApiKeyKind, trusted_proxies: &[IpNet]) -> Self {
        let is_browser = kind == ApiKeyKind::Publishable;
        let of_request = is_browser.then(|| client_ip(request, trusted_proxies)).flatten();
        RequestVisitor {
            ip: better(address_cookie(request), of_request),
            user_agent: is_browser
                .then(|| request.headers().get(USER_AGENT).map(text))
                .flatten(),
            fbp: cookie(request, "_fbp"),
            fbc: cookie(request, "_fbc"),
            is_browser,
        }
    }

    pub(crate) fn as_visitor(&self) -> Visitor<'_> {
        Visitor {
            ip: self.ip,
            user_agent: self.user_agent.as_deref(),
            fbp: self.fbp.as_deref(),
            fbc: self.fbc.as_deref(),
            is_browser: self.is_browser,
        }
    }
}

/// The address that Meta's parameter builder found in the browser, in its cookie `_fbi`, which has its suffix
/// behind it, once for each domain on which it tried to set it.
fn address_cookie(request: &HttpRequest) -> Option<IpAddr> {
    raw_cookies(request, "_fbi").into_iter().find_map(|value| {
        let pair = format!("ip={value}");
        let (_, decoded) = form_urlencoded::parse(pair.as_bytes()).next()?;
        let mut address: &str = decoded.trim();
        while let Some((rest, suffix)) = address.rsplit_once('.')
            && click_id::is_builder_suffix(suffix)
        {
            address = rest;
        }
        address.parse().ok().filter(|ip| is_public(*ip))
    })
}

/// IPv6 before IPv4, and what the browser found before what the request came from: Meta's own order
/// ("Conversions API parameter builder"). An address that somebody made up is on that visitor's events only.
fn better(of_cookie: Option<IpAddr>, of_request: Option<IpAddr>) -> Option<IpAddr> {
    let is_v6 = |ip: &IpAddr| ip.is_ipv6() && is_public(*ip);
    of_cookie
        .filter(is_v6)
        .or(of_request.filter(is_v6))
        .or(of_cookie)
        .or(of_request)
}

/// A header's text. Phones are sold with a dash or an accent in their user agent, in UTF-8 or in Latin-1.
fn text(value: &HeaderValue) -> String {
    match str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn texts(request: &HttpRequest, name: HeaderName) -> impl Iterator<Item = String> {
    request.headers().get_all(name).map(text)
}

/// The first valid one of Meta's cookies of this name: one may come twice, from `www.loja` and from `.loja`,
/// and what other cookies hold is no concern of ours.
fn cookie(request: &HttpRequest, name: &str) -> Option<String> {
    let values = raw_cookies(request, name).into_iter();
    values
        .filter_map(|value| click_id::of_cookie(&value).map(Cow::into_owned))
        .next()
}

/// All values of the cookies of this name, as they were sent.
fn raw_cookies(request: &HttpRequest, name: &str) -> Vec<String> {
    let of_header = |cookies: String| -> Vec<String> {
        let values = cookies.split(';').filter_map(|cookie| {
            let (of, value) = cookie.split_once('=')?;
            (of.trim() == name).then(|| value.to_owned())
        });
        values.collect()
    };
    texts(request, COOKIE).flat_map(of_header).collect()
}

/// The right-most address that is not one of our own proxies: everything left of it is the client's own
/// claim.
fn client_ip(request: &HttpRequest, trusted_proxies: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |ip: IpAddr| trusted_proxies.iter().any(|net| net.contains(&ip.to_canonical()));
    let peer = request.peer_addr()?.ip().to_canonical();
    let forwarded: Vec<String> = texts(request, HeaderName::from_static("x-forwarded-for")).collect();
    let mut client = peer;
    if is_trusted(peer) {
        for hop in forwarded.iter().flat_map(|value| value.split(',')).rev() {
            let Some(ip) = address_and_port(hop.trim()) else {
                break;
            };
            client = ip.to_canonical();
            if !is_trusted(client) {
                break;
            }
        }
    }
    if !forwarded.is_empty() && !is_public(client) {
        warn_of_unnamed_proxy(client);
    }
    Some(client)
}

/// The setting that is got wrong most, and nobody notices: said once, as it is true of every request.
fn warn_of_unnamed_proxy(proxy: IpAddr) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        warn!(
            "visitors come by {proxy}, a private address that is not among gateway.trusted_proxies: their \
             events go without an address"
        );
    });
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn ip_of(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for value in forwarded {
            request = request.append_header(("X-Forwarded-For", *value));
        }
        client_ip(&request.to_http_request(), &trusted)
            .unwrap()
            .to_string()
    }

    #[test]
    fn the_visitor_is_the_last_hop_that_is_not_ours() {
        assert_eq!(ip_of("203.0.113.9:1", &[]), "203.0.113.9");
        assert_eq!(ip_of("127.0.0.1:1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(ip_of("127.0.0.1:1", &["203.0.113.9, 10.1.2.3"]), "203.0.113.9");
        assert_eq!(
            ip_of("127.0.0.1:1", &["2001:db8::7:5, 10.1.2.3"]),
            "2001:db8::7:5"
        );
        assert_eq!(ip_of("127.0.0.1:1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(ip_of("[::ffff:127.0.0.1]:1", &["203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn what_a_client_claims_about_itself_is_not_believed() {
        assert_eq!(ip_of("198.51.100.1:1", &["203.0.113.9"]), "198.51.100.1");
        assert_eq!(ip_of("127.0.0.1:1", &["1.2.3.4, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(ip_of("127.0.0.1:1", &["1.2.3.4", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(ip_of("127.0.0.1:1", &["1.2.3.4, garbage"]), "127.0.0.1");
    }

    /// What a browser's request with these headers, as bytes, tells.
    fn browser(headers: &[(&'static str, &[u8])]) -> RequestVisitor {
        let mut request = TestRequest::default().peer_addr("203.0.113.9:1".parse().unwrap());
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value).unwrap();
            request = request.append_header((*name, value));
        }
        RequestVisitor::of(&request.to_http_request(), ApiKeyKind::Publishable, &[])
    }

    #[test]
    fn a_user_agent_is_read_whatever_letters_are_in_it() {
        let agent = |value: &[u8]| browser(&[("user-agent", value)]).user_agent.unwrap();
        assert_eq!(agent("Dalvik (Lua 7–Edição)".as_bytes()), "Dalvik (Lua 7–Edição)");
        assert_eq!(agent(b"Dalvik (Edi\xe7\xe3o)"), "Dalvik (Edição)");
        assert!(browser(&[]).user_agent.is_none());
    }

    #[test]
    fn the_first_valid_cookie_counts_and_others_are_no_concern_of_ours() {
        const FBP: &str = "fb.1.1758300000123.1293847561";
        for cookies in [
            &["_fbp=fb.1.1758300000123.1293847561"][..],
            &["_fbp=; sessao=9; _fbp=fb.1.1758300000123.1293847561"],
            &["_fbp=undefined;_fbp=fb.1.1758300000123.1293847561;_fbp=fb.1.1758300000123.2"],
            &["nome=Jo%E3o; flag; =x; ;; _fbp=fb.1.1758300000123.1293847561"],
            &["nome=João; _fbp = fb.1.1758300000123.1293847561 "],
            &["_fbp=\"fb.1.1758300000123.1293847561\"; a=b"],
            &["a=b", "_fbp=x", "_fbp=fb.1.1758300000123.1293847561"],
        ] {
            let headers: Vec<_> = cookies.iter().map(|value| ("cookie", value.as_bytes())).collect();
            assert_eq!(browser(&headers).fbp.as_deref(), Some(FBP), "{cookies:?}");
        }
        let latin_1 = browser(&[("cookie", b"nome=Jo\xe3o; _fbp=fb.1.1758300000123.1293847561")]);
        assert_eq!(latin_1.fbp.as_deref(), Some(FBP));
        assert_eq!(
            browser(&[("cookie", b"x_fbp=fb.1.1758300000123.1; _FBP=fb.1.1758300000123.1")]).fbp,
            None
        );
    }

    #[test]
    fn a_header_of_hops_that_is_no_text_is_no_hop() {
        assert_eq!(ip_of("127.0.0.1:1", &["203.0.113.9, ção"]), "127.0.0.1");
    }

    #[test]
    fn a_server_is_not_taken_for_the_visitor() {
        let request = TestRequest::default()
            .peer_addr("203.0.113.9:1".parse().unwrap())
            .insert_header(("User-Agent", "curl/8"))
            .insert_header(("Cookie", "_fbp=fb.1.1596403881668.1116446470"))
            .to_http_request();
        let server = RequestVisitor::of(&request, ApiKeyKind::Secret, &[]);
        assert!(server.ip.is_none() && server.user_agent.is_none());
        assert_eq!(server.fbp.as_deref(), Some("fb.1.1596403881668.1116446470"));
        let browser = RequestVisitor::of(&request, ApiKeyKind::Publishable, &[]);
        assert_eq!(browser.ip, Some("203.0.113.9".parse().unwrap()));
        assert_eq!(browser.user_agent.as_deref(), Some("curl/8"));
    }

    #[test]
    fn the_address_is_the_best_that_browser_and_request_know() {
        let ip = |peer: &str, cookie: &str| {
            let request = TestRequest::default()
                .peer_addr(peer.parse().unwrap())
                .insert_header(("Cookie", format!("_fbi={cookie}")))
                .to_http_request();
            let of = |kind| {
                RequestVisitor::of(&request, kind, &[])
                    .ip
                    .map(|ip| ip.to_string())
            };
            (of(ApiKeyKind::Publishable).unwrap(), of(ApiKeyKind::Secret))
        };
        let (v4, v6) = ("203.0.113.9:1", "[2001:db8::9]:1");
        for cookie in [
            "2001:db8::1",
            "2001:db8::1.AQYCAQMB",
            "2001:db8::1.AQYCAQMB.AQYCAQMB.AQYCAQMB",
            "2001%3Adb8%3A%3A1.AQYCAQMB",
        ] {
            assert_eq!(
                ip(v4, cookie),
                ("2001:db8::1".into(), Some("2001:db8::1".into())),
                "{cookie}"
            );
        }
        assert_eq!(ip(v6, "198.51.100.7.AQYCAQMB").0, "2001:db8::9");
        assert_eq!(ip(v4, "198.51.100.7.AQYCAQMB").0, "198.51.100.7");
        for nothing in ["", "undefined", "192.168.0.7", "fe80::1", "2001:db8::1.x"] {
            assert_eq!(ip(v4, nothing), ("203.0.113.9".into(), None), "{nothing}");
        }
    }
}
