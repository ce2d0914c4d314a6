//! A strict stand-in for the Google Ads API: the token endpoint, and `googleAds:searchStream` of campaigns
//! and of the account. It refuses what Google refuses, answers in batches, and misbehaves on command.
//!
//! Shapes and errors as published: <https://developers.google.com/google-ads/api/rest/common/search>,
//! <https://developers.google.com/google-ads/api/rest/auth>,
//! <https://developers.google.com/google-ads/api/docs/best-practices/quotas>.

mod query;

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Context;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use query::Query;

pub const CLIENT_ID: &str = "1.apps.googleusercontent.com";
pub const CLIENT_SECRET: &str = "GOCSPX-sandbox";
pub const REFRESH_TOKEN: &str = "1//sandbox";
pub const DEVELOPER_TOKEN: &str = "sandbox-developer";
/// The versions that live. Older ones are refused as over.
const VERSIONS: [&str; 4] = ["v23", "v24", "v25", "v26"];

/// An account and what it spent.
#[derive(Debug, Clone)]
pub struct GoogleAccount {
    pub currency: String,
    /// IANA.
    pub time_zone: String,
    /// The manager account that access goes through, if it does.
    pub manager: Option<String>,
    pub days: Vec<GoogleDay>,
}

/// What a campaign spent on a day of its account.
#[derive(Debug, Clone, Default)]
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
#[derive(Debug, Clone)]
pub enum GoogleFault {
    /// A search is refused for its quota, to be asked again after so long, such as `1s`.
    Quota { retry_delay: String },
    /// A search is refused with this status and word: 503 and `UNAVAILABLE`.
    Status { http: u16, status: String },
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
    tokens: usize,
    /// The access tokens up to this one are over.
    over: usize,
    is_revoked: bool,
    searches: Vec<String>,
}

#[derive(Default)]
struct State(Mutex<Book>);

impl State {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("nothing panics while it holds the book")
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
    /// Starts on a free port and returns once it takes connections.
    ///
    /// # Errors
    /// When nothing can be listened on, or the thread cannot be started.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("could not listen")?;
        let address = listener.local_addr()?;
        let state = Data::new(State::default());
        state.book().batch_rows = 10_000;
        let (started, start) = oneshot::channel();
        let server_state = state.clone();
        let thread = std::thread::Builder::new()
            .name(format!("google-ads-{}", address.port()))
            .spawn(move || {
                actix_web::rt::System::new().block_on(async move {
                    let server = HttpServer::new(move || {
                        App::new()
                            .app_data(server_state.clone())
                            .route("/token", web::post().to(token))
                            .route(
                                r"/{version:v\d+}/customers/{customer}/googleAds:searchStream",
                                web::post().to(search_stream),
                            )
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
        let mut book = self.state.book();
        book.over = book.tokens;
    }

    /// The user takes back what they allowed: no more access tokens, and those given are over.
    pub fn revoke(&self) {
        self.state.book().is_revoked = true;
        self.expire_tokens();
    }

    /// Access tokens that were given.
    pub fn tokens(&self) -> usize {
        self.state.book().tokens
    }

    /// The queries that were asked, refused ones among them.
    pub fn searches(&self) -> Vec<String> {
        self.state.book().searches.clone()
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

/// A failure as Google tells it.
struct Refusal {
    http: u16,
    status: String,
    /// `{"authenticationError": "OAUTH_TOKEN_INVALID"}`
    code: Value,
    message: String,
    details: Value,
}

impl Refusal {
    fn new(http: u16, status: &str, (family, code): (&str, &str), message: &str) -> Self {
        Refusal {
            http,
            status: status.to_owned(),
            code: json!({ family: code }),
            message: message.to_owned(),
            details: json!({}),
        }
    }

    fn json(&self) -> Value {
        let mut error = json!({ "errorCode": self.code, "message": self.message });
        if self
            .details
            .as_object()
            .is_some_and(|details| !details.is_empty())
        {
            error["details"] = self.details.clone();
        }
        json!({ "error": {
            "code": self.http,
            "message": "Request contains an error. See details.",
            "status": self.status,
            "details": [{
                "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
                "errors": [error],
                "requestId": "sandbox",
            }],
        }})
    }

    fn answer(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // In an array, as all that this method answers.
        HttpResponse::build(status).json(json!([self.json()]))
    }
}

/// `POST /token`: RFC 6749, section 6.
async fn token(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let mut book = state.book();
    if let Some(GoogleFault::Token { http }) = book.faults.front() {
        let status = StatusCode::from_u16(*http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        book.faults.pop_front();
        return HttpResponse::build(status).body("");
    }
    let refuse = |status: StatusCode, error: &str, description: &str| {
        HttpResponse::build(status).json(json!({ "error": error, "error_description": description }))
    };
    if header(&request, CONTENT_TYPE.as_str()) != Some("application/x-www-form-urlencoded") {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", "Bad content type");
    }
    let form: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let has = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
    if !has("grant_type", "refresh_token") {
        return refuse(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "Invalid grant_type",
        );
    }
    if !has("client_id", CLIENT_ID) || !has("client_secret", CLIENT_SECRET) {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "The OAuth client was not found.",
        );
    }
    if !has("refresh_token", REFRESH_TOKEN) || book.is_revoked {
        let description = "Token has been expired or revoked.";
        return refuse(StatusCode::BAD_REQUEST, "invalid_grant", description);
    }
    book.tokens += 1;
    HttpResponse::Ok().json(json!({
        "access_token": format!("ya29.{}", book.tokens),
        "expires_in": 3599,
        "scope": "https://www.googleapis.com/auth/adwords",
        "token_type": "Bearer",
    }))
}

async fn search_stream(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let (version, customer) = path.into_inner();
    let mut book = state.book();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query = body["query"].as_str().unwrap_or_default();
    book.searches.push(query.to_owned());
    let strikes = match book.faults.front() {
        Some(GoogleFault::Quota { .. } | GoogleFault::Status { .. }) => true,
        Some(GoogleFault::FailsAfter { .. } | GoogleFault::CutsOff { .. }) => {
            query.contains(" FROM campaign ")
        }
        Some(GoogleFault::Token { .. }) | None => false,
    };
    let fault = if strikes { book.faults.pop_front() } else { None };
    match &fault {
        Some(GoogleFault::Quota { retry_delay }) => return quota(retry_delay).answer(),
        Some(GoogleFault::Status { http, status }) => {
            let code = ("internalError", "TRANSIENT_ERROR");
            return Refusal::new(*http, status, code, "(sandbox) as ordered").answer();
        }
        _ => {}
    }
    let rows = match book.search(&version, &customer, &request, &body) {
        Ok(rows) => rows,
        Err(refusal) => return refusal.answer(),
    };
    let (results, mask) = rows;
    let mut batches: Vec<Value> = results
        .chunks(book.batch_rows)
        .map(|rows| json!({ "results": rows, "fieldMask": mask, "requestId": "sandbox" }))
        .collect();
    if batches.is_empty() {
        batches.push(json!({ "fieldMask": mask, "requestId": "sandbox" }));
    }
    let end = match fault {
        Some(GoogleFault::FailsAfter { batches: after }) => {
            batches.truncate(after);
            let code = ("internalError", "INTERNAL_ERROR");
            batches.push(Refusal::new(500, "INTERNAL", code, "An internal error occurred.").json());
            "]"
        }
        Some(GoogleFault::CutsOff { batches: after }) => {
            batches.truncate(after);
            ""
        }
        _ => "]",
    };
    let batches: Vec<String> = batches.iter().map(Value::to_string).collect();
    HttpResponse::Ok()
        .content_type("application/json; charset=UTF-8")
        .body(format!("[{}\n{end}", batches.join("\n,\r\n")))
}

fn quota(retry_delay: &str) -> Refusal {
    let code = ("quotaError", "RESOURCE_EXHAUSTED");
    let message = "Too many requests.";
    Refusal {
        details: json!({ "quotaErrorDetails": {
            "rateScope": "DEVELOPER",
            "rateName": "Number of operations for basic access",
            "retryDelay": retry_delay,
        }}),
        ..Refusal::new(429, "RESOURCE_EXHAUSTED", code, message)
    }
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

impl Book {
    /// The rows, and the field mask.
    fn search(
        &self,
        version: &str,
        customer: &str,
        request: &HttpRequest,
        body: &Value,
    ) -> Result<(Vec<Value>, String), Refusal> {
        if !VERSIONS.contains(&version) {
            return Err(Refusal::new(
                400,
                "INVALID_ARGUMENT",
                ("requestError", "UNSUPPORTED_VERSION"),
                &format!("Version {version} is deprecated. Requests to this version will be blocked."),
            ));
        }
        let number = header(request, AUTHORIZATION.as_str())
            .and_then(|value| value.strip_prefix("Bearer ya29."))
            .and_then(|number| number.parse::<usize>().ok());
        if number.is_none_or(|number| number <= self.over || number > self.tokens) {
            return Err(Refusal::new(
                401,
                "UNAUTHENTICATED",
                ("authenticationError", "OAUTH_TOKEN_EXPIRED"),
                "The OAuth token has expired.",
            ));
        }
        if header(request, "developer-token") != Some(DEVELOPER_TOKEN) {
            return Err(Refusal::new(
                401,
                "UNAUTHENTICATED",
                ("authenticationError", "DEVELOPER_TOKEN_INVALID"),
                "The developer token is not valid.",
            ));
        }
        let is_json =
            header(request, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("application/json"));
        if !is_json || !customer.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(
                ("requestError", "INVALID_CUSTOMER_ID"),
                "Invalid customer ID.",
            ));
        }
        let account = self.accounts.get(customer).filter(|account| {
            let manager = header(request, "login-customer-id");
            manager == account.manager.as_deref() || (account.manager.is_none() && manager == Some(customer))
        });
        let Some(account) = account else {
            return Err(Refusal::new(
                403,
                "PERMISSION_DENIED",
                ("authorizationError", "USER_PERMISSION_DENIED"),
                "User doesn't have permission to access customer. Note: If you're accessing a client customer, the \
                 manager's customer id must be set in the 'login-customer-id' header.",
            ));
        };
        let query = Query::read(body["query"].as_str().unwrap_or_default())
            .map_err(|(code, message)| invalid(("queryError", code), &message))?;
        Ok((query.rows(customer, account), query.mask()))
    }
}

fn invalid(code: (&str, &str), message: &str) -> Refusal {
    Refusal::new(400, "INVALID_ARGUMENT", code, message)
}
