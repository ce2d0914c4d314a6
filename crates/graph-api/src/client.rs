//! The HTTP client.

use std::time::{Duration, Instant};

use rastro_core::dataset::DatasetId;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::events::{Answer, EventsRequest};
use crate::outcome::{Failure, FailureClass};

/// The longest answer read. Meta's are a few hundred bytes; a proxy's error page may be anything.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The `[graph_api]` section of a service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphApiConfig {
    /// `https://graph.facebook.com`, or where a sandbox listens.
    pub url: String,
    /// The version of the `/events` edge, such as `v24.0`.
    pub version: String,
    pub connect_timeout_seconds: u64,
    /// For one request as a whole: connect, send, wait, read.
    pub request_timeout_seconds: u64,
    /// Names the sending platform to Meta: under 23 characters, at least two of them letters. Empty: none is sent.
    pub partner_agent: String,
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum GraphApiError {
    #[error("graph_api.url must start with http:// or https://")]
    Url,
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
    client: reqwest::Client,
    base: String,
    partner_agent: String,
}

impl GraphApi {
    /// Checks the configuration and builds the client. Nothing is connected yet.
    pub fn new(config: &GraphApiConfig) -> Result<Self, GraphApiError> {
        let url = config.url.trim_end_matches('/');
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(GraphApiError::Url);
        }
        let numbers = config
            .version
            .strip_prefix('v')
            .and_then(|version| version.split_once('.'));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !numbers.is_some_and(|(major, minor)| is_number(major) && is_number(minor)) {
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

    /// Sends events to a dataset in one request and says what came of it. Never fails: not getting an answer is an
    /// outcome like any other.
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
                    Ok(body) => Answer::read(status, &headers, &body, request.events.len()),
                    Err(error) => Answer::without_body(status, unanswered(&error)),
                }
            }
            Err(error) => Answer::not_sent(unanswered(&error)),
        };
        answer.taking(started.elapsed())
    }
}

async fn read_bounded(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
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

/// What is known when there was no answer: before a connection stood, nothing was sent; after that, Meta may have
/// taken the events.
fn unanswered(error: &reqwest::Error) -> Failure {
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
        message,
        wait: None,
        error: None,
    }
}

/// The value of a header, if it is text.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
