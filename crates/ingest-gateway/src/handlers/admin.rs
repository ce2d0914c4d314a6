//! `/api/admin/...`: datasets, keys and the log of who changed them. On the private listener, with an admin
//! key.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use rastro_core::dataset::DatasetId;
use serde::Serialize;
use uuid::Uuid;

use crate::app::{Desk, only_at};
use crate::handlers::{operator, read_body};
use crate::openapi::parts::{DatasetNumber, OperatorName, problems};
use crate::problem::Problem;
use crate::wire::admin::{DatasetList, DatasetReceipt, DatasetView, KeyList, KeyReceipt, KeyView, LogPage};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            only_at("/api/admin/datasets", "GET, POST")
                .route(web::get().to(list_datasets))
                .route(web::post().to(create_dataset)),
        )
        .service(
            only_at("/api/admin/datasets/{dataset_id}", "GET, PATCH")
                .route(web::get().to(show_dataset))
                .route(web::patch().to(change_dataset)),
        )
        .service(only_at("/api/admin/datasets/{dataset_id}/token", "PUT").route(web::put().to(enter_token)))
        .service(
            only_at("/api/admin/datasets/{dataset_id}/retire", "POST").route(web::post().to(retire_dataset)),
        )
        .service(
            only_at("/api/admin/datasets/{dataset_id}/restore", "POST")
                .route(web::post().to(restore_dataset)),
        )
        .service(
            only_at("/api/admin/keys", "GET, POST")
                .route(web::get().to(list_keys))
                .route(web::post().to(create_key)),
        )
        .service(only_at("/api/admin/keys/{key_id}", "DELETE").route(web::delete().to(revoke_key)))
        .service(only_at("/api/admin/log", "GET").route(web::get().to(log)));
}

problems! {
    /// How these requests can be refused.
    pub(crate) Refusals {
        "400" => "The body is not JSON.",
        "401" => "There is no valid API key.",
        "403" => "The key is no admin key.",
        "404" => "There is nothing of this id.",
        "408" => "The request did not arrive in time.",
        "409" => "It is there already.",
        "413" => "The body is too large.",
        "415" => "The body is not sent as application/json.",
        "422" => "Every wrong field is listed. Nothing was changed.",
        "503" => "The database did not answer. Asking again is safe.",
    }
}

/// Lists all datasets, retired ones too.
#[utoipa::path(
    get, path = "/api/admin/datasets", tag = "administration", operation_id = "listDatasets", summary = "List datasets",
    security(("adminKey" = [])),
    responses((status = 200, description = "All of them, by name.", body = DatasetList), Refusals)
)]
pub(crate) async fn list_datasets(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        operator(&desk, &request).await?;
        desk.administration.datasets().await
    };
    answer(StatusCode::OK, listed.await)
}

/// Creates a dataset. Its access token is checked against Meta at once: the answer says what Meta calls the
/// dataset, or why not.
#[utoipa::path(
    post, path = "/api/admin/datasets", tag = "administration", operation_id = "createDataset", summary = "Create a dataset",
    request_body(content = crate::openapi::NewDatasetBody, content_type = "application/json"),
    security(("adminKey" = [])),
    params(OperatorName),
    responses((status = 201, description = "It is created.", body = DatasetReceipt), Refusals)
)]
pub(crate) async fn create_dataset(desk: Data<Desk>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let created = async {
        let who = operator(&desk, &request).await?;
        let body = read_body(&desk, &request, payload).await?;
        desk.administration.create_dataset(&body, &who).await
    };
    answer(StatusCode::CREATED, created.await)
}

/// Shows a dataset. Its access token is never shown.
#[utoipa::path(
    get, path = "/api/admin/datasets/{dataset_id}", tag = "administration", operation_id = "getDataset", summary = "See a dataset",
    security(("adminKey" = [])),
    params(DatasetNumber),
    responses((status = 200, description = "The dataset.", body = DatasetView), Refusals)
)]
pub(crate) async fn show_dataset(
    desk: Data<Desk>,
    request: HttpRequest,
    dataset: Path<String>,
) -> HttpResponse {
    let shown = async {
        operator(&desk, &request).await?;
        desk.administration.dataset(id_of(&dataset)?).await
    };
    answer(StatusCode::OK, shown.await)
}

/// Changes the settings that are named, and no others; null takes a setting away. Running gateways see it
/// within gateway.key_refresh_seconds.
#[utoipa::path(
    patch, path = "/api/admin/datasets/{dataset_id}", tag = "administration", operation_id = "changeDataset",
    summary = "Change a dataset",
    request_body(content = crate::openapi::DatasetBody, content_type = "application/json"),
    security(("adminKey" = [])),
    params(DatasetNumber, OperatorName),
    responses((status = 200, description = "The dataset as it is now.", body = DatasetView), Refusals)
)]
pub(crate) async fn change_dataset(
    desk: Data<Desk>,
    request: HttpRequest,
    dataset: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let changed = async {
        let who = operator(&desk, &request).await?;
        let dataset = id_of(&dataset)?;
        let body = read_body(&desk, &request, payload).await?;
        let changed = desk.administration.change_dataset(dataset, &body, &who).await?;
        desk.keyring.refresh().await;
        Ok::<_, Problem>(changed)
    };
    answer(StatusCode::OK, changed.await)
}

/// Enters another access token, checked against Meta at once. One that Meta does not accept is not stored.
#[utoipa::path(
    put, path = "/api/admin/datasets/{dataset_id}/token", tag = "administration", operation_id = "enterToken",
    summary = "Enter an access token",
    request_body(content = crate::openapi::TokenBody, content_type = "application/json"),
    security(("adminKey" = [])),
    params(DatasetNumber, OperatorName),
    responses((status = 200, description = "It is stored, sealed.", body = DatasetReceipt), Refusals)
)]
pub(crate) async fn enter_token(
    desk: Data<Desk>,
    request: HttpRequest,
    dataset: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let entered = async {
        let who = operator(&desk, &request).await?;
        let dataset = id_of(&dataset)?;
        let body = read_body(&desk, &request, payload).await?;
        desk.administration.enter_token(dataset, &body, &who).await
    };
    answer(StatusCode::OK, entered.await)
}

/// Ends a dataset: its keys open nothing from now on (other gateways: within gateway.key_refresh_seconds).
/// What was accepted is still sent, and nothing is deleted.
#[utoipa::path(
    post, path = "/api/admin/datasets/{dataset_id}/retire", tag = "administration", operation_id = "retireDataset",
    summary = "Retire a dataset",
    security(("adminKey" = [])),
    params(DatasetNumber, OperatorName),
    responses((status = 200, description = "The dataset as it is now.", body = DatasetView), Refusals)
)]
pub(crate) async fn retire_dataset(
    desk: Data<Desk>,
    request: HttpRequest,
    dataset: Path<String>,
) -> HttpResponse {
    let retired = async {
        let who = operator(&desk, &request).await?;
        let retired = desk.administration.retire_dataset(id_of(&dataset)?, &who).await?;
        desk.keyring.refresh().await;
        Ok::<_, Problem>(retired)
    };
    answer(StatusCode::OK, retired.await)
}

/// Takes a dataset's end back: its keys that were not revoked open again.
#[utoipa::path(
    post, path = "/api/admin/datasets/{dataset_id}/restore", tag = "administration", operation_id = "restoreDataset",
    summary = "Restore a dataset",
    security(("adminKey" = [])),
    params(DatasetNumber, OperatorName),
    responses((status = 200, description = "The dataset as it is now.", body = DatasetView), Refusals)
)]
pub(crate) async fn restore_dataset(
    desk: Data<Desk>,
    request: HttpRequest,
    dataset: Path<String>,
) -> HttpResponse {
    let restored = async {
        let who = operator(&desk, &request).await?;
        let restored = desk
            .administration
            .restore_dataset(id_of(&dataset)?, &who)
            .await?;
        desk.keyring.refresh().await;
        Ok::<_, Problem>(restored)
    };
    answer(StatusCode::OK, restored.await)
}

/// Lists keys, revoked ones too, the newest first. The keys themselves are stored nowhere.
#[utoipa::path(
    get, path = "/api/admin/keys", tag = "administration", operation_id = "listKeys", summary = "List keys",
    security(("adminKey" = [])),
    params(("dataset_id" = Option<String>, Query, description = "Only keys of this dataset.")),
    responses((status = 200, description = "The keys.", body = KeyList), Refusals)
)]
pub(crate) async fn list_keys(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        operator(&desk, &request).await?;
        desk.administration.keys(request.query_string()).await
    };
    answer(StatusCode::OK, listed.await)
}

/// Makes a key and shows it this once.
#[utoipa::path(
    post, path = "/api/admin/keys", tag = "administration", operation_id = "createKey", summary = "Make a key",
    request_body(content = crate::openapi::NewKeyBody, content_type = "application/json"),
    security(("adminKey" = [])),
    params(OperatorName),
    responses((status = 201, description = "The key.", body = KeyReceipt), Refusals)
)]
pub(crate) async fn create_key(desk: Data<Desk>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let created = async {
        let who = operator(&desk, &request).await?;
        let body = read_body(&desk, &request, payload).await?;
        let created = desk.administration.create_key(&body, &who).await?;
        // Whoever uses it at once is not told that it is unknown.
        desk.keyring.refresh().await;
        Ok::<_, Problem>(created)
    };
    answer(StatusCode::CREATED, created.await)
}

/// Revokes a key: it opens nothing from now on (other gateways: within gateway.key_refresh_seconds).
#[utoipa::path(
    delete, path = "/api/admin/keys/{key_id}", tag = "administration", operation_id = "revokeKey", summary = "Revoke a key",
    security(("adminKey" = [])),
    params(
        ("key_id" = i64, Path, description = "The key's number."),
        OperatorName,
    ),
    responses((status = 200, description = "The key as it is now.", body = KeyView), Refusals)
)]
pub(crate) async fn revoke_key(desk: Data<Desk>, request: HttpRequest, key: Path<String>) -> HttpResponse {
    let revoked = async {
        let who = operator(&desk, &request).await?;
        let key_id = key.parse().map_err(|_| Problem::unknown_key())?;
        let revoked = desk.administration.revoke_key(key_id, &who).await?;
        desk.keyring.refresh().await;
        Ok::<_, Problem>(revoked)
    };
    answer(StatusCode::OK, revoked.await)
}

/// Who changed which dataset or key, the newest first.
#[utoipa::path(
    get, path = "/api/admin/log", tag = "administration", operation_id = "listChanges", summary = "See who changed what",
    security(("adminKey" = [])),
    params(
        ("dataset_id" = Option<String>, Query, description = "Only of this dataset."),
        ("before" = Option<i64>, Query, description = "The next_before of an earlier answer, to read on."),
        ("limit" = Option<i64>, Query, description = "1 to 500, by default 100."),
    ),
    responses((status = 200, description = "A page of changes.", body = LogPage), Refusals)
)]
pub(crate) async fn log(desk: Data<Desk>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        operator(&desk, &request).await?;
        desk.administration.log(request.query_string()).await
    };
    answer(StatusCode::OK, listed.await)
}

pub(crate) fn id_of(dataset: &str) -> Result<DatasetId, Problem> {
    dataset.parse().map_err(|_| Problem::unknown_dataset())
}

/// Keys and settings are for nobody else to keep.
pub(crate) fn answer<T: Serialize>(status: StatusCode, result: Result<T, Problem>) -> HttpResponse {
    let mut response = match result {
        Ok(done) => HttpResponse::build(status).json(done),
        Err(problem) => problem.into_response(Uuid::now_v7()),
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
