//! The `/events` edge: who may write, what is refused, what is answered.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, ContentType, HeaderName, RETRY_AFTER};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use serde::Serialize;
use sha2::Sha256;

use crate::config::SandboxConfig;
use crate::connection;
use crate::faults::FaultKind;
use crate::ledger;
use crate::records::{KeptEvent, KeptRequest, RequestRecord, owned};
use crate::refusal::{Envelope, Refusal};
use crate::rules::{Facts, Judge, MAX_EVENTS};
use crate::server::State;
use crate::submission::{Encoding, Submission};

/// Meta's answer to events it takes. The Python SDK fails when `messages` or `fbtrace_id` is missing.
#[derive(Serialize)]
struct Received<'a> {
    events_received: usize,
    messages: [&'a str; 0],
    fbtrace_id: &'a str,
}

/// `POST /v{major}.{minor}/{dataset_id}/events`
pub(crate) async fn receive(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let (version, dataset_id) = path.into_inner();
    let call = Call::arrive(&state, dataset_id, &version, &request);
    let drawn = state.faults.draw(&call.record.dataset_id);
    // A timer of zero still costs a tick of the timer wheel, a millisecond.
    if !drawn.latency.is_zero() {
        tokio::time::sleep(drawn.latency).await;
    }
    match drawn.answer {
        None => call.answer(&body, 0),
        Some(fault) => call.spoil(&fault, &body).await,
    }
}

/// Any other method on the edge, which has no reads, updates or deletes.
pub(crate) async fn unsupported(request: HttpRequest) -> HttpResponse {
    let method = request.method().as_str().to_ascii_lowercase();
    let message = format!(
        "Unsupported {method} request. Object does not exist, cannot be loaded due to missing permissions, or \
         does not support this operation"
    );
    refuse(
        StatusCode::BAD_REQUEST,
        &Refusal::plain(100, Some(33), message),
        false,
        &fbtrace_id(),
    )
}

/// Any path that is not part of the Graph API as the sandbox knows it.
pub(crate) async fn unknown_path(request: HttpRequest) -> HttpResponse {
    let message = format!("Unknown path components: {}", request.path());
    refuse(
        StatusCode::BAD_REQUEST,
        &Refusal::plain(2500, None, message),
        false,
        &fbtrace_id(),
    )
}

/// One call of the edge and what is recorded about it.
struct Call<'r> {
    state: &'r State,
    request: &'r HttpRequest,
    version: &'r str,
    record: RequestRecord,
}

impl<'r> Call<'r> {
    fn arrive(state: &'r State, dataset_id: String, version: &'r str, request: &'r HttpRequest) -> Self {
        let mut book = state.book();
        book.last_request += 1;
        book.ledger.count_request(&dataset_id);
        let record = RequestRecord {
            number: book.last_request,
            received_at_ms: state.config.clock.now_ms(),
            dataset_id,
            encoding: Encoding::of(content_type(request)),
            events: None,
            partner_agent: None,
            processed: false,
            status: None,
            code: None,
            subcode: None,
            reason: None,
            fault: None,
            fbtrace_id: fbtrace_id(),
        };
        Self {
            state,
            request,
            version,
            record,
        }
    }

    /// How many events a request holds that is not processed, if it can be read.
    fn count_events(&self, body: &[u8]) -> Option<usize> {
        let submission =
            Submission::read(self.request.query_string(), content_type(self.request), body).ok()?;
        Some(submission.event_texts().ok()?.len())
    }

    /// Processes the request and answers as Meta would, but for `withheld` events missing from the count.
    fn answer(mut self, body: &[u8], withheld: usize) -> HttpResponse {
        match self.process(body) {
            Ok(count) => {
                let fbtrace_id = &self.record.fbtrace_id;
                let received = Received {
                    events_received: count - withheld,
                    messages: [],
                    fbtrace_id,
                };
                let answer = self.builder(StatusCode::OK).json(received);
                self.close(Some(StatusCode::OK));
                answer
            }
            Err(refusal) => self.refuse(StatusCode::BAD_REQUEST, &refusal, false),
        }
    }

    async fn spoil(mut self, fault: &FaultKind, body: &[u8]) -> HttpResponse {
        self.record.fault = Some(fault.name());
        // A refusal by the rules is recorded and counted, but the client is not told.
        if fault.processes() && !matches!(fault, FaultKind::WrongCount) {
            let _hidden = self.process(body);
        }
        match fault {
            FaultKind::WrongCount => self.answer(body, 1),
            FaultKind::Error {
                http_status,
                code,
                subcode,
                is_transient,
                message,
                retry_after,
                headers,
                ..
            } => {
                let message = message.as_deref().unwrap_or("An error on command");
                let refusal = Refusal::plain(*code, *subcode, message);
                let mut answer = self.refuse(status(*http_status), &refusal, *is_transient);
                insert_headers(&mut answer, headers);
                if let Some(seconds) = retry_after {
                    answer.headers_mut().insert(RETRY_AFTER, (*seconds).into());
                }
                answer
            }
            FaultKind::ErrorIn200 { code, subcode } => {
                let refusal = Refusal::plain(*code, *subcode, "Service temporarily unavailable");
                self.refuse(StatusCode::OK, &refusal, true)
            }
            FaultKind::Html { http_status, .. } => {
                let status = status(*http_status);
                let answer = self
                    .builder(status)
                    .content_type("text/html; charset=utf-8")
                    .body(OUTAGE_PAGE);
                self.close(Some(status));
                answer
            }
            FaultKind::Empty { http_status, .. } => {
                let status = status(*http_status);
                let answer = self.builder(status).finish();
                self.close(Some(status));
                answer
            }
            FaultKind::Answer {
                http_status,
                body: text,
                headers,
                ..
            } => {
                let status = status(*http_status);
                let events = self
                    .record
                    .events
                    .or_else(|| self.count_events(body))
                    .unwrap_or_default();
                let text = text.replace("$N", &events.to_string());
                let mut answer = self.builder(status).content_type(ContentType::json()).body(text);
                insert_headers(&mut answer, headers);
                self.close(Some(status));
                answer
            }
            FaultKind::Timeout { .. } => {
                self.close(None);
                connection::hang().await
            }
            FaultKind::ResetBefore | FaultKind::ResetAfter => {
                let answer = connection::reset(self.request);
                self.close(None);
                answer
            }
            FaultKind::Latency { .. } | FaultKind::RefuseEvent { .. } => {
                unreachable!("these do not replace the answer, so they are not drawn as one")
            }
        }
    }

    /// Judges the request and, when nothing is wrong with it, counts its events: all of them or none.
    fn process(&mut self, body: &[u8]) -> Result<usize, Refusal> {
        let result = self.judge_and_count(body);
        match &result {
            Ok(_) => self.record.processed = true,
            Err(refusal) => {
                self.record.reason = Some(refusal.detail.clone().unwrap_or_else(|| refusal.message.clone()));
                self.state
                    .book()
                    .ledger
                    .count_refusal(&self.record.dataset_id, refusal);
            }
        }
        result
    }

    fn judge_and_count(&mut self, body: &[u8]) -> Result<usize, Refusal> {
        let config = &self.state.config;
        let submission = Submission::read(self.request.query_string(), content_type(self.request), body)?;
        authorise(config, "post", &self.record.dataset_id, self.request, &submission)?;
        if let Some(agent) = &submission.partner_agent {
            partner_agent(agent)?;
            self.record.partner_agent = Some(agent.to_string());
        }
        let texts = submission.event_texts()?;
        self.record.events = Some(texts.len());
        if texts.is_empty() {
            return Err(Refusal::parameter("Param data must not be empty."));
        }
        if texts.len() > MAX_EVENTS {
            return Err(Refusal::parameter(format!(
                "Param data must hold at most {MAX_EVENTS} events."
            )));
        }
        let now = config.clock.now_ms() / 1000;
        let judge = Judge {
            now,
            accept_md5: config.accept_md5,
        };
        let events = texts
            .iter()
            .enumerate()
            .map(|(index, text)| judge.judge(index, text))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(refusal) = self.state.faults.refuse(&self.record.dataset_id, &events) {
            return Err(refusal);
        }
        self.count(&submission, &texts, &events, now);
        Ok(events.len())
    }

    fn count(&self, submission: &Submission<'_>, texts: &[Cow<'_, str>], events: &[Facts<'_>], now: i64) {
        let record = &self.record;
        let keys: Vec<_> = events
            .iter()
            .map(|event| ledger::key(&record.dataset_id, event))
            .collect();
        let request = Arc::new(KeptRequest {
            number: record.number,
            received_at_ms: record.received_at_ms,
            dataset_id: record.dataset_id.clone(),
            test_event_code: owned(&submission.test_event_code),
            encoding: record.encoding,
        });
        let mut book = self.state.book();
        for ((event, text), key) in events.iter().zip(texts).zip(keys) {
            let repeated = book
                .ledger
                .receive(&record.dataset_id, &event.event_name, key, now);
            if book.records.keeps_events() {
                book.records.push_event(KeptEvent {
                    event_name: event.event_name.as_ref().into(),
                    event_id: event.event_id.as_deref().map(Into::into),
                    repeated,
                    text: text.as_ref().into(),
                    request: request.clone(),
                });
            }
        }
    }

    fn refuse(mut self, status: StatusCode, refusal: &Refusal, is_transient: bool) -> HttpResponse {
        self.record.code = Some(refusal.code);
        self.record.subcode = refusal.subcode;
        let envelope = Envelope::new(refusal, is_transient, &self.record.fbtrace_id);
        let answer = self.builder(status).json(envelope);
        self.close(Some(status));
        answer
    }

    fn builder(&self, status: StatusCode) -> HttpResponseBuilder {
        let mut builder = HttpResponse::build(status);
        builder.insert_header(("facebook-api-version", self.version));
        builder
    }

    fn close(mut self, status: Option<StatusCode>) {
        self.record.status = status.map(|status| status.as_u16());
        self.state.book().records.push_request(self.record);
    }
}

const OUTAGE_PAGE: &str = "<!DOCTYPE html><html lang=\"en\"><head><title>Error</title></head>\
    <body><h1>Sorry, something went wrong.</h1>\
    <p>We're working on getting this fixed as soon as we can.</p></body></html>";

fn status(http_status: u16) -> StatusCode {
    StatusCode::from_u16(http_status).expect("checked when the fault was set")
}

fn insert_headers(answer: &mut HttpResponse, headers: &BTreeMap<String, String>) {
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("checked when set");
        answer
            .headers_mut()
            .insert(name, value.parse().expect("checked when set"));
    }
}

pub(crate) fn refuse(
    status: StatusCode,
    refusal: &Refusal,
    is_transient: bool,
    fbtrace_id: &str,
) -> HttpResponse {
    HttpResponse::build(status).json(Envelope::new(refusal, is_transient, fbtrace_id))
}

fn content_type(request: &HttpRequest) -> &str {
    request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// "A" and 22 random URL-safe characters, the shape of Meta's own.
pub(crate) fn fbtrace_id() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut rng = rand::rng();
    std::iter::once('A')
        .chain((0..22).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])))
        .collect()
}

/// Who may use this dataset; `method` is for the refusal's words. A token may come as Bearer, in the query
/// and in the body; all that come must agree.
pub(crate) fn authorise(
    config: &SandboxConfig,
    method: &str,
    dataset_id: &str,
    request: &HttpRequest,
    submission: &Submission<'_>,
) -> Result<(), Refusal> {
    let bearer = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
    let mut tokens = submission.access_tokens.iter().map(AsRef::as_ref).chain(bearer);
    let token = tokens
        .next()
        .ok_or_else(|| Refusal::plain(104, None, "An access token is required to request this resource."))?;
    if tokens.any(|other| other != token) {
        return Err(Refusal::plain(
            190,
            None,
            "Invalid OAuth access token - the request carries different tokens",
        ));
    }
    let mut grants = config
        .tokens
        .iter()
        .filter(|grant| grant.token == token)
        .peekable();
    if grants.peek().is_none() {
        return Err(Refusal::plain(
            190,
            None,
            "Invalid OAuth access token - Cannot parse access token",
        ));
    }
    if let Some(secret) = &config.app_secret {
        appsecret_proof(secret, token, &submission.appsecret_proofs)?;
    }
    if !grants.any(|grant| {
        grant
            .dataset_id
            .as_ref()
            .is_none_or(|granted| granted == dataset_id)
    }) {
        let message = format!(
            "Unsupported {method} request. Object with ID '{dataset_id}' does not exist, cannot be loaded due \
             to missing permissions, or does not support this operation"
        );
        return Err(Refusal::plain(100, Some(33), message));
    }
    Ok(())
}

/// A wrong proof is code 100 without a subcode: a fault of the credentials that looks like one of the
/// payload.
fn appsecret_proof(secret: &str, token: &str, proofs: &[Cow<'_, str>]) -> Result<(), Refusal> {
    if proofs.is_empty() {
        return Err(Refusal::parameter(
            "API calls from the server require an appsecret_proof argument",
        ));
    }
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    hmac.update(token.as_bytes());
    let expected: String = hmac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if proofs.iter().any(|proof| *proof != expected) {
        return Err(Refusal::parameter(
            "Invalid appsecret_proof provided in the API argument",
        ));
    }
    Ok(())
}

/// Fewer than 23 characters, two of them letters ("Main Body Parameters").
fn partner_agent(agent: &str) -> Result<(), Refusal> {
    let letters = agent.chars().filter(char::is_ascii_alphabetic).count();
    if agent.chars().count() >= 23 || letters < 2 {
        return Err(Refusal::parameter(
            "Param partner_agent must be under 23 characters and hold at least two letters",
        ));
    }
    Ok(())
}
