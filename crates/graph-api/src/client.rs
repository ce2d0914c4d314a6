//! The HTTP client.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rastro_core::dataset::DatasetId;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::events::{Answer, EventsRequest};
use crate::lenient;
use crate::outcome::{Failure, FailureClass};

/// The longest answer read. Meta's are a few hundred bytes, with notes on a thousand events perhaps some
/// hundred thousand; a proxy's error page may be anything.
pub(crate) const LONGEST_ANSWER: usize = 1024 * 1024;

/// The longest description of a broken connection, in characters.
const LONGEST_CAUSE: usize = 500;

/// The `[graph_api]` section of a service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphApiConfig {
    /// `https://graph.facebook.com`, or where a sandbox listens. Without the version.
    pub url: String,
    /// Takes a `url` of another machine without TLS. The access token is then readable on the way.
    pub allow_insecure_http: bool,
    /// The version of the `/events` edge, such as `v24.0`.
    pub version: String,
    pub connect_timeout_seconds: u64,
    /// For one request as a whole: connect, send, wait, read.
    pub request_timeout_seconds: u64,
    /// Names the sending platform to Meta: under 23 characters, at least two of them letters. Empty: none is
    /// sent.
    pub partner_agent: String,
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum GraphApiError {
    #[error("graph_api.url must be an http:// or https:// address without user, query and fragment")]
    Url,
    #[error("graph_api.url must not hold a version: that is graph_api.version")]
    VersionInUrl,
    #[error(
        "graph_api.url must be https://, or the access token is readable on the way to {0}; if that is meant, \
         set graph_api.allow_insecure_http"
    )]
    Insecure(String),
    #[error("graph_api.version must look like v24.0")]
    Version,
    #[error("graph_api.partner_agent must have fewer than 23 characters, at least two of them letters")]
    PartnerAgent,
    #[error("the HTTP client could not be built")]
    Client(#[source] reqwest::Error),
}

/// Meta's Graph API. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct GraphApi {
    pub(crate) client: reqwest::Client,
    pub(crate) base: String,
    partner_agent: String,
}

impl GraphApi {
    /// Checks the configuration and builds the client. Nothing is connected yet.
    pub fn new(config: &GraphApiConfig) -> Result<Self, GraphApiError> {
        let url = base(config)?;
        if !is_version(&config.version) || !config.version.contains('.') {
            return Err(GraphApiError::Version);
        }
        let agent = &config.partner_agent;
        let letters = agent
            .chars()
            .filter(|character| character.is_ascii_alphabetic())
            .count();
        if !agent.is_empty() && (agent.len() >= 23 || letters < 2) {
            return Err(GraphApiError::PartnerAgent);
        }
        // An error means that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(config.connect_timeout_seconds))
            .timeout(Duration::from_secs(config.request_timeout_seconds))
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()
            .map_err(GraphApiError::Client)?;
        Ok(GraphApi {
            client,
            base: format!("{url}/{}", config.version),
            partner_agent: config.partner_agent.clone(),
        })
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// The address with the version, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends events to a dataset in one request and says what came of it. Never fails: not getting an answer
    /// is an outcome like any other.
    pub async fn send_events(
        &self,
        dataset: DatasetId,
        access_token: &SecretString,
        request: &EventsRequest<'_>,
    ) -> Answer {
        let body = request.to_body(&self.partner_agent);
        let started = Instant::now();
        // The token goes into a header: URLs end up in the logs of everything on the way.
        let sending = self
            .client
            .post(format!("{}/{dataset}/events", self.base))
            .bearer_auth(access_token.expose_secret())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body)
            .send();
        let answer = match sending.await {
            Ok(mut response) => {
                let status = response.status().as_u16();
                let headers = std::mem::take(response.headers_mut());
                match read_bounded(response).await {
                    Ok(body) => Answer::read(status, &headers, &body),
                    Err(error) => Answer::without_body(status, unanswered(&error)),
                }
            }
            Err(error) => Answer::not_sent(unanswered(&error)),
        };
        answer.taking(started.elapsed())
    }
}

/// The address as given, if requests can go there.
fn base(config: &GraphApiConfig) -> Result<&str, GraphApiError> {
    let url = Url::parse(&config.url).map_err(|_| GraphApiError::Url)?;
    let plain = url.username().is_empty() && url.password().is_none();
    if !plain || url.query().is_some() || url.fragment().is_some() {
        return Err(GraphApiError::Url);
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or(GraphApiError::Url)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(host) || config.allow_insecure_http => {}
        "http" => return Err(GraphApiError::Insecure(host.to_owned())),
        _ => return Err(GraphApiError::Url),
    }
    // Meta answers "Unknown path components" to /v24.0/v24.0/..., which looks like a fault of each dataset.
    if url.path_segments().into_iter().flatten().any(is_version) {
        return Err(GraphApiError::VersionInUrl);
    }
    Ok(config.url.trim_end_matches('/'))
}

fn is_loopback(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    address.map_or(host == "localhost" || host.ends_with(".localhost"), |address| {
        address.is_loopback()
    })
}

/// `v24.0`, and `v24`, which Meta understands too.
fn is_version(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = text.strip_prefix(['v', 'V']);
    numbers.is_some_and(|numbers| {
        let (major, minor) = numbers.split_once('.').unwrap_or((numbers, "0"));
        is_number(major) && is_number(minor)
    })
}

pub(crate) async fn read_bounded(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = LONGEST_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if room <= chunk.len() {
            break;
        }
    }
    Ok(body)
}

/// What is known when there was no answer: before a connection stood, nothing was sent; after that, Meta may
/// have taken the events.
pub(crate) fn unanswered(error: &reqwest::Error) -> Failure {
    let class = if error.is_connect() {
        FailureClass::Transient
    } else {
        FailureClass::Unknown
    };
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "could not connect"
    } else {
        "the connection broke before the answer was complete"
    };
    let mut message = what.to_owned();
    // Not the error's own text, which begins with the URL: only its causes.
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    Failure {
        class,
        message: lenient::plain(&message, LONGEST_CAUSE),
        wait: None,
        error: None,
    }
}

/// The value of a header, if it is text.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> GraphApiConfig {
        GraphApiConfig {
            url: url.to_owned(),
            allow_insecure_http: false,
            version: "v24.0".to_owned(),
            connect_timeout_seconds: 5,
            request_timeout_seconds: 5,
            partner_agent: String::new(),
        }
    }

    fn refusal(config: &GraphApiConfig) -> String {
        GraphApi::new(config)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn an_address_with_a_version_in_it_stops_the_start() {
        for url in [
            "https://graph.facebook.com/v24.0",
            "https://graph.facebook.com/v24/",
            "http://localhost/x/v9.0/y",
        ] {
            assert!(refusal(&config(url)).contains("graph_api.version"), "{url}");
        }
        for url in [
            "https://graph.facebook.com",
            "https://graph.facebook.com/",
            "https://proxy.example/graph",
            "https://h/vault",
        ] {
            assert_eq!(refusal(&config(url)), "", "{url}");
        }
    }

    #[test]
    fn an_access_token_leaves_the_machine_without_tls_only_if_that_is_said() {
        for url in [
            "http://127.0.0.1:8090",
            "http://localhost:8090",
            "http://meta.localhost",
            "http://[::1]:8090",
        ] {
            assert_eq!(refusal(&config(url)), "", "{url}");
        }
        for url in [
            "http://graph.facebook.com",
            "http://10.0.0.1",
            "http://localhost.example",
            "http://[2001:db8::1]",
        ] {
            assert!(refusal(&config(url)).contains("allow_insecure_http"), "{url}");
            let allowed = GraphApiConfig {
                allow_insecure_http: true,
                ..config(url)
            };
            assert_eq!(refusal(&allowed), "", "{url}");
        }
    }

    #[test]
    fn what_is_no_address_or_no_version_is_refused() {
        for url in [
            "",
            "graph.facebook.com",
            "ftp://h",
            "https://",
            "https://u:p@h",
            "https://h?a=1",
            "https://h/#a",
        ] {
            assert!(
                refusal(&config(url)).starts_with("graph_api.url must be"),
                "{url}"
            );
        }
        for version in ["24.0", "v24", "v24.", "v.0", "vx.y", ""] {
            let config = GraphApiConfig {
                version: version.to_owned(),
                ..config("https://h")
            };
            assert!(refusal(&config).starts_with("graph_api.version"), "{version}");
        }
    }
}
