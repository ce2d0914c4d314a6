//! A strict stand-in for Slack: an incoming webhook, and a bot's `chat.postMessage` and `chat.update`. It
//! refuses what Slack refuses, keeps the channel as people would see it, and misbehaves on command.
//!
//! Limits and errors as published: <https://api.slack.com/reference/block-kit/blocks>,
//! <https://api.slack.com/messaging/webhooks#handling_errors>,
//! <https://api.slack.com/methods/chat.postMessage#errors>.

mod limits;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Instant;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Context;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The path of the webhook that exists, the token of the bot that exists, and the channel that it is in.
pub const WEBHOOK: &str = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX";
pub const BOT_TOKEN: &str = "xoxb-0-sandbox";
pub const CHANNEL: &str = "C0SANDBOX";

/// What goes wrong with the next call, once each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlackFault {
    /// This status and text, before anything is stored; with so many seconds in `Retry-After`.
    Status {
        status: u16,
        body: String,
        retry_after: Option<u32>,
    },
    /// A bot's answer `{"ok": false, "error": ...}` with status 200.
    NotOk(String),
    /// The message is stored, and the answer is a 500: nobody knows that it went.
    FailAfter,
}

/// A message as it stands in the channel.
#[derive(Debug, Clone, PartialEq)]
pub struct SlackMessage {
    /// Slack's name of it.
    pub ts: String,
    /// The message whose thread it is in.
    pub thread_ts: Option<String>,
    /// As sent, or as edited last.
    pub body: Value,
    pub edits: usize,
    /// Ways in which it calls people: `<!channel>`, `<!here>`, `<!everyone>`, `<@U...>`.
    pub mentions: usize,
}

impl SlackMessage {
    pub fn text(&self) -> &str {
        self.body["text"].as_str().unwrap_or_default()
    }
}

#[derive(Default)]
struct Book {
    messages: Vec<SlackMessage>,
    faults: VecDeque<SlackFault>,
    calls: usize,
    rate: Option<Rate>,
}

/// One message a second for the channel, and a few at once.
/// Source: <https://api.slack.com/apis/rate-limits>, "Posting messages".
struct Rate {
    left: f64,
    at: Instant,
}

/// Slack tolerates "short bursts", and does not say of how many.
const BURST: f64 = 3.0;

impl Book {
    /// Whether another message may come now.
    fn may_post(&mut self) -> bool {
        let Some(rate) = &mut self.rate else {
            return true;
        };
        let now = Instant::now();
        rate.left = (rate.left + (now - rate.at).as_secs_f64()).min(BURST);
        rate.at = now;
        let may = rate.left >= 1.0;
        if may {
            rate.left -= 1.0;
        }
        may
    }
}

#[derive(Default)]
struct State(Mutex<Book>);

impl State {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("nothing panics while it holds the book")
    }
}

/// A running stand-in, on threads of its own. Dropping it stops it.
pub struct SlackSandbox {
    address: SocketAddr,
    state: Data<State>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl SlackSandbox {
    /// Starts on a free port and returns once it takes connections.
    ///
    /// # Errors
    /// When nothing can be listened on, or the thread cannot be started.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("could not listen")?;
        let address = listener.local_addr()?;
        let state = Data::new(State::default());
        let (started, start) = oneshot::channel();
        let server_state = state.clone();
        let thread = std::thread::Builder::new()
            .name(format!("slack-{}", address.port()))
            .spawn(move || {
                actix_web::rt::System::new().block_on(async move {
                    let server = HttpServer::new(move || {
                        App::new()
                            .app_data(server_state.clone())
                            .route("/services/{team}/{app}/{secret}", web::post().to(webhook))
                            .route("/api/{method}", web::post().to(bot))
                    });
                    let server = match server.workers(1).disable_signals().listen(listener) {
                        Ok(server) => server.run(),
                        Err(error) => {
                            let _nobody_waits = started.send(Err(error));
                            return;
                        }
                    };
                    let _nobody_waits = started.send(Ok(server.handle()));
                    // Ends when told to stop.
                    let _ended = server.await;
                });
            })?;
        let handle = start.await.context("the thread ended before it served")??;
        Ok(SlackSandbox {
            address,
            state,
            handle,
            thread: Some(thread),
        })
    }

    /// The webhook's address.
    pub fn webhook_url(&self) -> String {
        format!("http://{}{WEBHOOK}", self.address)
    }

    /// What a bot uses in place of `https://slack.com/api`.
    pub fn api_url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// The channel as people see it, oldest first, threads among it.
    pub fn messages(&self) -> Vec<SlackMessage> {
        self.state.book().messages.clone()
    }

    /// Calls of any kind, refused ones among them.
    pub fn calls(&self) -> usize {
        self.state.book().calls
    }

    /// The next call goes wrong, and the one after it by the fault set after this one.
    pub fn fail_with(&self, fault: SlackFault) {
        self.state.book().faults.push_back(fault);
    }

    /// More than a message a second is refused from now on. By the clock on the wall, which a test that moves
    /// the database's own through hours in a moment does not go by.
    pub fn limit_rate(&self) {
        self.state.book().rate = Some(Rate {
            left: BURST,
            at: Instant::now(),
        });
    }

    /// Forgets a message, as if somebody had deleted it.
    pub fn delete(&self, ts: &str) {
        self.state.book().messages.retain(|message| message.ts != ts);
    }
}

impl Drop for SlackSandbox {
    fn drop(&mut self) {
        // The command is sent when the future is made; only its completion would have to be awaited.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// A refusal: the word that Slack says.
type Refusal = &'static str;

/// `POST /services/T.../B.../...`: plain text, `ok` or an error's word.
async fn webhook(
    state: Data<State>,
    path: Path<(String, String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let (team, app, secret) = path.into_inner();
    let mut book = state.book();
    book.calls += 1;
    let fault = book.faults.pop_front();
    if let Some(SlackFault::Status {
        status,
        body,
        retry_after,
    }) = &fault
    {
        return spoiled(*status, body, *retry_after);
    }
    if !book.may_post() {
        return spoiled(429, "rate_limited", Some(1));
    }
    if format!("/services/{team}/{app}/{secret}") != WEBHOOK {
        return refusal("no_service");
    }
    let message = match read(&request, &body) {
        Ok(message) => message,
        Err(word) => return refusal(word),
    };
    // A webhook's channel is its app's: it cannot post elsewhere, into a thread, or edit.
    book.store(message, None);
    match fault {
        Some(SlackFault::FailAfter) => spoiled(500, "rollup_error", None),
        _ => HttpResponse::Ok().content_type("text/html").body("ok"),
    }
}

/// `POST /api/chat.postMessage` and `/api/chat.update`: JSON, status 200 also for most errors.
async fn bot(state: Data<State>, method: Path<String>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let mut book = state.book();
    book.calls += 1;
    let fault = book.faults.pop_front();
    match &fault {
        Some(SlackFault::Status {
            status,
            body,
            retry_after,
        }) => return spoiled(*status, body, *retry_after),
        Some(SlackFault::NotOk(error)) => {
            return HttpResponse::Ok().json(json!({ "ok": false, "error": error }));
        }
        _ => {}
    }
    if method.as_str() == "chat.postMessage" && !book.may_post() {
        return spoiled(429, "", Some(1));
    }
    let result = book.call(&method, &request, &body);
    if fault == Some(SlackFault::FailAfter) {
        return spoiled(500, "", None);
    }
    HttpResponse::Ok().json(match result {
        Ok(ts) => json!({ "ok": true, "channel": CHANNEL, "ts": ts }),
        Err(word) => json!({ "ok": false, "error": word }),
    })
}

impl Book {
    fn call(&mut self, method: &str, request: &HttpRequest, body: &[u8]) -> Result<String, Refusal> {
        let header = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        match header.and_then(|value| value.strip_prefix("Bearer ")) {
            None => return Err("not_authed"),
            Some(BOT_TOKEN) => {}
            Some(_) => return Err("invalid_auth"),
        }
        let message = read(request, body)?;
        if message["channel"] != CHANNEL {
            return Err("channel_not_found");
        }
        match method {
            "chat.postMessage" => {
                let thread = match &message["thread_ts"] {
                    Value::Null => None,
                    Value::String(ts) if self.messages.iter().any(|message| message.ts == *ts) => {
                        Some(ts.clone())
                    }
                    _ => return Err("thread_not_found"),
                };
                Ok(self.store(message, thread))
            }
            "chat.update" => {
                let ts = message["ts"].as_str().ok_or("invalid_arguments")?.to_owned();
                let edited = self
                    .messages
                    .iter_mut()
                    .find(|other| other.ts == ts)
                    .ok_or("message_not_found")?;
                edited.mentions = limits::mentions(&message);
                edited.body = message;
                edited.edits += 1;
                Ok(ts)
            }
            _ => Err("unknown_method"),
        }
    }

    fn store(&mut self, body: Value, thread_ts: Option<String>) -> String {
        let ts = format!("1795645320.{:06}", self.messages.len() + 1);
        self.messages.push(SlackMessage {
            ts: ts.clone(),
            thread_ts,
            mentions: limits::mentions(&body),
            body,
            edits: 0,
        });
        ts
    }
}

fn read(request: &HttpRequest, body: &[u8]) -> Result<Value, Refusal> {
    let is_json = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"));
    let message: Value = serde_json::from_slice(body).map_err(|_| "invalid_payload")?;
    if !is_json || !message.is_object() {
        return Err("invalid_payload");
    }
    limits::check(&message)?;
    Ok(message)
}

fn refusal(word: Refusal) -> HttpResponse {
    let status = match word {
        "no_service" | "channel_not_found" | "no_team" => StatusCode::NOT_FOUND,
        "action_prohibited" | "invalid_token" => StatusCode::FORBIDDEN,
        "channel_is_archived" => StatusCode::GONE,
        _ => StatusCode::BAD_REQUEST,
    };
    HttpResponse::build(status).content_type("text/html").body(word)
}

fn spoiled(status: u16, body: &str, retry_after: Option<u32>) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(status);
    if let Some(seconds) = retry_after {
        answer.insert_header(("retry-after", seconds.to_string()));
    }
    answer.body(body.to_owned())
}
