//! Talking to the gateway as a good client does, and asking the stand-in for Meta what it counted.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::header::{CONTENT_TYPE, COOKIE, RETRY_AFTER, USER_AGENT};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::stream::{Request, SentEvent};

const TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request is sent again that was not answered, or answered with 429 or 503.
const MOST_ATTEMPTS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const UNKNOWN_KEY: &str = "pk_this_key_was_never_issued_to_anybody";

/// What the gateway answered, one count per event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub accepted: u64,
    pub duplicate: u64,
    /// Refused events, by the reason in the gateway's words.
    pub rejected: BTreeMap<String, u64>,
}

impl Answers {
    pub fn rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    pub fn sent(&self) -> u64 {
        self.accepted + self.duplicate + self.rejected()
    }

    pub fn add(&mut self, other: Answers) {
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        for (reason, count) in other.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
    }

    fn refused(reason: String) -> Self {
        Answers {
            rejected: [(reason, 1)].into(),
            ..Answers::default()
        }
    }
}

/// What the stand-in for Meta counted of one dataset: what deduplication by name and id keeps, and what it discards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct AtMeta {
    pub unique: u64,
    pub repeated: u64,
}

/// An HTTP client that needs no TLS: everything is on this machine.
pub fn http() -> anyhow::Result<reqwest::Client> {
    // An error means that the process has chosen its provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .no_proxy()
        .build()
        .context("the HTTP client could not be built")
}

/// The gateway, with the keys of one dataset.
#[derive(Clone)]
pub struct Gateway {
    http: reqwest::Client,
    endpoint: String,
    publishable_key: SecretString,
    secret_key: SecretString,
}

impl Gateway {
    pub fn new(
        http: reqwest::Client,
        url: &str,
        publishable_key: SecretString,
        secret_key: SecretString,
    ) -> Self {
        let endpoint = format!("{}/api/meta/conversions", url.trim_end_matches('/'));
        Gateway {
            http,
            endpoint,
            publishable_key,
            secret_key,
        }
    }

    /// Sends a request, all of its copies at once, and says what was answered.
    pub async fn send(&self, request: &Request) -> anyhow::Result<Answers> {
        match request {
            Request::Page {
                device,
                event,
                copies,
            } => {
                let page = self
                    .post(self.publishable_key.expose_secret(), event.text.clone())
                    .header("X-Forwarded-For", &device.ip)
                    .header(USER_AGENT, device.user_agent)
                    .header(COOKIE, format!("_fbp={}", device.fbp));
                let sending = (0..*copies).map(|_| deliver(&page));
                let mut answers = Answers::default();
                for (status, body) in futures_util::future::try_join_all(sending).await? {
                    answers.add(read_one(status, &body)?);
                }
                Ok(answers)
            }
            Request::Stranger(event) => {
                let (status, body) = deliver(&self.post(UNKNOWN_KEY, event.text.clone())).await?;
                read_one(status, &body)
            }
            Request::Batch(events) => {
                let items: Vec<&str> = events
                    .iter()
                    .map(|event: &SentEvent| event.text.as_str())
                    .collect();
                let body = format!("{{\"events\":[{}]}}", items.join(","));
                let (status, body) = deliver(&self.post(self.secret_key.expose_secret(), body)).await?;
                read_batch(status, &body, events.len())
            }
        }
    }

    fn post(&self, key: &str, body: String) -> RequestBuilder {
        self.http
            .post(&self.endpoint)
            .bearer_auth(key)
            .header(CONTENT_TYPE, "application/json")
            .body(body)
    }
}

/// What the stand-in for Meta has counted so far: of one dataset, or of all.
pub async fn at_meta(http: &reqwest::Client, url: &str, dataset_id: Option<&str>) -> anyhow::Result<AtMeta> {
    #[derive(Deserialize)]
    struct Counts {
        #[serde(flatten)]
        all: AtMeta,
        datasets: BTreeMap<String, AtMeta>,
    }
    let asking = http
        .get(format!("{}/sandbox/counts", url.trim_end_matches('/')))
        .send();
    let body = async { asking.await?.error_for_status()?.bytes().await }
        .await
        .context("the sandbox did not answer")?;
    let counts: Counts = serde_json::from_slice(&body).context("the sandbox's counts could not be read")?;
    Ok(match dataset_id {
        Some(dataset_id) => counts.datasets.get(dataset_id).copied().unwrap_or_default(),
        None => counts.all,
    })
}

/// Sends a request until it is answered by something else than "later". Where an answer was lost, the event may be
/// stored all the same; sending it again is then answered as a duplicate, and the account shows the difference.
async fn deliver(request: &RequestBuilder) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        let request = request.try_clone().expect("the body is in memory");
        let problem = match request.send().await {
            Ok(response) if is_later(&response) => {
                wait = told_to_wait(&response).unwrap_or(wait);
                format!("it answered {}", response.status())
            }
            Ok(response) => {
                let status = response.status();
                match response.bytes().await {
                    Ok(body) => return Ok((status, body.into())),
                    Err(error) => format!("its answer broke off: {error}"),
                }
            }
            Err(error) => format!("it did not answer: {:#}", anyhow::Error::new(error.without_url())),
        };
        ensure!(
            attempt < MOST_ATTEMPTS,
            "the gateway took no request in {MOST_ATTEMPTS} attempts; at last {problem}"
        );
        tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        attempt += 1;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn is_later(response: &Response) -> bool {
    matches!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

fn told_to_wait(response: &Response) -> Option<Duration> {
    response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

#[derive(Deserialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

/// An answer that is not a success (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

fn read_one(status: StatusCode, body: &[u8]) -> anyhow::Result<Answers> {
    match status.as_u16() {
        202 => Ok(Answers {
            accepted: 1,
            ..Answers::default()
        }),
        409 => Ok(Answers {
            duplicate: 1,
            ..Answers::default()
        }),
        400 | 401 | 413 | 415 | 422 => {
            let problem: Problem = serde_json::from_slice(body)
                .with_context(|| format!("the gateway's {status} carries no problem document"))?;
            let reason = if problem.errors.is_empty() {
                format!("{}: {}", problem.title, problem.detail)
            } else {
                reason(&problem.errors, "")
            };
            Ok(Answers::refused(reason))
        }
        _ => bail!(
            "the gateway answered {status}, which it should not: {}",
            String::from_utf8_lossy(body)
        ),
    }
}

fn read_batch(status: StatusCode, body: &[u8], events: usize) -> anyhow::Result<Answers> {
    #[derive(Deserialize)]
    struct Receipt {
        accepted: u64,
        duplicate: u64,
        rejected: u64,
        results: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        index: usize,
        status: String,
        #[serde(default)]
        errors: Vec<FieldError>,
    }
    ensure!(
        status == StatusCode::OK,
        "the gateway answered a batch with {status}: {}",
        String::from_utf8_lossy(body)
    );
    let receipt: Receipt = serde_json::from_slice(body).context("the gateway's receipt could not be read")?;
    ensure!(
        receipt.results.iter().map(|item| item.index).eq(0..events),
        "the gateway did not answer each of the {events} events of a batch once"
    );
    let mut answers = Answers::default();
    for item in &receipt.results {
        answers.add(match item.status.as_str() {
            "accepted" => Answers {
                accepted: 1,
                ..Answers::default()
            },
            "duplicate" => Answers {
                duplicate: 1,
                ..Answers::default()
            },
            "rejected" => Answers::refused(reason(&item.errors, &format!("/events/{}", item.index))),
            other => bail!("the gateway gave an event of a batch the unknown status {other:?}"),
        });
    }
    ensure!(
        (answers.accepted, answers.duplicate, answers.rejected())
            == (receipt.accepted, receipt.duplicate, receipt.rejected),
        "the gateway's receipt does not add up: its counts are not those of its results"
    );
    Ok(answers)
}

/// All that is wrong with one event, without its place in the batch, so that equal mistakes are counted together.
fn reason(errors: &[FieldError], place: &str) -> String {
    let sentences = errors.iter().map(|error| {
        let pointer = error.pointer.strip_prefix(place).unwrap_or(&error.pointer);
        format!("{pointer} {}", error.detail)
    });
    sentences.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_accepted_repeated_or_refused_with_every_reason() {
        let accepted = read_one(StatusCode::ACCEPTED, b"").unwrap();
        assert_eq!((accepted.accepted, accepted.sent()), (1, 1));
        let duplicate = read_one(StatusCode::CONFLICT, b"").unwrap();
        assert_eq!((duplicate.duplicate, duplicate.sent()), (1, 1));
        let body = br#"{"type":"urn:rastro:problem:invalid-event","title":"The event is not valid","status":422,
            "detail":"2 fields are wrong","request_id":"x","errors":[{"pointer":"/event_time","detail":"is in the future"},
            {"pointer":"/user_data","detail":"is required"}]}"#;
        let refused = read_one(StatusCode::UNPROCESSABLE_ENTITY, body).unwrap();
        assert_eq!(
            refused.rejected,
            [(
                "/event_time is in the future; /user_data is required".to_owned(),
                1
            )]
            .into()
        );
        let body =
            br#"{"type":"x","title":"No valid API key","status":401,"detail":"this API key is not known"}"#;
        let refused = read_one(StatusCode::UNAUTHORIZED, body).unwrap();
        assert_eq!(
            refused.rejected,
            [("No valid API key: this API key is not known".to_owned(), 1)].into()
        );
    }

    #[test]
    fn an_answer_that_the_gateway_never_promised_stops_the_demo() {
        assert!(read_one(StatusCode::INTERNAL_SERVER_ERROR, b"{}").is_err());
        assert!(read_one(StatusCode::OK, b"{}").is_err());
        assert!(read_batch(StatusCode::UNAUTHORIZED, b"{}", 1).is_err());
    }

    const RECEIPT: &[u8] = br#"{"request_id":"x","accepted":1,"duplicate":1,"rejected":2,"results":[
        {"index":0,"status":"accepted"},{"index":1,"status":"duplicate","first_received_at":"2026-11-23T12:00:00Z"},
        {"index":2,"status":"rejected","errors":[{"pointer":"/events/2/event_time","detail":"is in the future"}]},
        {"index":3,"status":"rejected","errors":[{"pointer":"/events/3/event_time","detail":"is in the future"}]}]}"#;

    #[test]
    fn equal_mistakes_in_a_batch_are_counted_together() {
        let answers = read_batch(StatusCode::OK, RECEIPT, 4).unwrap();
        assert_eq!((answers.accepted, answers.duplicate, answers.sent()), (1, 1, 4));
        assert_eq!(
            answers.rejected,
            [("/event_time is in the future".to_owned(), 2)].into()
        );
    }

    #[test]
    fn a_receipt_that_forgets_an_event_or_miscounts_is_not_believed() {
        assert!(read_batch(StatusCode::OK, RECEIPT, 5).is_err());
        let text = String::from_utf8(RECEIPT.to_vec()).unwrap();
        let miscounted = text.replace("\"accepted\":1", "\"accepted\":2");
        assert!(read_batch(StatusCode::OK, miscounted.as_bytes(), 4).is_err());
    }
}
