//! The HTTP side: what a seller may read with its token.

use std::collections::{HashMap, VecDeque};
use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, RETRY_AFTER};
use actix_web::web::{self, Data, Path, Query};
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Value, json};

use super::book::shown;
use super::{ApiFault, State, control, reports, search};
use crate::connection;

pub(super) fn serve(listener: TcpListener, state: Data<State>) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .route("/v1/payments/search", web::get().to(find))
            .route("/v1/payments/{id}", web::get().to(payment))
            .route("/v1/chargebacks/{id}", web::get().to(chargeback))
            .route("/v1/orders", web::get().to(find_orders))
            .route("/v1/orders/{id}", web::get().to(order))
            .route("/merchant_orders/{id}", web::get().to(merchant_order))
            .configure(control::routes)
            .configure(reports::routes)
            .default_service(web::to(async || refusal(404, 0, "resource not found")))
    });
    let server = server
        .workers(1)
        .on_connect(connection::remember)
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(server)
}

/// As Mercado Pago refuses.
pub(super) fn refusal(status: u16, code: i64, message: &str) -> HttpResponse {
    let status_code = StatusCode::from_u16(status).expect("a status");
    let error = match status {
        404 => "not_found",
        401 => "unauthorized",
        _ => "bad_request",
    };
    HttpResponse::build(status_code).json(json!({
        "message": message, "error": error, "status": status,
        "cause": [{"code": code, "description": message, "data": null}],
    }))
}

/// The seller whose token it is, unless a fault strikes first. A token in the query is none: it would be in
/// every log.
pub(super) fn seller(state: &State, request: &HttpRequest) -> Result<i64, Box<HttpResponse>> {
    let fault = state.book().draw();
    seller_unless(fault, state, request)
}

fn seller_unless(
    fault: Option<ApiFault>,
    state: &State,
    request: &HttpRequest,
) -> Result<i64, Box<HttpResponse>> {
    match fault {
        Some(ApiFault::Status { status, retry_after }) => {
            let mut answer = refusal(status, 0, "internal_error");
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            return Err(Box::new(answer));
        }
        Some(ApiFault::NotFound) => return Err(Box::new(refusal(404, 2000, "Payment not found"))),
        Some(ApiFault::Reset) => return Err(Box::new(connection::reset(request))),
        Some(ApiFault::Stale) => {
            request.extensions_mut().insert(IsStale);
        }
        None => {}
    }
    let bearer = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(token) = bearer else {
        return Err(Box::new(refusal(
            401,
            5,
            "Must provide your access_token to proceed",
        )));
    };
    let sellers = state.sellers();
    let seller = sellers.iter().find(|seller| seller.access_token == token);
    seller
        .map(|seller| seller.user_id)
        .ok_or_else(|| Box::new(refusal(401, 0, "invalid access token")))
}

/// Marks a request that is to be answered with what was before.
struct IsStale;

fn answered(document: &Value) -> HttpResponse {
    HttpResponse::Ok().json(shown(document.clone()))
}

async fn payment(state: Data<State>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    state.holds.pass(&id).await;
    let fault = {
        let mut book = state.book();
        let own = book.payment_faults.get_mut(&*id).and_then(VecDeque::pop_front);
        own.or(book.draw())
    };
    let seller = match seller_unless(fault, &state, &request) {
        Ok(seller) => seller,
        Err(answer) => return *answer,
    };
    let book = state.book();
    let known = if request.extensions().contains::<IsStale>() {
        book.before(&id)
    } else {
        book.payment(&id)
    };
    match known {
        Some(payment) if payment["collector_id"] == seller => answered(payment),
        _ => refusal(404, 2000, "Payment not found"),
    }
}

async fn find(
    state: Data<State>,
    request: HttpRequest,
    query: Query<HashMap<String, String>>,
) -> HttpResponse {
    let seller = match seller(&state, &request) {
        Ok(seller) => seller,
        Err(answer) => return *answer,
    };
    let now = state.clock.now_ms();
    match search::answer(&state.book(), seller, &query, now) {
        Ok(found) => HttpResponse::Ok().json(found),
        Err((code, message)) => refusal(400, code, message),
    }
}

async fn find_orders(
    state: Data<State>,
    request: HttpRequest,
    query: Query<HashMap<String, String>>,
) -> HttpResponse {
    let seller = match seller(&state, &request) {
        Ok(seller) => seller,
        Err(answer) => return *answer,
    };
    let now = state.clock.now_ms();
    match search::orders(&state.book(), seller, &query, now) {
        Ok(found) => HttpResponse::Ok().json(found),
        Err((code, message)) => refusal(400, code, message),
    }
}

async fn chargeback(state: Data<State>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    let document = state.book().chargebacks.get(&*id).cloned();
    owned(&state, &request, document)
}

async fn merchant_order(state: Data<State>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    let document = state.book().merchant_orders.get(&*id).cloned();
    owned(&state, &request, document)
}

async fn order(state: Data<State>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    let seller = match seller(&state, &request) {
        Ok(seller) => seller,
        Err(answer) => return *answer,
    };
    let book = state.book();
    match book.orders.get(&(seller, id.into_inner())) {
        Some(order) => answered(order),
        None => refusal(404, 0, "order not found"),
    }
}

fn owned(state: &State, request: &HttpRequest, document: Option<Value>) -> HttpResponse {
    match (seller(state, request), document) {
        (Err(answer), _) => *answer,
        (Ok(seller), Some(document)) if document["collector_id"] == seller => answered(&document),
        _ => refusal(404, 0, "resource not found"),
    }
}
