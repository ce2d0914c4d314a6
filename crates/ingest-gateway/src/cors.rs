//! What a browser must read on an answer before it shows it to a page of another origin (CORS), and the
//! request's id.
//!
//! Every origin may read every answer: what an answer says depends on the key in the request, never on a
//! cookie, so a page learns nothing that it could not have asked for without a browser. Which pages may
//! *send* is decided by [`browser`](crate::browser), whose refusal the page must be able to read as well.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap,
    HeaderName, HeaderValue, ORIGIN, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Clone, Copy)]
struct RequestId(Uuid);

/// Around everything that a page may call: `.wrap(from_fn(cors::answer))`. Answers preflights itself,
/// whatever they ask for: they come without a key, and are about headers only.
pub(crate) async fn answer(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let request_id = RequestId(Uuid::now_v7());
    let origin = request.headers().get(ORIGIN).cloned();
    request.extensions_mut().insert(request_id);
    let mut response = match *request.method() {
        Method::OPTIONS => request.into_response(preflight()),
        _ => next.call(request).await?,
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(request_id.0.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    allow(headers, origin);
    Ok(response)
}

/// The id under which the request is logged, which is also its answer's `X-Request-Id`.
pub(crate) fn request_id(request: &HttpRequest) -> Uuid {
    let known = request.extensions().get::<RequestId>().copied();
    known.map_or_else(Uuid::now_v7, |RequestId(id)| id)
}

fn allow(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    // Pages send their cookies along, which is how the gateway can keep these alive.
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Retry-After, X-Request-Id"),
    );
}

fn preflight() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "POST"))
        .insert_header((
            ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, authorization, x-idempotency-key",
        ))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "7200"))
        .finish()
}
