//! `/api/meta/breaker/{dataset_id}`: whether a dataset's events are sent just now, and an operator's word on
//! it.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use rastro_core::dataset::DatasetId;
use tracing::info;
use uuid::Uuid;

use crate::app::Desk;
use crate::handlers::{operator, read_body, unavailable};
use crate::openapi::parts::{DatasetNumber, problems};
use crate::problem::Problem;
use crate::wire::breaker::{BreakerOrder, BreakerStatus};

problems! {
    /// How a look can be refused.
    ShowProblems {
        "401" => "There is no valid API key.",
        "403" => "The key is no admin key.",
        "404" => "There is no such dataset.",
        "503" => "The database did not answer.",
    }
}

/// Shows a breaker.
#[utoipa::path(
    get,
    path = "/api/meta/breaker/{dataset_id}",
    tag = "operators",
    operation_id = "getBreaker",
    summary = "See a dataset's circuit breaker",
    security(("adminKey" = [])),
    params(DatasetNumber),
    responses(
        (status = 200, description = "The breaker.", body = BreakerStatus),
        ShowProblems,
    )
)]
pub(crate) async fn show(desk: Data<Desk>, request: HttpRequest, dataset: Path<String>) -> HttpResponse {
    let request_id = Uuid::now_v7();
    let shown = async {
        operator(&desk, &request).await?;
        status(&desk, known(&dataset)?, request_id).await
    };
    answer(shown.await, request_id)
}

problems! {
    /// How an order can be refused.
    OrderProblems {
        "400" => "The body is not JSON.",
        "401" => "There is no valid API key.",
        "403" => "The key is no admin key.",
        "404" => "There is no such dataset.",
        "408" => "The request did not arrive in time.",
        "413" => "The body is too large.",
        "415" => "The body is not sent as application/json.",
        "422" => "Every wrong field is listed.",
        "503" => "Nothing is known to have changed. Ask again.",
    }
}

/// Overrides a breaker, or lets it decide by itself again.
#[utoipa::path(
    put,
    path = "/api/meta/breaker/{dataset_id}",
    tag = "operators",
    operation_id = "putBreaker",
    summary = "Override a dataset's circuit breaker",
    request_body(content = crate::openapi::BreakerBody, content_type = "application/json"),
    security(("adminKey" = [])),
    params(
        DatasetNumber,
        ("X-Operator" = Option<String>, Header, description = "Your name, for the note."),
    ),
    responses(
        (status = 200, description = "The breaker as it is now.", body = BreakerStatus),
        OrderProblems,
    )
)]
pub(crate) async fn put(
    desk: Data<Desk>,
    request: HttpRequest,
    dataset: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let request_id = Uuid::now_v7();
    answer(
        overridden(&desk, &request, &dataset, payload, request_id).await,
        request_id,
    )
}

async fn overridden(
    desk: &Desk,
    request: &HttpRequest,
    dataset: &str,
    payload: Payload,
    request_id: Uuid,
) -> Result<BreakerStatus, Problem> {
    let who = operator(desk, request).await?;
    let dataset = known(dataset)?;
    let text = read_body(desk, request, payload).await?;
    let BreakerOrder { mode, until_ms, note } = BreakerOrder::parse(&text, desk.clock.now())?;
    status(desk, dataset, request_id).await?;
    let why = note.as_deref().unwrap_or(mode.as_str());
    let changed = desk
        .store
        .update_breaker(dataset, Some(&format!("{who}: {why}")), |breaker, _| {
            Some(breaker.set_manual(mode, until_ms))
        })
        .await
        .map_err(|error| unavailable(&error, request_id))?;
    if !changed {
        return Err(Problem::try_again(
            "the breaker changed too often just now; ask again",
        ));
    }
    info!(request.id = %request_id, dataset_id = %dataset, "the breaker is {} by order of {who}: {why}", mode.as_str());
    status(desk, dataset, request_id).await
}

async fn status(desk: &Desk, dataset: DatasetId, request_id: Uuid) -> Result<BreakerStatus, Problem> {
    let window_ms = desk.breaker_window_ms;
    let report = desk.store.breaker_report(dataset, window_ms).await;
    let report = report
        .map_err(|error| unavailable(&error, request_id))?
        .ok_or_else(Problem::unknown_dataset)?;
    Ok(BreakerStatus::new(dataset, report, window_ms))
}

fn known(dataset: &str) -> Result<DatasetId, Problem> {
    dataset.parse().map_err(|_| Problem::unknown_dataset())
}

fn answer(status: Result<BreakerStatus, Problem>, request_id: Uuid) -> HttpResponse {
    match status {
        Ok(status) => HttpResponse::Ok().json(status),
        Err(problem) => problem.into_response(request_id),
    }
}
