//! Playing the account over HTTP, for demos and other people's tests: what [`super::GoogleAdsSandbox`] does
//! in code.

use actix_web::error::InternalError;
use actix_web::web::{self, Data, Json, JsonConfig, Path, ServiceConfig};
use actix_web::{Error, HttpResponse, Responder};
use serde::Deserialize;
use serde_json::json;

use super::{GoogleAccount, GoogleFault, State};

/// An account of three years of a thousand campaigns is smaller.
const LARGEST: usize = 256 << 20;

pub(super) fn routes(config: &mut ServiceConfig) {
    // A content type is not asked for: `curl -d '{...}'` is how people will call this.
    let json = JsonConfig::default()
        .content_type_required(false)
        .limit(LARGEST)
        .error_handler(|error, _| bad_request(&error.to_string()));
    config.route("/healthz", web::get().to(async || "ok")).service(
        web::scope("/sandbox")
            .app_data(json)
            .route("/accounts/{id}", web::put().to(put_account))
            .route("/accounts/{id}", web::get().to(account))
            .route("/batches", web::put().to(set_batches))
            .route("/faults", web::post().to(set_fault))
            .route("/faults", web::delete().to(clear_faults))
            .route("/searches", web::get().to(searches))
            .route("/tokens", web::get().to(tokens))
            .route("/tokens/{step}", web::post().to(step)),
    );
}

fn bad_request(what: &str) -> Error {
    let answer = HttpResponse::BadRequest().json(json!({ "error": what }));
    InternalError::from_response(what.to_owned(), answer).into()
}

fn not_found(what: &str) -> Error {
    let answer = HttpResponse::NotFound().json(json!({ "error": what }));
    InternalError::from_response(what.to_owned(), answer).into()
}

/// An account with what it spent, in place of what was known of it.
async fn put_account(
    state: Data<State>,
    id: Path<String>,
    account: Json<GoogleAccount>,
) -> Result<HttpResponse, Error> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(&id)
        || account
            .manager
            .as_deref()
            .is_some_and(|manager| !is_number(manager))
    {
        return Err(bad_request(
            "an account and its manager are named by digits, without dashes",
        ));
    }
    if let Some(wrong) = account.days.iter().find(|day| !super::query::is_day(&day.day)) {
        return Err(bad_request(&format!("{:?} is no day: YYYY-MM-DD", wrong.day)));
    }
    state
        .book()
        .accounts
        .insert(id.into_inner(), account.into_inner());
    Ok(HttpResponse::NoContent().finish())
}

async fn account(state: Data<State>, id: Path<String>) -> Result<Json<GoogleAccount>, Error> {
    let account = state.book().accounts.get(&*id).cloned();
    account.map(Json).ok_or_else(|| not_found("no such account"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batches {
    rows: usize,
}

/// How many rows a batch has.
async fn set_batches(state: Data<State>, batches: Json<Batches>) -> Result<HttpResponse, Error> {
    if batches.rows == 0 {
        return Err(bad_request("rows must be at least 1"));
    }
    state.book().batch_rows = batches.rows;
    Ok(HttpResponse::NoContent().finish())
}

/// What goes wrong with the next call of its kind.
async fn set_fault(state: Data<State>, fault: Json<GoogleFault>) -> impl Responder {
    state.book().faults.push_back(fault.into_inner());
    HttpResponse::Created()
}

async fn clear_faults(state: Data<State>) -> impl Responder {
    state.book().faults.clear();
    HttpResponse::NoContent()
}

/// The newest queries, oldest first.
async fn searches(state: Data<State>) -> impl Responder {
    Json(state.book().searches.clone())
}

async fn tokens(state: Data<State>) -> impl Responder {
    let book = state.book();
    Json(json!({ "given": book.tokens.len(), "over": book.over, "revoked": book.is_revoked }))
}

/// expire: those given are over. revoke: and there are no more.
async fn step(state: Data<State>, step: Path<String>) -> Result<HttpResponse, Error> {
    let mut book = state.book();
    match step.as_str() {
        "expire" => {}
        "revoke" => book.is_revoked = true,
        _ => return Err(not_found("a step is expire or revoke")),
    }
    book.expire_tokens();
    Ok(HttpResponse::NoContent().finish())
}
