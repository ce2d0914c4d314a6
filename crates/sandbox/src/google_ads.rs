//! A strict stand-in for the Google Ads API: the token endpoint, and `googleAds:searchStream` of campaigns
//! and of the account. It refuses what Google refuses, answers in batches, and misbehaves on command.
//!
//! A test (or a demo) plays the account through [`GoogleAdsSandbox`]; over HTTP `PUT /sandbox/accounts/{id}`,
//! `POST /sandbox/faults` and `POST /sandbox/tokens/expire` do the same.
//!
//! Shapes and errors as published: <https://developers.google.com/google-ads/api/rest/common/search>,
//! <https://developers.google.com/google-ads/api/rest/auth>,
//! <https://developers.google.com/google-ads/api/docs/best-practices/quotas>, and the error codes of Google's
//! own client, `google-ads` 34 for Python.

mod control;
mod query;
mod refusal;
mod server;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::clock::SandboxClock;

pub const CLIENT_ID: &str = "1.apps.googleusercontent.com";
pub const CLIENT_SECRET: &str = "GOCSPX-sandbox";
pub const REFRESH_TOKEN: &str = "1//sandbox";
/// An access token lives for so many seconds.
const TOKEN_SECONDS: i64 = 3_599;
/// So many of the newest queries are kept.
const KEEP_SEARCHES: usize = 1_000;

/// An account and what it spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleAccount {
    pub currency: String,
    /// IANA.
    pub time_zone: String,
    /// The manager account that access goes through, if it does.
    pub manager: Option<String>,
    pub days: Vec<GoogleDay>,
}

/// What a campaign spent on a day of its account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleDay {
    /// `YYYY-MM-DD`.
    pub day: String,
    pub campaign_id: u64,
    pub campaign_name: String,
    pub cost_micros: i64,
    pub impressions: i64,
    pub clicks: i64,
}

/// What goes wrong with the next call of its kind, once each.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GoogleFault {
    /// A search is refused for its quota, to be asked again after so long, such as `1s`.
    Quota { retry_delay: String },
    /// A search is refused with this status and word: 503 and `UNAVAILABLE`.
    Status { http: u16, status: String },
    /// A search is refused for good: 403, `PERMISSION_DENIED`, `authorizationError` and
    /// `CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION`.
    Refused {
        http: u16,
        status: String,
        family: String,
        code: String,
    },
    /// So many batches of campaigns come, then a failure in place of the next.
    FailsAfter { batches: usize },
    /// So many batches of campaigns come, then the answer ends without its bracket.
    CutsOff { batches: usize },
    /// The token endpoint answers with this status.
    Token { http: u16 },
}

#[derive(Default)]
struct Book {
    accounts: BTreeMap<String, GoogleAccount>,
    faults: VecDeque<GoogleFault>,
    batch_rows: usize,
    /// When each access token was given, in milliseconds; the first is number 1.
    tokens: Vec<i64>,
    /// The access tokens up to this one are over.
    over: usize,
    is_revoked: bool,
    searches: VecDeque<String>,
    /// Ever made.
    requests: u64,
}

impl Book {
    fn expire_tokens(&mut self) {
        self.over = self.tokens.len();
    }
}

struct State {
    clock: SandboxClock,
    book: Mutex<Book>,
}

impl State {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nothing panics while it holds the book")
    }
}

/// A running stand-in, on threads of its own. Dropping it stops it.
pub struct GoogleAdsSandbox {
    address: SocketAddr,
    state: Data<State>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl GoogleAdsSandbox {
    /// Starts on a free port of this machine and returns once it takes connections.
    ///
    /// # Errors
    /// When nothing can be listened on, or the thread cannot be started.
    pub async fn start() -> anyhow::Result<Self> {
        GoogleAdsSandbox::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), SandboxClock::system()).await
    }

    /// Starts on an address, by a clock.
    ///
    /// # Errors
    /// When it cannot be bound, or the thread cannot be started.
    pub async fn start_on(listen: SocketAddr, clock: SandboxClock) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen).with_context(|| format!("could not listen on {listen}"))?;
        let address = listener.local_addr()?;
        let book = Book {
            batch_rows: 10_000,
            ..Book::default()
        };
        let state = Data::new(State {
            clock,
            book: Mutex::new(book),
        });
        let (started, start) = oneshot::channel();
        let served = state.clone();
        let thread = std::thread::Builder::new()
            .name(format!("google-ads-{}", address.port()))
            .spawn(move || {
                actix_web::rt::System::new().block_on(async move {
                    match server::serve(listener, served) {
                        Ok(server) => {
                            let _nobody_waits = started.send(Ok(server.handle()));
                            // Ends when told to stop.
                            let _ended = server.await;
                        }
                        Err(error) => {
                            let _nobody_waits = started.send(Err(error));
                        }
                    }
                });
            })?;
        let handle = start.await.context("the thread ended before it served")??;
        Ok(GoogleAdsSandbox {
            address,
            state,
            handle,
            thread: Some(thread),
        })
    }

    /// What a client uses in place of `https://googleads.googleapis.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client uses in place of `https://oauth2.googleapis.com/token`.
    pub fn token_url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// Makes an account, or replaces it. `id`: digits.
    pub fn put_account(&self, id: &str, account: GoogleAccount) {
        self.state.book().accounts.insert(id.to_owned(), account);
    }

    /// Rows of one batch, 10,000 unless told.
    pub fn set_batch_rows(&self, rows: usize) {
        self.state.book().batch_rows = rows.max(1);
    }

    /// The next call of its kind goes wrong, and the one after it by the fault set after this one.
    pub fn fail_with(&self, fault: GoogleFault) {
        self.state.book().faults.push_back(fault);
    }

    /// The access tokens given so far are over.
    pub fn expire_tokens(&self) {
        self.state.book().expire_tokens();
    }

    /// The user takes back what they allowed: no more access tokens, and those given are over.
    pub fn revoke(&self) {
        let mut book = self.state.book();
        book.is_revoked = true;
        book.expire_tokens();
    }

    /// Access tokens that were given.
    pub fn tokens(&self) -> usize {
        self.state.book().tokens.len()
    }

    /// The newest thousand queries that were asked, refused ones among them, oldest first.
    pub fn searches(&self) -> Vec<String> {
        self.state.book().searches.iter().cloned().collect()
    }
}

impl Drop for GoogleAdsSandbox {
    fn drop(&mut self) {
        // The command is sent when the future is made; only its completion would have to be awaited.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
