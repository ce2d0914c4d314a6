//! `GET /api/meta/failed` and `POST /api/meta/retry-failed`: events that are not tried again by themselves.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use rastro_store::RetryRequest;
use tracing::info;
use uuid::Uuid;

use crate::app::Desk;
use crate::handlers::{operator, read_body, unavailable};
use crate::openapi::parts::{OperatorName, problems};
use crate::problem::Problem;
use crate::wire::dead_letters::{FailedEvents, FailedQuery, RetryOrder, RetryReceipt, Wanted};

problems! {
    /// How a look can be refused.
    ListProblems {
        "401" => "There is no valid API key.",
        "403" => "The key is no admin key.",
        "422" => "Every wrong parameter is listed.",
        "503" => "The database did not answer.",
    }
}

/// Shows dead letters.
#[utoipa::path(
    get,
    path = "/api/meta/failed",
    tag = "operators",
    operation_id = "listFailedEvents",
    summary = "See the events that failed for good",
    description = "Counted by dataset, reason and Meta's code, or listed in the order of their numbers. Never what an event says.",
    security(("adminKey" = [])),
    params(
        ("dataset_id" = Option<String>, Query, description = "Only of this dataset."),
        ("reason" = Option<String>, Query, description = "refused, exhausted, expired, missing, dataset_deleted or set_aside."),
        ("error_code" = Option<i32>, Query, description = "Meta's code."),
        ("group" = Option<bool>, Query, description = "true (the default): counted. false: listed."),
        ("after" = Option<i64>, Query, description = "With group=false: the next of the answer before."),
        ("limit" = Option<i64>, Query, description = "With group=false: how many at once, 1 to 1000; 100 by default."),
    ),
    responses(
        (status = 200, description = "The dead letters.", body = FailedEvents),
        ListProblems,
    )
)]
pub(crate) async fn list(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let request_id = Uuid::now_v7();
    let failed = failed(&desk, &request, request_id).await;
    match failed {
        Ok(failed) => HttpResponse::Ok().json(failed),
        Err(problem) => problem.into_response(request_id),
    }
}

async fn failed(desk: &Desk, request: &HttpRequest, request_id: Uuid) -> Result<FailedEvents, Problem> {
    operator(desk, request).await?;
    let FailedQuery { filter, wanted } = FailedQuery::parse(request.query_string())?;
    let found = match wanted {
        Wanted::Groups => desk
            .store
            .dead_letter_groups(&filter)
            .await
            .map(FailedEvents::groups),
        Wanted::Page { after, limit } => {
            let page = desk.store.dead_letters(&filter, after, limit).await;
            page.map(|page| FailedEvents::page(page, limit))
        }
    };
    found.map_err(|error| unavailable(&error, request_id))
}

problems! {
    /// How an order can be refused.
    RetryProblems {
        "400" => "The body is not JSON.",
        "401" => "There is no valid API key.",
        "403" => "The key is no admin key.",
        "408" => "The request did not arrive in time.",
        "413" => "The body is too large.",
        "415" => "The body is not sent as application/json.",
        "422" => "Every wrong field is listed.",
        "503" => "The database did not answer. Ask again: what is retried already no longer matches.",
    }
}

/// Sends dead letters again.
#[utoipa::path(
    post,
    path = "/api/meta/retry-failed",
    tag = "operators",
    operation_id = "retryFailedEvents",
    summary = "Send failed events again",
    description = "Every condition that is given must hold, and at least one must be, or all. The events are due again with \
        all their retries, and each is logged with the time and who asked. Asking twice retries once.",
    request_body(content = crate::openapi::RetryFailedBody, content_type = "application/json"),
    security(("adminKey" = [])),
    params(OperatorName),
    responses(
        (status = 200, description = "What was done, or would be.", body = RetryReceipt),
        RetryProblems,
    )
)]
pub(crate) async fn retry(desk: Data<Desk>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let request_id = Uuid::now_v7();
    let retried = retried(&desk, &request, payload, request_id).await;
    match retried {
        Ok(receipt) => HttpResponse::Ok().json(receipt),
        Err(problem) => problem.into_response(request_id),
    }
}

async fn retried(
    desk: &Desk,
    request: &HttpRequest,
    payload: Payload,
    request_id: Uuid,
) -> Result<RetryReceipt, Problem> {
    let who = operator(desk, request).await?;
    let order = RetryOrder::parse(&read_body(desk, request, payload).await?)?;
    let how = RetryRequest {
        dry_run: order.dry_run,
        spread: order.spread,
        at_most: order.limit,
        request_id,
        note: &format!("retried by {who}"),
    };
    let count = desk.store.retry_failed(&order.filter, &how).await;
    let count = count.map_err(|error| unavailable(&error, request_id))?;
    if !order.dry_run {
        info!(request.id = %request_id, "{} dead letters are retried by {who}", count.retried);
    }
    Ok(RetryReceipt::new(request_id, order.dry_run, count))
}
