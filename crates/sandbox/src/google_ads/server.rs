//! The HTTP side: an access token for a refresh token, and streams of rows for an access token.

use std::collections::BTreeMap;
use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Map, Value, json};

use super::query::Query;
use super::refusal::Refusal;
use super::{
    Book, CLIENT_ID, CLIENT_SECRET, GoogleFault, KEEP_SEARCHES, REFRESH_TOKEN, State, TOKEN_SECONDS, control,
};

/// The versions that live: older ones are over, and newer ones are not there yet.
const VERSIONS: std::ops::RangeInclusive<u32> = 23..=26;

pub(super) fn serve(listener: TcpListener, state: Data<State>) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .route("/token", web::post().to(token))
            .route(
                r"/v{version:\d+}/customers/{customer}/googleAds:searchStream",
                web::post().to(search_stream),
            )
            .configure(control::routes)
            .default_service(web::to(async || not_found()))
    });
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

/// What no method of Google's is answered with: a page, not JSON.
fn not_found() -> HttpResponse {
    HttpResponse::NotFound()
        .content_type("text/html; charset=UTF-8")
        .body("<!DOCTYPE html>\n<title>Error 404 (Not Found)!!1</title>\n")
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

/// `POST /token`: RFC 6749, section 6.
async fn token(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let now = state.clock.now_ms();
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
    book.tokens.push(now);
    HttpResponse::Ok().json(json!({
        "access_token": format!("ya29.{}", book.tokens.len()),
        "expires_in": TOKEN_SECONDS,
        "scope": "https://www.googleapis.com/auth/adwords",
        "token_type": "Bearer",
    }))
}

async fn search_stream(
    state: Data<State>,
    path: Path<(u32, String)>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let (number, customer) = path.into_inner();
    if number > *VERSIONS.end() {
        return not_found();
    }
    let version = format!("v{number}");
    let now = state.clock.now_ms();
    let mut book = state.book();
    book.requests += 1;
    let request_id = format!("sandbox{}", book.requests);
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query = parsed["query"].as_str().unwrap_or_default().to_owned();
    if book.searches.len() == KEEP_SEARCHES {
        book.searches.pop_front();
    }
    book.searches.push_back(query.clone());
    let strikes = match book.faults.front() {
        Some(GoogleFault::Quota { .. } | GoogleFault::Status { .. } | GoogleFault::Refused { .. }) => true,
        Some(GoogleFault::FailsAfter { .. } | GoogleFault::CutsOff { .. }) => {
            Query::read(&query).is_ok_and(|query| query.is_of_campaigns())
        }
        Some(GoogleFault::Token { .. }) | None => false,
    };
    let fault = if strikes { book.faults.pop_front() } else { None };
    let ordered = "(sandbox) as ordered";
    let refusal = match &fault {
        Some(GoogleFault::Quota { retry_delay }) => Some(Refusal::quota(retry_delay)),
        Some(GoogleFault::Status { http, status }) => {
            let code = ("internalError", "TRANSIENT_ERROR");
            Some(Refusal::new(*http, status, code, ordered))
        }
        Some(GoogleFault::Refused {
            http,
            status,
            family,
            code,
        }) => Some(Refusal::new(*http, status, (family, code), ordered)),
        _ => None,
    };
    if let Some(refusal) = refusal {
        return refusal.answer(&version, &request_id);
    }
    let asked = Asked {
        version: number,
        customer: &customer,
        request: &request,
        body: &body,
    };
    let (results, mask) = match book.search(&asked, now) {
        Ok(found) => found,
        Err(refusal) => return refusal.answer(&version, &request_id),
    };
    let mut batches: Vec<Value> = results
        .chunks(book.batch_rows)
        .map(|rows| json!({ "results": rows, "fieldMask": mask, "requestId": request_id }))
        .collect();
    if batches.is_empty() {
        batches.push(json!({ "fieldMask": mask, "requestId": request_id }));
    }
    let end = match fault {
        Some(GoogleFault::FailsAfter { batches: after }) => {
            batches.truncate(after);
            let code = ("internalError", "INTERNAL_ERROR");
            let failure = Refusal::new(500, "INTERNAL", code, "An internal error occurred.");
            batches.push(failure.json(&version, &request_id));
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
        .insert_header(("request-id", request_id))
        .body(format!("[{}\n{end}", batches.join("\n,\r\n")))
}

/// A search as it came.
struct Asked<'r> {
    version: u32,
    customer: &'r str,
    request: &'r HttpRequest,
    body: &'r [u8],
}

impl Book {
    /// The rows, and the field mask.
    fn search(&self, asked: &Asked<'_>, now: i64) -> Result<(Vec<Value>, String), Refusal> {
        let Asked {
            customer, request, ..
        } = *asked;
        if asked.version < *VERSIONS.start() {
            return Err(Refusal::invalid(
                ("requestError", "UNSUPPORTED_VERSION"),
                &format!(
                    "Version v{} is deprecated. Requests to this version will be blocked.",
                    asked.version
                ),
            ));
        }
        self.knows(header(request, AUTHORIZATION.as_str()), now)?;
        // Developer tokens were sunset on 9 September 2026: one that is sent is ignored, an empty one is not.
        if header(request, "developer-token").is_some_and(|token| token.trim().is_empty()) {
            return Err(Refusal::invalid(
                ("requestError", "DEVELOPER_TOKEN_PARAMETER_MISSING"),
                "developer-token parameter is missing.",
            ));
        }
        let query = query_of(header(request, CONTENT_TYPE.as_str()), asked.body)?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let manager = header(request, "login-customer-id");
        if !is_number(customer) || manager.is_some_and(|manager| !is_number(manager)) {
            return Err(Refusal::invalid(
                ("requestError", "INVALID_CUSTOMER_ID"),
                &format!("Invalid customer ID '{customer}'."),
            ));
        }
        let account = self.accounts.get(customer).filter(|account| {
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
        if query.is_empty() {
            return Err(Refusal::invalid(
                ("requestError", "REQUIRED_FIELD_MISSING"),
                "Required field is missing: query",
            ));
        }
        let query = Query::read(&query)
            .map_err(|(code, message)| Refusal::invalid(("queryError", code), &message))?;
        Ok((query.rows(customer, account), query.mask()))
    }

    /// Whether these are the words of an access token that lives.
    fn knows(&self, authorization: Option<&str>, now: i64) -> Result<(), Refusal> {
        let refuse = |code: &str, message: &str| {
            Err(Refusal::new(
                401,
                "UNAUTHENTICATED",
                ("authenticationError", code),
                message,
            ))
        };
        let Some(token) = authorization.and_then(|value| value.strip_prefix("Bearer ")) else {
            return refuse(
                "OAUTH_TOKEN_HEADER_INVALID",
                "Request is missing required authentication credential. Expected OAuth 2 access token.",
            );
        };
        let number = token
            .strip_prefix("ya29.")
            .and_then(|number| number.parse::<usize>().ok());
        let given = number.and_then(|number| self.tokens.get(number.checked_sub(1)?));
        match (number, given) {
            (Some(number), Some(given)) if number > self.over && now < given + TOKEN_SECONDS * 1_000 => {
                Ok(())
            }
            (_, Some(_)) => refuse("OAUTH_TOKEN_EXPIRED", "The OAuth token has expired."),
            _ => refuse("OAUTH_TOKEN_INVALID", "The OAuth token is not valid."),
        }
    }
}

/// The query in the body, empty if it has none. Unknown names are refused, as Google's JSON refuses them.
fn query_of(content_type: Option<&str>, body: &[u8]) -> Result<String, Refusal> {
    if content_type.is_none_or(|kind| !kind.starts_with("application/json")) {
        return Err(Refusal::payload(
            "Invalid JSON payload received. Unknown content type.".to_owned(),
        ));
    }
    let fields: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|_| Refusal::payload("Invalid JSON payload received. Unexpected token.".to_owned()))?;
    let known = ["query", "summaryRowSetting", "summary_row_setting"];
    if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(Refusal::payload(format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
        )));
    }
    match fields.get("query") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(query)) => Ok(query.clone()),
        Some(_) => Err(Refusal::payload(
            "Invalid value at 'query' (TYPE_STRING)".to_owned(),
        )),
    }
}
