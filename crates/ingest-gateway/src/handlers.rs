//! One file per resource. A handler reads the request, calls one thing, and writes the answer.

pub(crate) mod admin;
pub(crate) mod breaker;
pub(crate) mod conversions;
pub(crate) mod dead_letters;
pub(crate) mod graph;
pub(crate) mod lead_status;
pub(crate) mod leads;
pub(crate) mod people;
pub(crate) mod purchases;
pub(crate) mod webhooks;

mod capture;
mod span;

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Payload;
use rastro_core::finding::Finding;
use rastro_service::telemetry::ErrorChain;
use rastro_store::StoreError;
use tracing::warn;
use uuid::Uuid;

use crate::app::Desk;
use crate::body::{self, RequestBody};
use crate::problem::Problem;
use crate::wire::fields::line;

/// Who at the desk holds the admin key: optional, and taken at its word.
const OPERATOR_HEADER: &str = "x-operator";
const LONGEST_OPERATOR: usize = 100;

/// The request's `Authorization`.
pub(crate) fn authorization(request: &HttpRequest) -> Option<&str> {
    request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
}

/// Who asks, for the log: the label of the admin key, behind the name in `X-Operator` if there is one.
async fn operator(desk: &Desk, request: &HttpRequest) -> Result<String, Problem> {
    let label = desk.keyring.operator(authorization(request)).await?;
    let Some(name) = request.headers().get(OPERATOR_HEADER) else {
        return Ok(label.to_string());
    };
    let name = std::str::from_utf8(name.as_bytes())
        .ok()
        .and_then(|name| line(name, LONGEST_OPERATOR));
    let name = name.ok_or_else(|| {
        Problem::invalid_request(vec![Finding {
            pointer: "/X-Operator".to_owned(),
            detail: format!("must be a name of 1 to {LONGEST_OPERATOR} characters").into(),
        }])
    })?;
    Ok(format!("{name} ({label})"))
}

/// What an operator is told when the database does not answer. It is logged here: the cause is none of the
/// answer's.
fn unavailable(error: &StoreError, request_id: Uuid) -> Problem {
    warn!(request.id = %request_id, "an operator's request failed: {}", ErrorChain(error));
    Problem::try_again("the database did not do it just now; asking again is safe")
}

/// The body of a request that brings JSON, within the limits of an operator's.
async fn read_body(desk: &Desk, request: &HttpRequest, payload: Payload) -> Result<RequestBody, Problem> {
    body::read(&desk.memory, request, payload, desk.max_body_bytes, false).await
}
