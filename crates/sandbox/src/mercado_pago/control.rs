//! Playing buyer, seller and bank over HTTP, for demos and other people's tests: what [`super::MercadoPago`]
//! does in code.

use actix_web::error::InternalError;
use actix_web::web::{self, Data, Json, JsonConfig, Path, ServiceConfig};
use actix_web::{Error, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::State;
use super::book::{Charge, Method};

pub(super) fn routes(config: &mut ServiceConfig) {
    // A content type is not asked for: `curl -d '{...}'` is how people will call this.
    let json = JsonConfig::default()
        .content_type_required(false)
        .error_handler(|error, _| {
            let answer = HttpResponse::BadRequest().json(json!({ "error": error.to_string() }));
            InternalError::from_response(error, answer).into()
        });
    config.service(
        web::scope("/sandbox")
            .app_data(json)
            .route("/payments", web::get().to(list))
            .route("/payments", web::post().to(create))
            .route("/webhooks", web::put().to(register))
            .route("/payments/{id}/{step}", web::post().to(step)),
    );
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCharge {
    user_id: i64,
    method: Method,
    cents: i64,
    external_reference: Option<String>,
    #[serde(default)]
    metadata: Value,
    email: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Of a refund.
    #[serde(default)]
    cents: i64,
}

fn refused(status: HttpResponse, what: &str) -> Error {
    InternalError::from_response(what.to_owned(), status).into()
}

fn not_found(what: &str) -> Error {
    refused(HttpResponse::NotFound().json(json!({ "error": what })), what)
}

async fn create(state: Data<State>, new: Json<NewCharge>) -> Result<HttpResponse, Error> {
    let new = new.into_inner();
    let seller = state
        .sellers()
        .iter()
        .find(|seller| seller.user_id == new.user_id)
        .cloned();
    let seller = seller.ok_or_else(|| not_found("no such seller"))?;
    if new.cents <= 0 {
        let answer = HttpResponse::BadRequest().json(json!({ "error": "cents must be more than 0" }));
        return Err(refused(answer, "cents"));
    }
    let charge = Charge {
        external_reference: new.external_reference,
        metadata: match new.metadata {
            Value::Object(_) => new.metadata,
            _ => json!({}),
        },
        email: new.email,
        ..Charge::new(new.method, new.cents)
    };
    let id = state.book().create(state.clock.now_ms(), &seller, &charge);
    Ok(HttpResponse::Created().json(json!({ "id": id })))
}

/// All payments, oldest first, with their money in cents.
async fn list(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.book().told())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    user_id: i64,
    url: String,
}

/// Where a seller's webhooks go from now on.
async fn register(state: Data<State>, webhook: Json<Webhook>) -> Result<HttpResponse, Error> {
    let Webhook { user_id, url } = webhook.into_inner();
    let mut sellers = state.sellers();
    let seller = sellers.iter_mut().find(|seller| seller.user_id == user_id);
    seller.ok_or_else(|| not_found("no such seller"))?.webhook_url = Some(url);
    Ok(HttpResponse::NoContent().finish())
}

/// pay, refund, chargeback.
async fn step(
    state: Data<State>,
    path: Path<(String, String)>,
    body: Option<Json<Step>>,
) -> Result<HttpResponse, Error> {
    let (id, step) = path.into_inner();
    let cents = body.map_or(0, |body| body.cents);
    let now = state.clock.now_ms();
    let mut book = state.book();
    if book.payment(&id).is_none() {
        return Err(not_found("no such payment"));
    }
    match step.as_str() {
        "pay" => book.pay(now, &id),
        "refund" if cents > 0 => book.refund(now, &id, cents),
        "refund" => {
            let answer = HttpResponse::BadRequest().json(json!({ "error": "a refund needs cents" }));
            return Err(refused(answer, "cents"));
        }
        "chargeback" => drop(book.charge_back(now, &id)),
        _ => return Err(not_found("a step is pay, refund or chargeback")),
    }
    Ok(HttpResponse::NoContent().finish())
}
