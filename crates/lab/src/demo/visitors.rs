//! The demo's clients: they take requests from one stream, and note what the gateway answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rastro_test_support::http::{self, Answer};
use serde_json::Value;

use crate::demo::stream;
use crate::load::{Client, Patience, Request, Verdict};

const UNKNOWN_KEY: &str = "pk_this_key_was_never_issued_to_anybody";
/// Where an answer was lost, the event may be stored all the same; sending it again is then answered as a
/// duplicate, and the account shows the difference.
pub const PATIENCE: Patience = Patience {
    answer_within: Duration::from_secs(30),
    attempts: 8,
    wait: Duration::from_millis(200),
    longest_wait: Duration::from_secs(10),
};

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

    fn refuse(&mut self, reason: String) {
        *self.rejected.entry(reason).or_default() += 1;
    }
}

/// The keys of the demo's dataset.
#[derive(Clone, Debug)]
pub struct Keys {
    pub publishable: String,
    pub secret: String,
}

/// What all visitors share.
pub struct Site {
    keys: Keys,
    requests: Mutex<VecDeque<stream::Request>>,
    answers: Mutex<Answers>,
}

impl Site {
    pub fn new(keys: &Keys, requests: &[stream::Request]) -> Arc<Self> {
        Arc::new(Site {
            keys: keys.clone(),
            requests: Mutex::new(requests.to_vec().into()),
            answers: Mutex::default(),
        })
    }

    /// So many people who are on the site at the same time.
    pub fn visitors(self: &Arc<Self>, count: usize) -> Vec<Visitor> {
        let visitor = |_| Visitor {
            site: self.clone(),
            events: None,
        };
        (0..count).map(visitor).collect()
    }

    pub fn answers(&self) -> Answers {
        lock(&self.answers).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct Visitor {
    site: Arc<Site>,
    /// How many events the request under way holds, if it is a batch.
    events: Option<usize>,
}

impl Client for Visitor {
    fn next(&mut self, request: &mut Request) -> bool {
        let Some(next) = lock(&self.site.requests).pop_front() else {
            return false;
        };
        self.events = None;
        request.copies = 1;
        let post = |key: &str, more: &[(&str, &str)], body: &str| {
            let bearer = format!("Bearer {key}");
            let headers = [
                ("Authorization", bearer.as_str()),
                ("Content-Type", "application/json"),
            ];
            http::request("POST", "/api/meta/conversions", &[&headers, more].concat(), body)
        };
        request.bytes = match &next {
            stream::Request::Page {
                device,
                event,
                copies,
            } => {
                request.copies = *copies;
                let cookie = format!("_fbp={}", device.fbp);
                let device = [
                    ("X-Forwarded-For", device.ip.as_str()),
                    ("User-Agent", device.user_agent),
                    ("Cookie", cookie.as_str()),
                ];
                post(&self.site.keys.publishable, &device, &event.text)
            }
            stream::Request::Stranger(event) => post(UNKNOWN_KEY, &[], &event.text),
            stream::Request::Batch(events) => {
                self.events = Some(events.len());
                let items: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
                let body = format!("{{\"events\":[{}]}}", items.join(","));
                post(&self.site.keys.secret, &[], &body)
            }
        };
        true
    }

    fn told(&mut self, answer: &Answer<'_>) -> anyhow::Result<Verdict> {
        let mut answers = lock(&self.site.answers);
        match self.events {
            None => read_one(answer, &mut answers)?,
            Some(events) => read_batch(answer, events, &mut answers)?,
        }
        Ok(Verdict::Told)
    }
}

fn read_one(answer: &Answer<'_>, answers: &mut Answers) -> anyhow::Result<()> {
    match answer.status {
        202 => answers.accepted += 1,
        409 => answers.duplicate += 1,
        400 | 401 | 413 | 415 | 422 => {
            let problem: Value = serde_json::from_slice(answer.body)
                .with_context(|| format!("the gateway's {} carries no problem document", answer.status))?;
            let text = |name: &str| problem[name].as_str().unwrap_or_default();
            answers.refuse(match reason(&problem["errors"], "") {
                reason if reason.is_empty() => format!("{}: {}", text("title"), text("detail")),
                reason => reason,
            });
        }
        status => {
            let body = String::from_utf8_lossy(answer.body);
            bail!("the gateway answered {status}, which it should not: {body}");
        }
    }
    Ok(())
}

fn read_batch(answer: &Answer<'_>, events: usize, answers: &mut Answers) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(answer.body);
    ensure!(
        answer.status == 200,
        "the gateway answered a batch with {}: {text}",
        answer.status
    );
    let receipt: Value = serde_json::from_str(&text).context("the gateway's receipt cannot be read")?;
    let results = receipt["results"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    ensure!(
        results
            .iter()
            .map(|result| result["index"].as_u64())
            .eq((0..events as u64).map(Some)),
        "the gateway did not answer each of the {events} events of a batch once"
    );
    for kind in ["accepted", "duplicate", "rejected"] {
        let counted = results.iter().filter(|result| result["status"] == kind).count();
        ensure!(
            receipt[kind] == counted,
            "the gateway's receipt does not add up: its counts are not those of its results"
        );
    }
    for result in results {
        match result["status"].as_str() {
            Some("accepted") => answers.accepted += 1,
            Some("duplicate") => answers.duplicate += 1,
            Some("rejected") => {
                answers.refuse(reason(&result["errors"], &format!("/events/{}", result["index"])));
            }
            other => bail!("the gateway gave an event of a batch the unknown status {other:?}"),
        }
    }
    Ok(())
}

/// All that is wrong with one event, without its place in the batch, so that equal mistakes are counted
/// together.
fn reason(errors: &Value, place: &str) -> String {
    let sentence = |error: &Value| {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let pointer = text("pointer");
        format!(
            "{} {}",
            pointer.strip_prefix(place).unwrap_or(&pointer),
            text("detail")
        )
    };
    let sentences = errors.as_array().into_iter().flatten().map(sentence);
    sentences.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(status: u16, body: &[u8]) -> anyhow::Result<Answers> {
        let mut answers = Answers::default();
        let answer = Answer {
            status,
            retry_after: None,
            body,
        };
        read_one(&answer, &mut answers).map(|()| answers)
    }

    fn batch(status: u16, body: &[u8], events: usize) -> anyhow::Result<Answers> {
        let mut answers = Answers::default();
        let answer = Answer {
            status,
            retry_after: None,
            body,
        };
        read_batch(&answer, events, &mut answers).map(|()| answers)
    }

    #[test]
    fn an_event_is_accepted_repeated_or_refused_with_every_reason() {
        assert_eq!(one(202, b"").unwrap().accepted, 1);
        assert_eq!(one(409, b"").unwrap().duplicate, 1);
        let body = br#"{"type":"urn:rastro:problem:invalid-event","title":"The event is not valid","status":422,
            "detail":"2 fields are wrong","request_id":"x","errors":[{"pointer":"/event_time","detail":"is in the future"},
            {"pointer":"/user_data","detail":"is required"}]}"#;
        let reasons = |answers: Answers| answers.rejected.into_keys().collect::<Vec<_>>();
        assert_eq!(
            reasons(one(422, body).unwrap()),
            ["/event_time is in the future; /user_data is required"]
        );
        let body =
            br#"{"type":"x","title":"No valid API key","status":401,"detail":"this API key is not known"}"#;
        assert_eq!(
            reasons(one(401, body).unwrap()),
            ["No valid API key: this API key is not known"]
        );
    }

    #[test]
    fn an_answer_that_the_gateway_never_promised_stops_the_demo() {
        assert!(one(500, b"{}").is_err());
        assert!(one(200, b"{}").is_err());
        assert!(batch(401, b"{}", 1).is_err());
    }

    const RECEIPT: &str = r#"{"request_id":"x","accepted":1,"duplicate":1,"rejected":2,"results":[
        {"index":0,"status":"accepted"},{"index":1,"status":"duplicate","first_received_at":"2026-11-23T12:00:00Z"},
        {"index":2,"status":"rejected","errors":[{"pointer":"/events/2/event_time","detail":"is in the future"}]},
        {"index":3,"status":"rejected","errors":[{"pointer":"/events/3/event_time","detail":"is in the future"}]}]}"#;

    #[test]
    fn equal_mistakes_in_a_batch_are_counted_together() {
        let answers = batch(200, RECEIPT.as_bytes(), 4).unwrap();
        assert_eq!((answers.accepted, answers.duplicate, answers.sent()), (1, 1, 4));
        let reasons = [("/event_time is in the future".to_owned(), 2)];
        assert_eq!(answers.rejected, reasons.into());
    }

    #[test]
    fn a_receipt_that_forgets_an_event_or_miscounts_is_not_believed() {
        assert!(batch(200, RECEIPT.as_bytes(), 5).is_err());
        let miscounted = RECEIPT.replace("\"accepted\":1", "\"accepted\":2");
        assert!(batch(200, miscounted.as_bytes(), 4).is_err());
    }
}
