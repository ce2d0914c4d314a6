//! What a request tells of the visitor behind it: address, browser, Meta's cookies.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::USER_AGENT;
use ipnet::IpNet;
use rastro_store::ApiKeyKind;

/// Owned, because a request's cookies and headers are decoded.
#[derive(Debug, Default)]
pub(crate) struct RequestVisitor {
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    fbp: Option<String>,
    fbc: Option<String>,
}

impl RequestVisitor {
    /// Reads the request. A server's address and user agent are its own, not the visitor's: with a secret key only
    /// the cookies count, which a server has from the visitor.
    pub(crate) fn of(request: &HttpRequest, kind: ApiKeyKind, trusted_proxies: &[IpNet]) -> Self {
        let (ip, user_agent) = match kind {
            ApiKeyKind::Publishable => (
                client_ip(request, trusted_proxies),
                request
                    .headers()
                    .get(USER_AGENT)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned),
            ),
            ApiKeyKind::Secret => (None, None),
        };
        let cookie = |name| {
            // Most requests carry no cookies; asking for one would parse and allocate.
            request
                .headers()
                .contains_key("cookie")
                .then(|| request.cookie(name))?
                .map(|cookie| cookie.value().to_owned())
        };
        RequestVisitor {
            ip,
            user_agent,
            fbp: cookie("_fbp"),
            fbc: cookie("_fbc"),
        }
    }

    pub(crate) fn as_visitor(&self) -> rastro_core::user_data::Visitor<'_> {
        rastro_core::user_data::Visitor {
            ip: self.ip,
            user_agent: self.user_agent.as_deref(),
            fbp: self.fbp.as_deref(),
            fbc: self.fbc.as_deref(),
        }
    }
}

/// The right-most address that is not one of our own proxies: everything left of it is the client's own claim.
fn client_ip(request: &HttpRequest, trusted_proxies: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |ip: IpAddr| trusted_proxies.iter().any(|net| net.contains(&ip.to_canonical()));
    let peer = request.peer_addr()?.ip().to_canonical();
    if !is_trusted(peer) {
        return Some(peer);
    }
    let forwarded = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
    let mut client = peer;
    for hop in hops.into_iter().rev() {
        let Some(ip) = address(hop.trim()) else { break };
        client = ip;
        if !is_trusted(ip) {
            break;
        }
    }
    Some(client)
}

/// An address as proxies write it: alone, or with a port, or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    bare.or_else(|| {
        text.parse::<std::net::SocketAddr>()
            .ok()
            .map(|address| address.ip())
    })
    .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
    .map(|ip| ip.to_canonical())
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
}
