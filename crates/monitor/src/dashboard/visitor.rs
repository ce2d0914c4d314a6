//! Who is looking: a session begun with an API key, or the user whom a trusted proxy names.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};
use ipnet::IpNet;
use rand::Rng as _;
use rastro_core::dataset::DatasetId;
use rastro_store::{Store, StoreError};
use sha2::{Digest, Sha256};

use crate::dashboard::config::DashboardConfig;

/// `__Host-`: only over HTTPS (or on this machine), for this host alone, for all of its paths.
pub const SESSION_COOKIE: &str = "__Host-rastro";
/// Of visitors who come through a proxy and have no session: what their forms are recognised by.
pub const FORM_COOKIE: &str = "__Host-rastro-form";
/// While the database is away, whoever was known so recently may go on reading.
const REMEMBERED_FOR: Duration = Duration::from_secs(15 * 60);
/// Failed sign-ins of one address, and in how long.
const MOST_FAILURES: usize = 5;
const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// Addresses and sessions that are remembered at most.
const MOST_REMEMBERED: usize = 10_000;

/// What a visitor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees everything, and orders.
    Operator,
}

/// Somebody who signed in.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub role: Role,
    /// A viewer's one dataset; `None`: all.
    pub dataset: Option<i64>,
    /// As it goes into every log row.
    pub name: String,
    pub form_token: String,
    pub by_proxy: bool,
    /// Told from memory, because the database is away: may read, not order.
    pub from_memory: bool,
    /// Set on the answer.
    pub new_form_cookie: Option<String>,
}

/// 32 random bytes as hex.
pub fn random_hex() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex(&bytes)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a session is stored under. The cookie itself is stored nowhere.
pub fn session_hash(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie).into()
}

/// What a form must carry: only who has the cookie can make it.
fn form_token(cookie: &str) -> String {
    hex(&Sha256::digest(format!("rastro form\n{cookie}")))
}

/// Takes as long for any wrong token of that length.
pub fn same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .fold(0, |wrong, (a, b)| wrong | (a ^ b))
            == 0
}

/// Whether the browser speaks to its own machine. There a page without HTTPS is as good, and browsers do not
/// keep `__Host-` cookies of it. Never where the public address is HTTPS: a proxy may say in `Host` where it
/// passes a request on to.
fn is_local(config: &DashboardConfig, request: &HttpRequest) -> bool {
    if config.public_url.starts_with("https://") {
        return false;
    }
    let host = request
        .headers()
        .get("host")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The value of one of our cookies.
pub fn cookie_of(config: &DashboardConfig, request: &HttpRequest, name: &str) -> Option<String> {
    let name = if is_local(config, request) {
        name.trim_start_matches("__Host-")
    } else {
        name
    };
    Some(request.cookie(name)?.value().to_owned())
}

/// A cookie that only our pages get, and no script. `Lax`: a link in Slack must not sign anybody out. An
/// empty one ends it.
pub fn cookie(
    config: &DashboardConfig,
    request: &HttpRequest,
    name: &'static str,
    value: String,
) -> Cookie<'static> {
    let local = is_local(config, request);
    let name = if local {
        name.trim_start_matches("__Host-")
    } else {
        name
    };
    let ends = value.is_empty();
    let mut cookie = Cookie::build(name, value)
        .path("/")
        .secure(!local)
        .http_only(true)
        .same_site(SameSite::Lax)
        .finish();
    if ends {
        cookie.set_max_age(actix_web::cookie::time::Duration::ZERO);
    }
    cookie
}

/// Who was known lately, and who failed to sign in.
#[derive(Default)]
pub struct Door {
    known: Mutex<HashMap<[u8; 32], (Visitor, Instant)>>,
    failures: Mutex<HashMap<IpAddr, Vec<Instant>>>,
}

impl Door {
    /// Who sent this request; `None`: nobody we know.
    pub async fn visitor(
        &self,
        store: &Store,
        config: &DashboardConfig,
        request: &HttpRequest,
    ) -> Result<Option<Visitor>, StoreError> {
        if let Some(visitor) = by_proxy(config, request) {
            return Ok(Some(visitor));
        }
        let Some(cookie) = cookie_of(config, request, SESSION_COOKIE) else {
            return Ok(None);
        };
        let hash = session_hash(&cookie);
        match store.session(&hash).await {
            Ok(None) => {
                self.forget(&hash);
                Ok(None)
            }
            Ok(Some(session)) => {
                let (role, dataset) = match session.role {
                    rastro_store::Role::Operator => (Role::Operator, None),
                    rastro_store::Role::Viewer(dataset) => (Role::Viewer, dataset.map(DatasetId::as_i64)),
                };
                let visitor = Visitor {
                    role,
                    dataset,
                    name: session.name,
                    form_token: form_token(&cookie),
                    by_proxy: false,
                    from_memory: false,
                    new_form_cookie: None,
                };
                self.remember(hash, &visitor);
                Ok(Some(visitor))
            }
            Err(error) => self
                .remembered(&hash)
                .map_or(Err(error), |visitor| Ok(Some(visitor))),
        }
    }

    fn remember(&self, hash: [u8; 32], visitor: &Visitor) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.retain(|_, (_, at)| at.elapsed() < REMEMBERED_FOR);
        }
        if known.len() < MOST_REMEMBERED {
            known.insert(hash, (visitor.clone(), Instant::now()));
        }
    }

    fn remembered(&self, hash: &[u8; 32]) -> Option<Visitor> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (visitor, at) = known.get(hash)?;
        (at.elapsed() < REMEMBERED_FOR).then(|| Visitor {
            from_memory: true,
            ..visitor.clone()
        })
    }

    pub fn forget(&self, hash: &[u8; 32]) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(hash);
    }

    /// Whether this address may try another key.
    pub fn may_try(&self, address: IpAddr) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = failures.get(&address).map_or(0, |times| {
            times.iter().filter(|at| at.elapsed() < FAILURE_WINDOW).count()
        });
        recent < MOST_FAILURES
    }

    pub fn failed(&self, address: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST_REMEMBERED {
            failures.retain(|_, times| times.iter().any(|at| at.elapsed() < FAILURE_WINDOW));
        }
        let times = failures.entry(address).or_default();
        times.retain(|at| at.elapsed() < FAILURE_WINDOW);
        times.push(Instant::now());
    }
}

fn trusted(networks: &[IpNet], address: IpAddr) -> bool {
    networks
        .iter()
        .any(|network| network.contains(&address.to_canonical()))
}

/// Whom a trusted proxy names. From anybody else the header says nothing.
fn by_proxy(config: &DashboardConfig, request: &HttpRequest) -> Option<Visitor> {
    if config.proxy_header.is_empty() {
        return None;
    }
    let peer = request.peer_addr()?.ip();
    if !trusted(&config.trusted_proxies, peer) {
        return None;
    }
    let mut named = request.headers().get_all(config.proxy_header.as_str());
    let (first, second) = (named.next()?, named.next());
    // Two of them: one is not the proxy's.
    if second.is_some() {
        return None;
    }
    let user = first.to_str().ok()?.trim().to_lowercase();
    if user.is_empty() || user.len() > 200 || user.contains(',') {
        return None;
    }
    let is_of = |list: &[String]| {
        list.iter().any(|entry| {
            let entry = entry.to_lowercase();
            match entry.strip_prefix('*') {
                Some(domain) => {
                    domain.starts_with('@') && user.ends_with(domain) && user.len() > domain.len()
                }
                None => entry == user,
            }
        })
    };
    let role = match () {
        () if is_of(&config.operators) => Role::Operator,
        () if is_of(&config.viewers) => Role::Viewer,
        () => return None,
    };
    let known = cookie_of(config, request, FORM_COOKIE);
    let secret = known
        .clone()
        .filter(|cookie| cookie.len() == 64)
        .unwrap_or_else(random_hex);
    Some(Visitor {
        role,
        dataset: None,
        name: user,
        form_token: form_token(&secret),
        by_proxy: true,
        from_memory: false,
        new_form_cookie: (known.as_ref() != Some(&secret)).then_some(secret),
    })
}

/// The address that tries a key: the last of `X-Forwarded-For` that is none of our own proxies, which only
/// those may set.
pub fn address(config: &DashboardConfig, request: &HttpRequest) -> IpAddr {
    let nobody = IpAddr::from([0, 0, 0, 0]);
    let peer = request.peer_addr().map_or(nobody, |peer| peer.ip());
    if !trusted(&config.trusted_proxies, peer) {
        return peer;
    }
    let forwarded = request.headers().get_all("x-forwarded-for");
    let addresses: Vec<IpAddr> = forwarded
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|address| address.trim().parse().ok())
        .collect();
    addresses
        .into_iter()
        .rev()
        .find(|address| !trusted(&config.trusted_proxies, *address))
        .unwrap_or(peer)
}

/// Whether a form comes from one of our own pages: as the browser says (`Sec-Fetch-Site`), or, if it says
/// nothing, by `Origin`.
pub fn is_from_our_page(config: &DashboardConfig, request: &HttpRequest) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = header("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = header("origin") else {
        return false;
    };
    if !config.public_url.is_empty() && origin == config.public_url.trim_end_matches('/') {
        return true;
    }
    let Some(host) = header("host") else { return false };
    origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"))
        == Some(host)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn config(variables: &[(&str, &str)]) -> DashboardConfig {
        rastro_boot::testing::config::<crate::config::Config>(variables)
            .unwrap()
            .dashboard
    }

    fn proxied(config: &DashboardConfig, peer: &str, user: &str) -> Option<Visitor> {
        let request = TestRequest::default()
            .peer_addr(peer.parse().unwrap())
            .insert_header(("x-auth-request-email", user))
            .to_http_request();
        by_proxy(config, &request)
    }

    #[test]
    fn a_header_from_an_untrusted_peer_is_nobody() {
        let config = config(&[
            ("RASTRO__DASHBOARD__PROXY_HEADER", "X-Auth-Request-Email"),
            ("RASTRO__DASHBOARD__TRUSTED_PROXIES", "10.0.0.0/8"),
            ("RASTRO__DASHBOARD__OPERATORS", "ana@empresa.com.br"),
            ("RASTRO__DASHBOARD__VIEWERS", "*@empresa.com.br"),
        ]);
        assert_eq!(
            proxied(&config, "10.1.2.3:999", "Ana@empresa.com.br")
                .unwrap()
                .role,
            Role::Operator
        );
        assert_eq!(
            proxied(&config, "10.1.2.3:999", "beto@empresa.com.br")
                .unwrap()
                .role,
            Role::Viewer
        );
        for (peer, user) in [
            ("192.0.2.1:999", "ana@empresa.com.br"),
            ("10.1.2.3:999", "eve@outra.com.br"),
            ("10.1.2.3:999", "@empresa.com.br"),
            ("10.1.2.3:999", "eve@naoempresa.com.br"),
            ("10.1.2.3:999", "ana@empresa.com.br, eve@outra.com.br"),
        ] {
            assert!(proxied(&config, peer, user).is_none(), "{peer} {user}");
        }
    }

    #[test]
    fn a_form_from_another_site_is_not_from_our_page() {
        let config = config(&[("RASTRO__DASHBOARD__PUBLIC_URL", "https://painel.exemplo.com.br")]);
        let from = |headers: &[(&str, &str)]| {
            let mut request = TestRequest::post();
            for (name, value) in headers {
                request = request.insert_header((*name, *value));
            }
            is_from_our_page(&config, &request.to_http_request())
        };
        assert!(from(&[("sec-fetch-site", "same-origin")]));
        assert!(from(&[
            ("origin", "https://painel.exemplo.com.br"),
            ("host", "10.0.0.7:9180")
        ]));
        assert!(from(&[
            ("origin", "http://127.0.0.1:9180"),
            ("host", "127.0.0.1:9180")
        ]));
        for headers in [
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://painel.exemplo.com.br"),
            ][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[
                ("origin", "https://mal.example"),
                ("host", "painel.exemplo.com.br"),
            ],
            &[("origin", "null"), ("host", "painel.exemplo.com.br")],
            &[],
        ] {
            assert!(!from(headers), "{headers:?}");
        }
    }

    #[test]
    fn after_five_wrong_keys_an_address_has_to_wait_and_others_do_not() {
        let (door, address) = (Door::default(), IpAddr::from([203, 0, 113, 9]));
        for _ in 0..5 {
            assert!(door.may_try(address));
            door.failed(address);
        }
        assert!(!door.may_try(address));
        assert!(door.may_try(IpAddr::from([203, 0, 113, 10])));
    }

    #[test]
    fn a_token_is_made_from_its_cookie_alone_and_compared_whole() {
        assert_ne!(form_token("a"), form_token("b"));
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "ab"));
    }
}
