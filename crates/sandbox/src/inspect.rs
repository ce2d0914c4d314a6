//! Looking into the sandbox and steering it over HTTP: counts, newest events and requests, faults, clock,
//! reset, and one page for people.

use actix_web::error::InternalError;
use actix_web::http::header::ContentType;
use actix_web::web::{self, Data, Json, JsonConfig, Path, Query, QueryConfig, ServiceConfig};
use actix_web::{Error, HttpResponse, Responder};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::faults::{Fault, FaultId};
use crate::marketing::AdAccount;
use crate::records::EventFilter;
use crate::server::{MAX_BODY_BYTES, State};

const PAGE: &str = include_str!("page.html");

pub(crate) fn routes(config: &mut ServiceConfig) {
    // A content type is not asked for: `curl -d '{...}'` is how people will call this.
    let json = JsonConfig::default()
        .content_type_required(false)
        // An ad account with years of campaigns is larger than actix lets a body be by itself.
        .limit(MAX_BODY_BYTES)
        .error_handler(|error, _| bad_request(error));
    let query = QueryConfig::default().error_handler(|error, _| bad_request(error));
    config
        .route("/", web::get().to(page))
        .route("/healthz", web::get().to(health))
        .service(
            web::scope("/sandbox")
                .app_data(json)
                .app_data(query)
                .route("/counts", web::get().to(counts))
                .route("/events", web::get().to(events))
                .route("/requests", web::get().to(requests))
                .route("/reset", web::post().to(reset))
                .route("/clock", web::get().to(clock))
                .route("/clock", web::post().to(set_clock))
                .route("/faults", web::get().to(faults))
                .route("/faults", web::post().to(set_fault))
                .route("/faults", web::delete().to(clear_faults))
                .route("/faults/{id}", web::delete().to(clear_fault))
                .route("/ad-accounts/{id}", web::put().to(put_ad_account))
                .default_service(web::to(not_found)),
        );
}

fn bad_request(error: impl std::error::Error + 'static) -> Error {
    let answer = HttpResponse::BadRequest().json(json!({ "error": error.to_string() }));
    InternalError::from_response(error.to_string(), answer).into()
}

async fn page() -> impl Responder {
    HttpResponse::Ok().content_type(ContentType::html()).body(PAGE)
}

async fn health() -> impl Responder {
    "ok"
}

async fn not_found() -> impl Responder {
    HttpResponse::NotFound().json(json!({ "error": "no such sandbox endpoint" }))
}

async fn counts(state: Data<State>) -> impl Responder {
    Json(state.book().ledger.counts())
}

async fn events(state: Data<State>, filter: Query<EventFilter>) -> impl Responder {
    Json(state.book().records.events(&filter))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
}

async fn requests(state: Data<State>, page: Query<Page>) -> impl Responder {
    Json(state.book().records.requests(page.limit))
}

async fn reset(state: Data<State>) -> impl Responder {
    state.forget();
    HttpResponse::NoContent()
}

#[derive(Serialize)]
struct Time {
    offset_seconds: i64,
    now_ms: i64,
}

async fn clock(state: Data<State>) -> impl Responder {
    let clock = &state.config.clock;
    Json(Time {
        offset_seconds: clock.offset_seconds(),
        now_ms: clock.now_ms(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offset {
    offset_seconds: i64,
}

async fn set_clock(state: Data<State>, offset: Json<Offset>) -> impl Responder {
    state.config.clock.set_offset_seconds(offset.offset_seconds);
    clock(state).await
}

async fn faults(state: Data<State>) -> impl Responder {
    Json(state.faults.list())
}

async fn set_fault(state: Data<State>, fault: Json<Fault>) -> Result<HttpResponse, Error> {
    let id = state.faults.set(fault.into_inner()).map_err(bad_request)?;
    Ok(HttpResponse::Created().json(json!({ "id": id })))
}

async fn clear_faults(state: Data<State>) -> impl Responder {
    state.faults.clear_all();
    HttpResponse::NoContent()
}

/// An ad account with what it spent, in place of what was known of it.
async fn put_ad_account(state: Data<State>, id: Path<String>, account: Json<AdAccount>) -> impl Responder {
    state.marketing.put_account(&id, account.into_inner());
    HttpResponse::NoContent()
}

async fn clear_fault(state: Data<State>, id: Path<FaultId>) -> impl Responder {
    if state.faults.clear(id.into_inner()) {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::NotFound().finish()
    }
}
