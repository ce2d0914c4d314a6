//! The Google Ads API, read only: an account's facts, and its days of campaigns by `searchStream`.
//!
//! Source: Google, "Google Ads API, REST interface" (authorisation, `googleAds:searchStream`, JSON mappings)
//! and "Using OAuth 2.0 to Access Google APIs".

mod batches;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::NaiveDate;
use form_urlencoded::Serializer;
use rastro_core::dataset::{Currency, DatasetId};
use rastro_store::Store;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use crate::google_spend::GoogleSpend;
use crate::mercado_pago::cause;
use batches::{Batches, Cut};
use wire::{Batch, Status, Token, TokenRefusal};

/// The longest answer that is no stream: a token, or a failure.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// An access token is not used for so long before it ends.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// The `[google_ads]` section of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleAdsConfig {
    customer_id: String,
    login_customer_id: String,
    dataset_id: String,
    developer_token: SecretString,
    client_id: String,
    client_secret: SecretString,
    refresh_token: SecretString,
    pub interval_seconds: u64,
    pub first_days: u64,
    url: String,
    token_url: String,
    allow_insecure_http: bool,
    version: String,
    connect_timeout_seconds: u64,
    request_timeout_seconds: u64,
    retry_milliseconds: u64,
}

impl GoogleAdsConfig {
    /// Who reads the configured account, if there is one.
    ///
    /// # Errors
    /// When what is configured makes no sense.
    pub fn reader(&self, store: &Store) -> anyhow::Result<Option<GoogleSpend>> {
        let Some(dataset) = self.read()? else {
            return Ok(None);
        };
        Ok(Some(GoogleSpend {
            store: store.clone(),
            google_ads: GoogleAds::new(self)?,
            dataset,
            retry: Duration::from_millis(self.retry_milliseconds),
        }))
    }

    /// The dataset whose spend it is, if an account is configured and in order.
    ///
    /// # Errors
    /// When it is not.
    pub fn read(&self) -> anyhow::Result<Option<DatasetId>> {
        ensure!(
            self.interval_seconds >= 600 && self.retry_milliseconds > 0,
            "google_ads.interval_seconds must be at least 600, and google_ads.retry_milliseconds 1"
        );
        ensure!(
            (1..=1_095).contains(&self.first_days),
            "google_ads.first_days must be 1 to 1095"
        );
        let number = self.version.strip_prefix('v').unwrap_or_default();
        ensure!(is_digits(number), "google_ads.version must be like \"v26\"");
        address(&self.url, self.allow_insecure_http).context("google_ads.url")?;
        address(&self.token_url, self.allow_insecure_http).context("google_ads.token_url")?;
        if self.customer_id.is_empty() {
            return Ok(None);
        }
        ensure!(
            is_digits(&dashless(&self.customer_id)),
            "google_ads.customer_id must be digits, such as 123-456-7890"
        );
        ensure!(
            self.login_customer_id.is_empty() || is_digits(&dashless(&self.login_customer_id)),
            "google_ads.login_customer_id must be digits: the manager account's number"
        );
        let required = [
            ("client_secret", &self.client_secret),
            ("refresh_token", &self.refresh_token),
        ];
        for (name, secret) in required {
            ensure!(
                !secret.expose_secret().trim().is_empty(),
                "google_ads.{name} is required with google_ads.customer_id"
            );
        }
        ensure!(
            !self.client_id.trim().is_empty(),
            "google_ads.client_id is required with google_ads.customer_id"
        );
        Ok(Some(self.dataset_id.parse().context("google_ads.dataset_id")?))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn dashless(text: &str) -> String {
    text.trim().replace('-', "")
}

fn address(text: &str, allow_insecure_http: bool) -> anyhow::Result<Url> {
    let url = Url::parse(text).context("must be an https:// address")?;
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host
        .parse::<IpAddr>()
        .map_or(host == "localhost", |address| address.is_loopback());
    ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && (is_loopback || allow_insecure_http)),
        "must be https://, or the tokens are readable on the way; if that is meant, set google_ads.allow_insecure_http"
    );
    ensure!(
        url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none(),
        "must be an address without user, query and fragment"
    );
    Ok(url)
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoogleAdsError {
    /// The refresh token is revoked, or the client is none: a person has to act.
    #[error("Google gives no access token: {0}")]
    NoToken(String),
    /// The access token is over; with a new one it may pass.
    #[error("Google refuses the access token ({0})")]
    Expired(String),
    #[error("Google asks for fewer requests ({told})")]
    Throttled { wait: Option<Duration>, told: String },
    /// No answer, or one that may be better later.
    #[error("Google could not answer: {0}")]
    Unavailable(String),
    /// It says that the request is wrong, as of a version that is over, or that the account is another's.
    #[error("Google refused the request ({0})")]
    Refused(String),
    #[error("Google's answer cannot be read: {0}")]
    Invalid(&'static str),
}

/// What an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    pub currency: Currency,
    /// IANA. Days of spend are days there.
    pub time_zone: String,
}

/// What a campaign spent on a day of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignDay {
    pub day: NaiveDate,
    pub campaign_id: String,
    pub campaign_name: String,
    pub currency: Currency,
    /// Millionths of the currency.
    pub cost_micros: i64,
    pub impressions: i64,
    pub clicks: i64,
}

/// One account at Google. Cheap to clone; clones share their connections and the access token.
#[derive(Clone)]
pub struct GoogleAds {
    client: reqwest::Client,
    search: Url,
    token_url: Url,
    customer_id: String,
    headers: HeaderMap,
    client_id: String,
    client_secret: SecretString,
    refresh_token: SecretString,
    token: Arc<Mutex<Option<(SecretString, Instant)>>>,
}

impl GoogleAds {
    /// Builds the client. Nothing is connected yet.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn new(config: &GoogleAdsConfig) -> anyhow::Result<Self> {
        let customer_id = dashless(&config.customer_id);
        let mut search = address(&config.url, config.allow_insecure_http)?;
        search
            .path_segments_mut()
            .map_err(|()| anyhow::anyhow!("google_ads.url has no path"))?
            .pop_if_empty()
            .extend([
                config.version.as_str(),
                "customers",
                customer_id.as_str(),
                "googleAds:searchStream",
            ]);
        let mut headers = HeaderMap::new();
        // Google ended developer tokens on 9 September 2026; an empty one is refused, none is not.
        let developer = config.developer_token.expose_secret().trim();
        if !developer.is_empty() {
            let mut developer = HeaderValue::from_str(developer).map_err(|_| {
                anyhow::anyhow!("google_ads.developer_token has characters that no header takes")
            })?;
            developer.set_sensitive(true);
            headers.insert("developer-token", developer);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let manager = dashless(&config.login_customer_id);
        if !manager.is_empty() {
            headers.insert("login-customer-id", HeaderValue::from_str(&manager)?);
        }
        // An error means that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(config.connect_timeout_seconds))
            .timeout(Duration::from_secs(config.request_timeout_seconds))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("the HTTP client could not be built")?;
        Ok(GoogleAds {
            client,
            search,
            token_url: address(&config.token_url, config.allow_insecure_http)?,
            customer_id,
            headers,
            client_id: config.client_id.trim().to_owned(),
            client_secret: config.client_secret.expose_secret().trim().into(),
            refresh_token: config.refresh_token.expose_secret().trim().into(),
            token: Arc::default(),
        })
    }

    /// Digits, as it is stored.
    pub fn customer_id(&self) -> &str {
        &self.customer_id
    }

    /// What the account is.
    ///
    /// # Errors
    /// See [`GoogleAdsError`].
    pub async fn account(&self) -> Result<AccountFacts, GoogleAdsError> {
        let query = "SELECT customer.id, customer.currency_code, customer.time_zone FROM customer LIMIT 1";
        let mut found = None;
        self.stream(query, |batch| {
            found = batch.results.into_iter().next().or(found.take());
            Ok(())
        })
        .await?;
        let customer = found.ok_or(GoogleAdsError::Invalid("no account"))?.customer;
        if customer.id != self.customer_id {
            return Err(GoogleAdsError::Invalid("another account than was asked for"));
        }
        Ok(AccountFacts {
            currency: Currency::parse(&customer.currency_code)
                .ok_or(GoogleAdsError::Invalid("the currency"))?,
            time_zone: customer.time_zone,
        })
    }

    /// What each campaign spent on each day of a span, both ends included. A day without a row has no spend.
    /// All of it, or a failure: also where the stream fails after its first batches.
    ///
    /// # Errors
    /// See [`GoogleAdsError`].
    pub async fn campaign_days(
        &self,
        since: NaiveDate,
        until: NaiveDate,
    ) -> Result<Vec<CampaignDay>, GoogleAdsError> {
        // No condition on the status: a campaign that is removed has spent all the same.
        let query = format!(
            "SELECT segments.date, customer.id, customer.currency_code, customer.time_zone, campaign.id, campaign.name, \
             metrics.cost_micros, metrics.impressions, metrics.clicks FROM campaign \
             WHERE segments.date BETWEEN '{since}' AND '{until}' ORDER BY segments.date"
        );
        let mut days = Vec::new();
        self.stream(&query, |batch| {
            days.extend(batch.days()?);
            Ok(())
        })
        .await?;
        Ok(days)
    }

    /// Asks, and hands on batch after batch.
    async fn stream(
        &self,
        query: &str,
        mut take: impl FnMut(Batch) -> Result<(), GoogleAdsError>,
    ) -> Result<(), GoogleAdsError> {
        let token = self.access_token().await?;
        let sending = self
            .client
            .post(self.search.clone())
            .headers(self.headers.clone())
            .bearer_auth(token.expose_secret())
            .body(json!({ "query": query }).to_string())
            .send();
        let mut response = sending.await.map_err(unanswered)?;
        let status = response.status().as_u16();
        if status != 200 {
            let failure = Status::read(&read_bounded(response).await?).failure(status);
            return Err(self.noted(failure).await);
        }
        let mut batches = Batches::default();
        while let Some(bytes) = response.chunk().await.map_err(unanswered)? {
            let complete = batches.feed(&bytes).map_err(|cut| {
                GoogleAdsError::Invalid(match cut {
                    Cut::TooLong => "a batch of this length",
                    Cut::NotABatch => "no array of batches",
                })
            })?;
            for batch in complete {
                // The error quotes nothing of the body.
                let batch: Batch =
                    serde_json::from_slice(&batch).map_err(|_| GoogleAdsError::Invalid("a batch's JSON"))?;
                if let Some(error) = &batch.error {
                    return Err(self.noted(error.failure(status)).await);
                }
                take(batch)?;
            }
        }
        if batches.is_whole() {
            Ok(())
        } else {
            Err(GoogleAdsError::Unavailable("the answer broke off".to_owned()))
        }
    }

    /// An access token that was refused is not used again.
    async fn noted(&self, failure: GoogleAdsError) -> GoogleAdsError {
        if matches!(failure, GoogleAdsError::Expired(_)) {
            *self.token.lock().await = None;
        }
        failure
    }

    async fn access_token(&self) -> Result<SecretString, GoogleAdsError> {
        let mut kept = self.token.lock().await;
        if let Some((token, until)) = &*kept
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let asked = Instant::now();
        let body = Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose_secret())
            .append_pair("refresh_token", self.refresh_token.expose_secret())
            .finish();
        let sending = self
            .client
            .post(self.token_url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body)
            .send();
        let response = sending.await.map_err(unanswered)?;
        let status = response.status().as_u16();
        let body = read_bounded(response).await?;
        match status {
            200 => {
                let token: Token =
                    serde_json::from_slice(&body).map_err(|_| GoogleAdsError::Invalid("the access token"))?;
                let lasts = Duration::from_secs(token.expires_in).saturating_sub(TOKEN_MARGIN);
                let token: SecretString = token.access_token.into();
                *kept = Some((token.clone(), asked + lasts));
                Ok(token)
            }
            429 => Err(GoogleAdsError::Throttled {
                wait: None,
                told: "for the access token".to_owned(),
            }),
            500.. => Err(GoogleAdsError::Unavailable(format!(
                "status {status} for the access token"
            ))),
            _ => {
                let word = serde_json::from_slice::<TokenRefusal>(&body).map(|refusal| refusal.error);
                let word = word.unwrap_or_else(|_| format!("status {status}"));
                Err(GoogleAdsError::NoToken(word.chars().take(100).collect()))
            }
        }
    }
}

async fn read_bounded(mut response: Response) -> Result<Vec<u8>, GoogleAdsError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(GoogleAdsError::Invalid("an answer of this length"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unanswered(error: reqwest::Error) -> GoogleAdsError {
    GoogleAdsError::Unavailable(cause(&error))
}
