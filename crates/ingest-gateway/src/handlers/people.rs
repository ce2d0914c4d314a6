//! `/api/admin/datasets/{dataset_id}/people/...`: what the law gives a person (LGPD, articles 18 and 16): to
//! see what is kept, and to be forgotten. On the private listener, with an admin key. Who the person is
//! stands in bodies only: addresses end up in logs.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use rastro_core::dataset::DatasetId;
use rastro_store::PersonSought;
use tracing::info;
use uuid::Uuid;

use crate::app::{Desk, only};
use crate::handlers::admin::{Refusals, answer, id_of};
use crate::handlers::{operator, read_body, unavailable};
use crate::openapi::parts::{DatasetNumber, OperatorName};
use crate::problem::Problem;
use crate::wire::fields::Fields;
use crate::wire::people::{
    ErasureList, ErasureView, Format, PersonExportView, PersonView, dry_run, format, named, named_wrongly,
};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    for (address, handler) in [
        (
            "/api/admin/datasets/{dataset_id}/people/find",
            web::post().to(find),
        ),
        (
            "/api/admin/datasets/{dataset_id}/people/erase",
            web::post().to(erase),
        ),
        (
            "/api/admin/datasets/{dataset_id}/people/export",
            web::post().to(export),
        ),
    ] {
        config.service(
            web::resource(address)
                .route(handler)
                .default_service(web::to(async || only(Uuid::now_v7(), "POST"))),
        );
    }
    config.service(
        web::resource("/api/admin/datasets/{dataset_id}/erasures")
            .route(web::get().to(erasures))
            .default_service(web::to(async || only(Uuid::now_v7(), "GET"))),
    );
}

/// What a request asks for, beside the person.
struct Asked {
    who: String,
    dataset: DatasetId,
    sought: PersonSought,
    dry_run: bool,
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Options {
    None,
    DryRun,
    Format,
}

/// Reads who asks for whom. A field that this address does not take is refused as unknown.
async fn asked(
    desk: &Desk,
    request: &HttpRequest,
    dataset: &str,
    payload: Payload,
    options: Options,
) -> Result<Asked, Problem> {
    let who = operator(desk, request).await?;
    let dataset = id_of(dataset)?;
    let body = read_body(desk, request, payload).await?;
    let mut fields = Fields::of_body(&body)?;
    let person = named(&mut fields);
    let dry_run = options == Options::DryRun && dry_run(&mut fields);
    let format = match options {
        Options::Format => format(&mut fields),
        Options::None | Options::DryRun => Format::Json,
    };
    if fields.is_wrong() {
        fields.finish()?;
        return Err(Problem::try_again("nothing was done; ask again"));
    }
    let sought = match desk.store.seek(dataset, &person).await {
        Ok(sought) => sought,
        Err(error) => {
            let failed = |error: &_| unavailable(error, Uuid::now_v7());
            return Err(named_wrongly(fields, error, failed));
        }
    };
    Ok(Asked {
        who,
        dataset,
        sought,
        dry_run,
        format,
    })
}

/// Finds what is kept of a person who is named by e-mail, phone, CPF or lead: numbers, nothing of the
/// content. Changes nothing, and is logged without the person.
#[utoipa::path(
    post, path = "/api/admin/datasets/{dataset_id}/people/find", tag = "people", operation_id = "findPerson",
    summary = "Find a person",
    request_body(content = crate::openapi::PersonBody, content_type = "application/json"),
    security(("adminKey" = [])),
    params(DatasetNumber, OperatorName),
    responses((status = 200, description = "What there is. Empty lists: nothing.", body = PersonView), Refusals)
)]
pub(crate) async fn find(
    desk: Data<Desk>,
    request: HttpRequest,
    dataset: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let found = async {
        let asked = asked(&desk, &request, &dataset, payload, Options::None).await?;
        let failed = |error| unavailable(&error, Uuid::now_v7());
        let (store, sought) = (&desk.store, asked.sought);
        store
            .log_look(asked.dataset, &sought, "person.find", &asked.who)
            .await
            .map_err(failed)?;
        let found = store.find_person(asked.dataset, &sought).await.map_err(failed)?;
        Ok::<_, Problem>(PersonView::new(sought, found))
    };
    answer(StatusCode::OK, found.await)
}

/// Forgets a person: contacts, look-ups, contacts with ads, and the content of events. What is still to be
/// sent is not sent. Orders and payments stay in the books, and are nobody's; payments made until now never
/// find the person again. It is finished even when nobody waits for the answer; one that is interrupted goes
/// on when it is asked for again. Events that Meta has, Meta keeps: there is no way to take them back.
#[utoipa::path(
    post, path = "/api/admin/datasets/{dataset_id}/people/erase", tag = "people", operation_id = "erasePerson",
    summary = "Forget a person",
    request_body(content = crate::openapi::ErasureBody, content_type = "application/json"),
    security(("adminKey" = [])),
    params(DatasetNumber, OperatorName),
    responses((status = 200, description = "The receipt, or what would be erased.", body = ErasureView), Refusals)
)]
pub(crate) async fn erase(
    desk: Data<Desk>,
    request: HttpRequest,
    dataset: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let erased = async {
        let asked = asked(&desk, &request, &dataset, payload, Options::DryRun).await?;
        let failed = |error| unavailable(&error, Uuid::now_v7());
        let store = desk.store.clone();
        if asked.dry_run {
            let log = store.log_look(asked.dataset, &asked.sought, "person.find", &asked.who);
            log.await.map_err(failed)?;
            let found = store.find_person(asked.dataset, &asked.sought).await;
            return Ok(ErasureView::would_be(&asked.sought, &found.map_err(failed)?));
        }
        // A client that hangs up does not interrupt it.
        let erasing = actix_web::rt::spawn(async move {
            let receipt = store
                .erase_person(asked.dataset, &asked.sought, &asked.who)
                .await?;
            info!(
                dataset_id = %asked.dataset,
                "{} had a person erased: receipt {}", asked.who, receipt.erasure_id
            );
            Ok(receipt)
        });
        let erased = erasing
            .await
            .map_err(|_| Problem::try_again("the erasure was interrupted; asked for again it goes on"))?;
        Ok::<_, Problem>(ErasureView::from(erased.map_err(failed)?))
    };
    answer(StatusCode::OK, erased.await)
}

/// Shows everything that is kept of a person, for the person. It is logged who saw it.
#[utoipa::path(
    post, path = "/api/admin/datasets/{dataset_id}/people/export", tag = "people", operation_id = "exportPerson",
    summary = "Export a person's data",
    request_body(content = crate::openapi::ExportBody, content_type = "application/json"),
    security(("adminKey" = [])),
    params(DatasetNumber, OperatorName),
    responses(
        (status = 200, description = "All of it. CSV has a fact a line: kind, number, field, value.",
            content((PersonExportView = "application/json"), (String = "text/csv"))),
        Refusals
    )
)]
pub(crate) async fn export(
    desk: Data<Desk>,
    request: HttpRequest,
    dataset: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let exported = async {
        let asked = asked(&desk, &request, &dataset, payload, Options::Format).await?;
        let exported = desk
            .store
            .export_person(asked.dataset, &asked.sought, &asked.who)
            .await;
        let exported = exported.map_err(|error| unavailable(&error, Uuid::now_v7()))?;
        Ok::<_, Problem>((exported, asked.format))
    };
    match exported.await {
        Ok((export, Format::Csv)) => HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8")
            .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
            .insert_header((
                CONTENT_DISPOSITION,
                HeaderValue::from_static("attachment; filename=\"person.csv\""),
            ))
            .body(export.to_csv()),
        Ok((export, Format::Json)) => answer(StatusCode::OK, Ok(PersonExportView::from(export))),
        Err(problem) => answer::<PersonExportView>(StatusCode::OK, Err(problem)),
    }
}

/// Lists the receipts of erasures, also of those by command. Nothing of the people.
#[utoipa::path(
    get, path = "/api/admin/datasets/{dataset_id}/erasures", tag = "people", operation_id = "listErasures",
    summary = "List erasures",
    security(("adminKey" = [])),
    params(DatasetNumber),
    responses((status = 200, description = "The newest first.", body = ErasureList), Refusals)
)]
pub(crate) async fn erasures(desk: Data<Desk>, request: HttpRequest, dataset: Path<String>) -> HttpResponse {
    let listed = async {
        operator(&desk, &request).await?;
        let dataset = id_of(&dataset)?;
        let failed = |error| unavailable(&error, Uuid::now_v7());
        let known = desk.store.dataset(dataset).await.map_err(failed)?;
        known.ok_or_else(Problem::unknown_dataset)?;
        let receipts = desk.store.erasures(dataset).await.map_err(failed)?;
        let erasures = receipts.into_iter().map(ErasureView::from).collect();
        Ok::<_, Problem>(ErasureList { erasures })
    };
    answer(StatusCode::OK, listed.await)
}
