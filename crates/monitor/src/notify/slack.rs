//! Slack: an incoming webhook, or a bot. With a bot the message that opened an alert is edited when it is
//! resolved, and its thread gets one line, so that the channel shows states and not a log.
//!
//! Limits and errors: https://api.slack.com/reference/block-kit/blocks,
//! https://api.slack.com/messaging/webhooks#handling_errors,
//! https://api.slack.com/methods/chat.postMessage#errors.

use std::time::Duration;

use anyhow::ensure;
use rastro_core::alert::Severity;
use rastro_service::config::{ExposeSecret, SecretString};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::bundle::{Bundle, BundleKind, LISTED};
use super::{SendError, hash};
use crate::config::NotifyConfig;
use crate::words::{self, Language};

/// In characters. Slack refuses a message of which one part is longer.
const LONGEST_SECTION: usize = 3_000;
const LONGEST_URL: usize = 3_000;
const LONGEST_TEXT: usize = 4_000;
/// One message.
const TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 4_096;
/// Slack takes a message a second for a channel. Source: https://api.slack.com/apis/rate-limits.
const PACE: Duration = Duration::from_secs(1);

/// Where messages go.
enum Way {
    Webhook(SecretString),
    Bot {
        token: SecretString,
        channel: String,
        api_url: String,
    },
}

/// A Slack channel.
pub struct Slack {
    client: reqwest::Client,
    way: Way,
    pub(super) language: Language,
    pub(super) config_hash: [u8; 32],
    /// When the last message went. Held while one is on its way: they go one by one.
    last: Mutex<Option<Instant>>,
}

impl Slack {
    /// `None`: it is not configured.
    ///
    /// # Errors
    /// When it is configured by halves, or its secret would be readable on the way.
    pub fn new(config: &NotifyConfig) -> anyhow::Result<Option<Self>> {
        let slack = &config.slack;
        let (webhook, token) = (slack.webhook_url.expose_secret(), slack.bot_token.expose_secret());
        let way = match (webhook, token) {
            ("", "") => return Ok(None),
            (webhook, "") => {
                ensure!(
                    is_safe(webhook),
                    "notify.slack.webhook_url must be an https:// address"
                );
                Way::Webhook(slack.webhook_url.clone())
            }
            ("", _) => {
                ensure!(
                    !slack.channel.is_empty(),
                    "notify.slack.channel is missing: a bot has to know where it speaks"
                );
                ensure!(
                    is_safe(&slack.api_url),
                    "notify.slack.api_url must be an https:// address"
                );
                Way::Bot {
                    token: slack.bot_token.clone(),
                    channel: slack.channel.clone(),
                    api_url: slack.api_url.trim_end_matches('/').to_owned(),
                }
            }
            _ => anyhow::bail!("set one of notify.slack.webhook_url and notify.slack.bot_token, not both"),
        };
        // An error means that the process has chosen its provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Some(Slack {
            client,
            way,
            language: config.slack_language,
            config_hash: hash(&[webhook, token, &slack.channel, &slack.api_url]),
            last: Mutex::default(),
        }))
    }

    /// Says it, no sooner than Slack takes it.
    pub(super) async fn send(&self, bundle: &Bundle) -> Result<Option<String>, SendError> {
        let mut last = self.last.lock().await;
        if let Some(last) = *last {
            tokio::time::sleep_until(last + PACE).await;
        }
        let result = self.send_now(bundle).await;
        *last = Some(Instant::now());
        result
    }

    async fn send_now(&self, bundle: &Bundle) -> Result<Option<String>, SendError> {
        let message = message(bundle, self.language);
        match &self.way {
            Way::Webhook(url) => self.post_webhook(url, &message).await.map(|()| None),
            Way::Bot {
                token,
                channel,
                api_url,
            } => {
                let call = Call {
                    slack: self,
                    token,
                    channel,
                    api_url,
                };
                call.send(bundle, message).await.map(Some)
            }
        }
    }

    async fn post_webhook(&self, url: &SecretString, message: &Value) -> Result<(), SendError> {
        let sending = self.client.post(url.expose_secret()).json(message).send();
        let response = sending.await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let wait = retry_after(&response);
        let body = words::name(&text(response).await);
        match status {
            StatusCode::OK => Ok(()),
            StatusCode::TOO_MANY_REQUESTS => Err(SendError::Later {
                message: "Slack: too many messages (429)".into(),
                wait,
            }),
            // The message is at fault, not the channel.
            StatusCode::BAD_REQUEST if body.starts_with("invalid_") || body == "no_text" => {
                Err(SendError::Refused(format!("Slack: {body} (400)")))
            }
            status if status.is_client_error() => {
                Err(SendError::Off(format!("Slack: {body} ({})", status.as_u16())))
            }
            status => Err(SendError::Later {
                message: format!("Slack: {body} ({})", status.as_u16()),
                wait,
            }),
        }
    }
}

/// A bot's calls.
struct Call<'s> {
    slack: &'s Slack,
    token: &'s SecretString,
    channel: &'s str,
    api_url: &'s str,
}

impl Call<'_> {
    async fn send(&self, bundle: &Bundle, message: Value) -> Result<String, SendError> {
        let opened = bundle
            .opened_as
            .as_deref()
            .filter(|_| bundle.kind == BundleKind::Resolved);
        let Some(opened) = opened else {
            return self.post(message, None).await;
        };
        let line = json!({ "text": message["text"] });
        if !bundle.still_open {
            match self.update(opened, message.clone()).await {
                // It cannot be edited any more (deleted, too old): a new one says the same.
                Err(SendError::Refused(_)) => return self.post(message, None).await,
                Err(error) => return Err(error),
                Ok(()) => {}
            }
        }
        // A line in the thread that gets lost costs nothing: the message above it says the state.
        match self.post(line, Some(opened)).await {
            Err(error @ SendError::Off(_)) => Err(error),
            _ => Ok(opened.to_owned()),
        }
    }

    async fn post(&self, mut message: Value, thread: Option<&str>) -> Result<String, SendError> {
        message["channel"] = self.channel.into();
        if let Some(thread) = thread {
            message["thread_ts"] = thread.into();
        }
        let answer = self.call("chat.postMessage", &message).await?;
        Ok(answer["ts"].as_str().unwrap_or_default().to_owned())
    }

    async fn update(&self, ts: &str, mut message: Value) -> Result<(), SendError> {
        message["channel"] = self.channel.into();
        message["ts"] = ts.into();
        self.call("chat.update", &message).await.map(drop)
    }

    async fn call(&self, method: &str, body: &Value) -> Result<Value, SendError> {
        let sending = self
            .slack
            .client
            .post(format!("{}/{method}", self.api_url))
            .bearer_auth(self.token.expose_secret())
            .json(body)
            .send();
        let response = sending.await.map_err(|error| unreachable(&error))?;
        let (status, wait) = (response.status(), retry_after(&response));
        let later = |message: String| SendError::Later { message, wait };
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(later("Slack: too many messages (429)".into()));
        }
        let text = text(response).await;
        if !status.is_success() {
            return Err(later(format!("Slack: status {}", status.as_u16())));
        }
        let answer: Value =
            serde_json::from_str(&text).map_err(|_| later("Slack: the answer is no JSON".into()))?;
        if answer["ok"] == true {
            return Ok(answer);
        }
        let error = words::name(answer["error"].as_str().unwrap_or("no error"));
        Err(match error.as_str() {
            "ratelimited"
            | "rate_limited"
            | "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
            | "team_added_to_org" => later(format!("Slack: {error}")),
            "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired"
            | "missing_scope" | "no_permission" | "org_login_required" | "ekm_access_denied"
            | "channel_not_found" | "not_in_channel" | "is_archived" | "restricted_action" => {
                SendError::Off(format!("Slack: {error}"))
            }
            _ => SendError::Refused(format!("Slack: {error}")),
        })
    }
}

/// TLS, except to this machine.
fn is_safe(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| {
        let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        url.scheme() == "https" || (url.scheme() == "http" && is_here)
    })
}

/// Without the address: a webhook's is a secret.
fn unreachable(error: &reqwest::Error) -> SendError {
    let message = match error.is_timeout() {
        true => "Slack did not answer in time",
        false => "Slack could not be reached",
    };
    SendError::Later {
        message: message.into(),
        wait: None,
    }
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    value.parse().ok().map(Duration::from_secs)
}

async fn text(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = LONGEST_ANSWER.saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// Only these three mean something in Slack's text; without them nobody's name can mention a whole channel.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Escaped, and cut so that it fits: an escape counts as long as it is.
fn fit(text: &str, longest: usize) -> String {
    let whole = escape(text);
    if whole.chars().count() <= longest {
        return whole;
    }
    let mut fitted = String::new();
    let mut length = 0;
    for char in text.chars() {
        let escaped = escape(&char.to_string());
        length += escaped.chars().count();
        if length >= longest {
            break;
        }
        fitted.push_str(&escaped);
    }
    fitted.push('…');
    fitted
}

/// Orange, amber, blue: told apart by those who confuse red and green, and the word stands beside it.
fn colour(bundle: &Bundle) -> &'static str {
    match (bundle.kind, bundle.severity) {
        (BundleKind::Resolved | BundleKind::Test | BundleKind::Daily, _) => "#1f6fb2",
        (_, Severity::Critical) => "#c84e00",
        (_, Severity::Warning) => "#c98a00",
        (_, Severity::Info) => "#7a7a7a",
    }
}

/// The message: `text` is what a phone shows; the colour bar needs the older attachment around the blocks.
pub(crate) fn message(bundle: &Bundle, language: Language) -> Value {
    let mut blocks = Vec::new();
    let is_resolved = bundle.kind == BundleKind::Resolved;
    for item in bundle.items.iter().take(LISTED) {
        let front = match item.summary(language) {
            Some(summary) if is_resolved => language.pick(
                format!("Resolvido em {summary}. "),
                format!("Resolved after {summary}. "),
            ),
            _ => String::new(),
        };
        let title = escape(words::title(item.rule, language));
        let unstable = match item.is_unstable && !is_resolved {
            true => format!("\n{}", Bundle::unstable_note(language)),
            false => String::new(),
        };
        let sentence = fit(&item.whole_sentence(), LONGEST_SECTION - 400);
        blocks.push(section(&format!("*{title}*\n{front}{sentence}{unstable}")));
    }
    if let Some(rest) = bundle.rest(language) {
        blocks.push(section(&rest));
    }
    if let Some(note) = &bundle.note {
        blocks.push(section(&fit(note, LONGEST_SECTION)));
    }
    if let (Some(first), false) = (bundle.items.first(), is_resolved) {
        let advice = escape(words::advice(first.rule).in_language(language));
        let (since, what) = (
            language.pick("Desde", "Since"),
            language.pick("O que fazer", "What to do"),
        );
        let date = format!(
            "<!date^{}^{{time}}^{}>",
            first.since.timestamp(),
            escape(&bundle.local_since)
        );
        blocks.push(json!({ "type": "section", "fields": [
            { "type": "mrkdwn", "text": format!("*{since}*\n{date}") },
            { "type": "mrkdwn", "text": fit_escaped(&format!("*{what}*\n{advice}"), 2_000) },
        ]}));
    }
    let buttons: Vec<Value> = [
        (
            language.pick("Ver no painel", "Open dashboard"),
            bundle.alert_url(),
        ),
        (language.pick("O que fazer", "What to do"), bundle.runbook_url()),
    ]
    .into_iter()
    .filter_map(|(label, url)| {
        let url = url.filter(|url| url.len() <= LONGEST_URL)?;
        Some(json!({ "type": "button", "text": { "type": "plain_text", "text": label }, "url": url }))
    })
    .collect();
    if !buttons.is_empty() {
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    let text = fit(&bundle.first_line(language), LONGEST_TEXT);
    if blocks.is_empty() {
        return json!({ "text": text });
    }
    json!({ "text": text, "attachments": [{ "color": colour(bundle), "blocks": blocks }] })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": fit_escaped(text, LONGEST_SECTION) } })
}

/// Cuts a text that is escaped already; our own texts are far shorter.
fn fit_escaped(text: &str, longest: usize) -> String {
    match text.chars().count() > longest {
        true => text.chars().take(longest - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
