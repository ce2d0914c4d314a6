//! Playing buyer, seller and bank over HTTP, for demos and other people's tests: what [`super::MercadoPago`]
//! does in code, as far as they could really do it. Code may do more: it plays impossible worlds, too.

use actix_web::error::InternalError;
use actix_web::web::{self, Data, Json, JsonConfig, Path, ServiceConfig};
use actix_web::{Error, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::book::{Charge, Method, cents, milliseconds};
use super::{ApiFault, State, WebhookFault};

/// Mercado Pago, "Refunds and cancellations" (Brazil).
const MOST_REFUNDS: usize = 20;
const REFUND_MS: i64 = 180 * 86_400_000;

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
            .route("/faults", web::post().to(set_fault))
            .route("/faults", web::delete().to(clear_faults))
            .route("/webhook-faults", web::post().to(set_webhook_fault))
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

#[derive(Deserialize)]
struct NewFault {
    #[serde(default = "once")]
    times: u32,
    #[serde(flatten)]
    fault: ApiFault,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWebhookFault {
    #[serde(default = "once")]
    times: u32,
    kind: WebhookFault,
}

fn once() -> u32 {
    1
}

fn some_times(times: u32) -> Result<u32, Error> {
    let answer = || HttpResponse::BadRequest().json(json!({ "error": "times must be at least 1" }));
    (times > 0)
        .then_some(times)
        .ok_or_else(|| refused(answer(), "times"))
}

/// What the API answers instead, so many times.
async fn set_fault(state: Data<State>, new: Json<NewFault>) -> Result<HttpResponse, Error> {
    let NewFault { times, fault } = new.into_inner();
    state.book().faults.push((fault, some_times(times)?));
    Ok(HttpResponse::Created().finish())
}

/// What becomes of the next webhooks, so many of them.
async fn set_webhook_fault(state: Data<State>, new: Json<NewWebhookFault>) -> Result<HttpResponse, Error> {
    let times = some_times(new.times)?;
    state.book().webhook_faults.push((new.kind, times));
    Ok(HttpResponse::Created().finish())
}

/// API and webhooks do as they should again.
async fn clear_faults(state: Data<State>) -> HttpResponse {
    let mut book = state.book();
    book.faults.clear();
    book.webhook_faults.clear();
    HttpResponse::NoContent().finish()
}

/// Why a step cannot be: in words.
fn impossible(payment: &Value, step: &str, back: i64, now: i64) -> Option<String> {
    let status = payment["status"].as_str().unwrap_or_default();
    let from: &[&str] = match step {
        "pay" => &["pending", "in_process"],
        _ => &["approved", "in_mediation"],
    };
    if !from.contains(&status) {
        return Some(format!("a payment that is {status} does not {step}"));
    }
    if step != "refund" {
        return None;
    }
    let left = cents(&payment["transaction_amount"]) - cents(&payment["transaction_amount_refunded"]);
    let refunds = payment["refunds"].as_array().map_or(0, Vec::len);
    let approved = milliseconds(&payment["date_approved"]).unwrap_or(now);
    match () {
        () if back > left => Some(format!("only {left} cents of it are left")),
        () if refunds >= MOST_REFUNDS => Some("a payment has at most 20 refunds".to_owned()),
        () if now - approved > REFUND_MS => Some("it was approved more than 180 days ago".to_owned()),
        () => None,
    }
}

/// pay, refund, chargeback.
async fn step(
    state: Data<State>,
    path: Path<(String, String)>,
    body: Option<Json<Step>>,
) -> Result<HttpResponse, Error> {
    let (id, step) = path.into_inner();
    let back = body.map_or(0, |body| body.cents);
    let now = state.clock.now_ms();
    let mut book = state.book();
    let payment = book.payment(&id).ok_or_else(|| not_found("no such payment"))?;
    let why = match step.as_str() {
        "pay" | "refund" | "chargeback" => impossible(payment, &step, back, now),
        _ => None,
    };
    if let Some(why) = why {
        let answer = HttpResponse::Conflict().json(json!({ "error": why }));
        return Err(refused(answer, "step"));
    }
    match step.as_str() {
        "pay" => book.pay(now, &id),
        "refund" if back > 0 => book.refund(now, &id, back),
        "refund" => {
            let answer = HttpResponse::BadRequest().json(json!({ "error": "a refund needs cents" }));
            return Err(refused(answer, "cents"));
        }
        "chargeback" => drop(book.charge_back(now, &id)),
        _ => return Err(not_found("a step is pay, refund or chargeback")),
    }
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use reqwest::Client;

    use super::super::{MercadoPago, Seller};
    use crate::clock::SandboxClock;
    use serde_json::{Value, json};

    struct Desk {
        mercado_pago: MercadoPago,
        client: Client,
    }

    impl Desk {
        /// Status and body of an order.
        async fn post(&self, path: &str, body: Value) -> (u16, Value) {
            let url = format!("{}/sandbox/{path}", self.mercado_pago.url());
            let answer = self.client.post(url).body(body.to_string()).send().await.unwrap();
            let status = answer.status().as_u16();
            (
                status,
                serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default(),
            )
        }

        async fn read(&self, id: &str) -> (u16, Value) {
            let url = format!("{}/v1/payments/{id}", self.mercado_pago.url());
            let answer = self
                .client
                .get(url)
                .bearer_auth("APP_USR-1")
                .send()
                .await
                .unwrap();
            (
                answer.status().as_u16(),
                serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap(),
            )
        }
    }

    #[tokio::test]
    async fn over_http_only_what_can_happen_happens_and_faults_strike_as_often_as_ordered() {
        let seller = Seller {
            user_id: 7,
            access_token: "APP_USR-1".to_owned(),
            webhook_secret: "secret".to_owned(),
            webhook_url: None,
            live_mode: true,
        };
        let mercado_pago = MercadoPago::start(SandboxClock::system(), vec![seller])
            .await
            .unwrap();
        let desk = Desk {
            mercado_pago,
            client: Client::new(),
        };
        let metadata = json!({"leadId": 5, "lead_source": "x"});
        let charge = json!({"user_id": 7, "method": "pix", "cents": 1_000, "metadata": metadata});
        let (status, made) = desk.post("payments", charge).await;
        assert_eq!(status, 201);
        let id = made["id"].as_str().unwrap().to_owned();
        let step = |step: &str| format!("payments/{id}/{step}");
        assert_eq!(desk.post(&step("refund"), json!({"cents": 1})).await.0, 409);
        assert_eq!(desk.post(&step("chargeback"), json!({})).await.0, 409);
        assert_eq!(desk.post(&step("pay"), json!({})).await.0, 204);
        assert_eq!(desk.post(&step("pay"), json!({})).await.0, 409);
        let (status, told) = desk.post(&step("refund"), json!({"cents": 1_001})).await;
        assert_eq!(
            (status, &told["error"]),
            (409, &json!("only 1000 cents of it are left"))
        );
        assert_eq!(desk.post(&step("refund"), json!({"cents": 400})).await.0, 204);
        let (_, payment) = desk.read(&id).await;
        assert_eq!(payment["transaction_amount_refunded"].as_f64(), Some(4.0));
        // Mercado Pago answers metadata so, whatever was sent.
        assert_eq!(payment["metadata"], json!({"lead_id": 5, "lead_source": "x"}));

        let fault = json!({"kind": "status", "status": 503, "retry_after": 2, "times": 2});
        assert_eq!(desk.post("faults", fault).await.0, 201);
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(desk.read(&id).await.0);
        }
        assert_eq!(statuses, [503, 503, 200]);
        for (path, wrong) in [
            ("faults", json!({"kind": "status"})),
            ("faults", json!({"kind": "reset", "times": 0})),
            ("webhook-faults", json!({"kind": "late"})),
            ("webhook-faults", json!({"kind": "lost", "time": 1})),
        ] {
            assert_eq!(desk.post(path, wrong.clone()).await.0, 400, "{wrong}");
        }
        assert_eq!(
            desk.post("webhook-faults", json!({"kind": "doubled"})).await.0,
            201
        );
    }
}
