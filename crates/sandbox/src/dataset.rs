//! A dataset as a node of the graph: `GET /v{major}.{minor}/{dataset_id}?fields=id,name`.
//!
//! As at Meta, a node answers its id and the fields that are asked for, an unknown field refuses the whole
//! request, and a token that may not see the node cannot tell it from one that does not exist.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value};

use crate::graph::{authorise, fbtrace_id, refuse};
use crate::refusal::Refusal;
use crate::server::State;
use crate::submission::Submission;

/// The fields of an AdsPixel that the sandbox knows. Source: Meta, "Ads Pixel" reference.
const FIELDS: [&str; 4] = ["id", "name", "is_unavailable", "creation_time"];

/// Answers the fields that are asked for; without any, the id alone, as Meta does.
pub(crate) async fn show(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> HttpResponse {
    let (version, dataset_id) = path.into_inner();
    match read(&state, &dataset_id, &request) {
        Ok(node) => HttpResponse::Ok()
            .insert_header(("facebook-api-version", version))
            .json(node),
        Err(refusal) => refuse(StatusCode::BAD_REQUEST, &refusal, false, &fbtrace_id()),
    }
}

fn read(state: &State, dataset_id: &str, request: &HttpRequest) -> Result<Map<String, Value>, Refusal> {
    let query = request.query_string();
    let submission = Submission::read(query, "application/x-www-form-urlencoded", b"")?;
    authorise(&state.config, "get", dataset_id, request, &submission)?;
    let asked = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "fields")
        .map(|(_, fields)| fields.into_owned())
        .unwrap_or_default();
    let mut node = Map::from_iter([("id".to_owned(), Value::from(dataset_id))]);
    for field in asked.split(',').map(str::trim).filter(|field| !field.is_empty()) {
        let value = match field {
            "id" => continue,
            "name" => Value::from(format!("Dataset {dataset_id}")),
            "is_unavailable" => Value::from(false),
            "creation_time" => Value::from("2024-01-01T00:00:00+0000"),
            unknown => {
                return Err(Refusal::parameter(format!(
                    "(#100) Tried accessing nonexisting field ({unknown}) on node type (AdsPixel); it has {}",
                    FIELDS.join(", ")
                )));
            }
        };
        node.insert(field.to_owned(), value);
    }
    Ok(node)
}
