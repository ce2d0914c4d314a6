//! Mercado Pago's API, read only but for the orders of reports: what it answers, as facts. Nothing a
//! notification says is taken for one.
//!
//! Source: Mercado Pago, "Payments API", "Orders API"; time-outs and retries as in its own libraries.

pub(crate) mod orders;
pub(crate) mod payments;
pub(crate) mod reports;
mod wire;

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rand::RngExt as _;
use rastro_store::PaymentAccount;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use orders::Order;
pub use payments::SearchPage;
pub use reports::{ListedReport, ReportConfig};

/// The longest answer read. A page of a hundred payments is some hundred thousand bytes.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;
/// The longest report read: a hundred thousand rows, some hundred bytes each.
const LONGEST_REPORT: usize = 64 * 1024 * 1024;
/// The longest wait between two tries, also where the answer asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest description of a failure, in characters.
const LONGEST_CAUSE: usize = 300;

/// The `[mercado_pago]` section of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MercadoPagoConfig {
    pub url: String,
    pub allow_insecure_http: bool,
    pub connect_timeout_seconds: u64,
    /// For one request as a whole: connect, send, wait, read.
    pub request_timeout_seconds: u64,
    pub retries: u32,
    /// The wait before the first retry; it doubles, with jitter.
    pub retry_milliseconds: u64,
    /// Of each account.
    pub requests_per_second: u32,
}

impl MercadoPagoConfig {
    /// How long one request with all its retries may take.
    pub fn longest_request(&self) -> Duration {
        let waits: Duration = (0..self.retries).map(|retry| self.wait(retry)).sum();
        Duration::from_secs(self.request_timeout_seconds) * (self.retries + 1) + waits
    }

    fn wait(&self, retry: u32) -> Duration {
        let wait = self.retry_milliseconds.saturating_mul(1 << retry.min(16));
        Duration::from_millis(wait).min(LONGEST_WAIT)
    }
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such thing, or it is not this account's to see.
    #[error("Mercado Pago knows no such resource")]
    NotFound,
    /// The token is wrong or revoked: a person has to act.
    #[error("Mercado Pago refuses the access token: {0}")]
    Blocked(String),
    #[error("Mercado Pago asks for fewer requests")]
    Throttled { wait: Option<Duration> },
    /// No answer, or one that may be better later.
    #[error("Mercado Pago could not answer: {0}")]
    Unavailable(String),
    /// It says that the request is wrong, or that this resource is not the account's to read.
    #[error("Mercado Pago refused the request ({status}, code {code:?}): {message}")]
    Refused {
        status: u16,
        code: Option<i64>,
        message: String,
    },
    /// The answer lacks what every payment has, or says it in another way than is known here.
    #[error("Mercado Pago's answer cannot be read: {0}")]
    Invalid(&'static str),
}

impl ReadError {
    /// Whether the same request may be answered a moment later.
    fn is_worth_a_retry(&self) -> bool {
        matches!(self, ReadError::Throttled { .. } | ReadError::Unavailable(_))
    }
}

/// The client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MercadoPagoError {
    #[error("mercado_pago.url must be an http:// or https:// address without user, query and fragment")]
    Url,
    #[error(
        "mercado_pago.url must be https://, or the access tokens are readable on the way; if that is meant, set \
         mercado_pago.allow_insecure_http"
    )]
    Insecure,
    #[error("mercado_pago.requests_per_second must be at least 1")]
    Rate,
    #[error("the HTTP client could not be built")]
    Client(#[source] reqwest::Error),
}

/// A window over one of a payment's dates, its end included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub of: WindowOf,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

/// The dates that payments are listed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowOf {
    /// Never changes.
    Creation,
    /// Changes while payments are listed.
    LastUpdate,
}

impl WindowOf {
    /// Mercado Pago's word, which is also the one that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            WindowOf::Creation => "date_created",
            WindowOf::LastUpdate => "date_last_updated",
        }
    }
}

/// What is asked of it.
struct Question<'q> {
    method: Method,
    /// The parts of its path.
    segments: &'q [&'q str],
    query: &'q [(&'q str, &'q str)],
    body: Option<Value>,
    /// The longest answer read, in bytes.
    longest: usize,
}

/// Mercado Pago. Cheap to clone; clones share their connections and limits.
#[derive(Clone)]
pub struct MercadoPago {
    client: reqwest::Client,
    base: Url,
    config: MercadoPagoConfig,
    quota: Quota,
    /// One for each account.
    limiters: Arc<Mutex<HashMap<i64, Arc<DefaultDirectRateLimiter>>>>,
}

impl MercadoPago {
    /// Checks the configuration and builds the client. Nothing is connected yet.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn new(config: &MercadoPagoConfig) -> Result<Self, MercadoPagoError> {
        let base = base(config)?;
        let rate = NonZeroU32::new(config.requests_per_second).ok_or(MercadoPagoError::Rate)?;
        // An error means that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(config.connect_timeout_seconds))
            .timeout(Duration::from_secs(config.request_timeout_seconds))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(MercadoPagoError::Client)?;
        Ok(MercadoPago {
            client,
            base,
            config: config.clone(),
            quota: Quota::per_second(rate),
            limiters: Arc::default(),
        })
    }

    /// Reads one resource: `segments` are the parts of its path.
    async fn get<T: DeserializeOwned>(
        &self,
        account: &PaymentAccount,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, ReadError> {
        let question = Question {
            method: Method::GET,
            segments,
            query,
            body: None,
            longest: LONGEST_ANSWER,
        };
        let body = self.fetch(account, &question).await?;
        // The error quotes nothing of the body.
        serde_json::from_slice(&body).map_err(|_| ReadError::Invalid("the JSON"))
    }

    /// The body of the answer, tried again where that may help.
    async fn fetch(&self, account: &PaymentAccount, question: &Question<'_>) -> Result<Vec<u8>, ReadError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ReadError::Invalid("the address"))?
            .pop_if_empty()
            .extend(question.segments);
        if !question.query.is_empty() {
            url.query_pairs_mut().extend_pairs(question.query);
        }
        let limiter = self.limiter(account.account_id);
        let mut retry = 0;
        loop {
            limiter.until_ready().await;
            let error = match self.ask(account, url.clone(), question).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            if !error.is_worth_a_retry() || retry >= self.config.retries {
                return Err(error);
            }
            let mut wait = self
                .config
                .wait(retry)
                .mul_f64(rand::rng().random_range(0.5..1.5));
            if let ReadError::Throttled { wait: Some(asked) } = error {
                wait = wait.max(asked);
            }
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
            retry += 1;
        }
    }

    async fn ask(
        &self,
        account: &PaymentAccount,
        url: Url,
        question: &Question<'_>,
    ) -> Result<Vec<u8>, ReadError> {
        // The token goes into a header: URLs end up in the logs of everything on the way.
        let mut sending = self
            .client
            .request(question.method.clone(), url)
            .bearer_auth(account.access_token.expose_secret());
        if let Some(body) = &question.body {
            sending = sending
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let response = sending.send().await.map_err(unanswered)?;
        let status = response.status().as_u16();
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let body = read_bounded(response, question.longest).await?;
        match status {
            200..=299 => Ok(body),
            404 => Err(ReadError::NotFound),
            429 => Err(ReadError::Throttled { wait }),
            401 => Err(ReadError::Blocked(wire::Refusal::read(&body).describe(status))),
            // Locked, and a dependency that failed: Mercado Pago says to retry.
            423 | 424 | 500..=599 => Err(ReadError::Unavailable(format!("status {status}"))),
            _ => {
                let refusal = wire::Refusal::read(&body);
                Err(ReadError::Refused {
                    status,
                    code: refusal.code(),
                    message: refusal.describe(status),
                })
            }
        }
    }

    fn limiter(&self, account_id: i64) -> Arc<DefaultDirectRateLimiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = limiters
            .entry(account_id)
            .or_insert_with(|| Arc::new(RateLimiter::direct(self.quota)));
        limiter.clone()
    }
}

/// The address as given, if requests can go there.
fn base(config: &MercadoPagoConfig) -> Result<Url, MercadoPagoError> {
    let url = Url::parse(&config.url).map_err(|_| MercadoPagoError::Url)?;
    let plain = url.username().is_empty() && url.password().is_none();
    if !plain || url.query().is_some() || url.fragment().is_some() {
        return Err(MercadoPagoError::Url);
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or(MercadoPagoError::Url)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) || config.allow_insecure_http => Ok(url),
        "http" => Err(MercadoPagoError::Insecure),
        _ => Err(MercadoPagoError::Url),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

async fn read_bounded(mut response: reqwest::Response, longest: usize) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        if body.len() + chunk.len() > longest {
            return Err(ReadError::Invalid("an answer of this length"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unanswered(error: reqwest::Error) -> ReadError {
    ReadError::Unavailable(cause(&error))
}

/// Not the error's own text, which begins with the URL: only its causes.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut message = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "no answer in time",
        (_, true) => "could not connect",
        _ => "the connection broke before the answer was complete",
    }
    .to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message.chars().take(LONGEST_CAUSE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> MercadoPagoConfig {
        MercadoPagoConfig {
            url: url.to_owned(),
            allow_insecure_http: false,
            connect_timeout_seconds: 5,
            request_timeout_seconds: 5,
            retries: 3,
            retry_milliseconds: 1_000,
            requests_per_second: 5,
        }
    }

    #[test]
    fn tokens_leave_the_machine_without_tls_only_if_that_is_said() {
        let is_taken = |config: &MercadoPagoConfig| MercadoPago::new(config).is_ok();
        assert!(is_taken(&config("https://api.mercadopago.com")));
        assert!(is_taken(&config("http://127.0.0.1:8090")));
        for url in [
            "http://api.mercadopago.com",
            "ftp://h",
            "",
            "https://u:p@h",
            "https://h?a=1",
        ] {
            assert!(!is_taken(&config(url)), "{url}");
        }
        let allowed = MercadoPagoConfig {
            allow_insecure_http: true,
            ..config("http://10.0.0.1")
        };
        assert!(is_taken(&allowed));
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let config = config("https://h");
        let waits: Vec<u64> = (0..7).map(|retry| config.wait(retry).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        // Four tries of five seconds, and 1 + 2 + 4 seconds between them.
        assert_eq!(config.longest_request(), Duration::from_secs(27));
    }
}
