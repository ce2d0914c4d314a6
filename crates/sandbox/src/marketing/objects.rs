//! What people make in an ad account: custom conversions, website audiences and lookalikes of them.
//!
//! Source: Meta, "Custom Conversions", "Website Custom Audiences", "Audience Rules" and "Lookalike
//! Audiences", and public reports of refusals. Stricter than Meta in two things, so that a client shows its
//! mistakes here: a parameter that the edge does not know is refused, and two objects of one name are.

mod checks;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::{Book, Parameters, answer};
use crate::refusal::Refusal;
use crate::server::State;

const CONVERSION_FIELDS: [&str; 10] = [
    "creation_time",
    "custom_event_type",
    "default_conversion_value",
    "description",
    "first_fired_time",
    "is_archived",
    "last_fired_time",
    "name",
    "pixel",
    "rule",
];
const AUDIENCE_FIELDS: [&str; 10] = [
    "approximate_count_lower_bound",
    "approximate_count_upper_bound",
    "delivery_status",
    "description",
    "lookalike_spec",
    "name",
    "operation_status",
    "retention_days",
    "rule",
    "subtype",
];

/// What the token of an account may do there beside reading.
#[derive(Debug, Clone)]
pub struct AdAccess {
    /// It has `ads_management`.
    pub manages: bool,
    /// Somebody accepted Meta's terms of Custom Audiences.
    pub terms_accepted: bool,
    /// The datasets (pixels) that the account may use.
    pub pixels: Vec<String>,
    pub most_conversions: usize,
    pub most_audiences: usize,
    pub most_lookalikes: usize,
}

impl AdAccess {
    /// All that is needed, with Meta's limits.
    pub fn to(pixel: &str) -> Self {
        AdAccess {
            manages: true,
            terms_accepted: true,
            pixels: vec![pixel.to_owned()],
            most_conversions: 100,
            most_audiences: 10_000,
            most_lookalikes: 500,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Conversions,
    Audiences,
}

#[derive(Debug)]
pub(super) struct Object {
    id: String,
    account: String,
    edge: Edge,
    fields: Map<String, Value>,
}

impl Object {
    fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn is_lookalike(&self) -> bool {
        self.text("subtype") == "LOOKALIKE"
    }
}

pub(super) fn routes(config: &mut ServiceConfig) {
    for edge in [Edge::Conversions, Edge::Audiences] {
        let name = match edge {
            Edge::Conversions => "customconversions",
            Edge::Audiences => "customaudiences",
        };
        let address = format!(r"/{{version:v\d+\.\d+}}/act_{{account:\d+}}/{name}");
        config.service(
            web::resource(address)
                .app_data(Data::new(edge))
                .route(web::get().to(list))
                .route(web::post().to(create)),
        );
    }
    // Meta's SDKs put a slash at the end of an object's address.
    let object = r"/{version:v\d+\.\d+}/{object:[78]\d{14}}";
    config.service(
        web::resource(vec![object.to_owned(), format!("{object}/")])
            .route(web::get().to(read))
            .route(web::post().to(update))
            .route(web::delete().to(delete)),
    );
}

async fn list(
    state: Data<State>,
    edge: Data<Edge>,
    path: Path<(String, String)>,
    request: HttpRequest,
    parameters: Parameters,
) -> HttpResponse {
    let (version, id) = path.into_inner();
    answer(&state, &request, |book, token| {
        book.account(&id, token)?;
        let fields = fields_of(&parameters, **edge)?;
        let number = |name: &str, default: usize| {
            let text = parameters.get(name);
            text.map_or(Ok(default), |text| text.parse())
                .map_err(|_| Refusal::parameter(format!("({name}) must be a number")))
        };
        let (limit, from) = (number("limit", 25)?, number("after", 0)?);
        let all: Vec<&Object> = book.objects_of(&id, **edge).collect();
        let until = (from + limit).min(all.len());
        let page = all
            .get(from..until)
            .ok_or_else(|| Refusal::parameter("Invalid cursor"))?;
        let rows: Vec<Value> = page.iter().map(|object| book.shown(object, &fields)).collect();
        let mut paging = json!({ "cursors": { "before": from.to_string(), "after": until.to_string() } });
        if until < all.len() {
            paging["next"] = json!(format!(
                "https://graph.facebook.com/{version}/act_{id}/x?access_token={token}&after={until}"
            ));
        }
        Ok(json!({ "data": rows, "paging": paging }))
    })
}

/// The fields that are asked for.
fn fields_of(parameters: &Parameters, edge: Edge) -> Result<Vec<&str>, Refusal> {
    let known = match edge {
        Edge::Conversions => CONVERSION_FIELDS.as_slice(),
        Edge::Audiences => AUDIENCE_FIELDS.as_slice(),
    };
    let fields: Vec<&str> = parameters
        .get("fields")
        .map_or_else(Vec::new, |fields| fields.split(',').collect());
    let unknown = fields
        .iter()
        .find(|field| **field != "id" && !known.contains(field));
    match unknown {
        Some(unknown) => {
            let message = format!("(#100) Tried accessing nonexisting field ({unknown})");
            Err(Refusal::parameter(message))
        }
        None => Ok(fields),
    }
}

async fn read(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    parameters: Parameters,
) -> HttpResponse {
    let (_, id) = path.into_inner();
    answer(&state, &request, |book, token| {
        let index = book.object(&id, token)?;
        let object = &book.objects[index];
        Ok(book.shown(object, &fields_of(&parameters, object.edge)?))
    })
}

async fn create(
    state: Data<State>,
    edge: Data<Edge>,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let (_, account) = path.into_inner();
    let now = state.config.clock.now_ms() / 1_000;
    let made = answer(&state, &request, |book, token| {
        book.managed(&account, token)?;
        let asked = parameters_of(&request, &body)?;
        let mut fields = match **edge {
            Edge::Conversions => checks::conversion(book, &account, &asked)?,
            Edge::Audiences => checks::audience(book, &account, &asked)?,
        };
        fields.insert("creation_time".to_owned(), json!(now));
        let (first, answer) = match **edge {
            Edge::Conversions => (8, json!({ "is_custom_event_type_predicted": "0" })),
            Edge::Audiences => (7, json!({})),
        };
        book.made += 1;
        let id = format!("{first}{:014}", book.made);
        book.objects.push(Object {
            id: id.clone(),
            account: account.clone(),
            edge: **edge,
            fields,
        });
        let mut answer = answer;
        answer["id"] = json!(id);
        Ok(answer)
    });
    unless_lost(&state, made)
}

async fn update(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let (_, id) = path.into_inner();
    let changed = answer(&state, &request, |book, token| {
        let index = book.object(&id, token)?;
        let asked = parameters_of(&request, &body)?;
        checks::update(book, index, &asked)?;
        book.objects[index].fields.extend(asked);
        Ok(json!({ "success": true }))
    });
    unless_lost(&state, changed)
}

async fn delete(state: Data<State>, path: Path<(String, String)>, request: HttpRequest) -> HttpResponse {
    let (_, id) = path.into_inner();
    answer(&state, &request, |book, token| {
        let index = book.object(&id, token)?;
        if book.objects[index].edge == Edge::Conversions {
            // It can only be archived, and that only by hand.
            return Err(Refusal::parameter("Unsupported delete request"));
        }
        book.objects.remove(index);
        Ok(json!({ "success": true }))
    })
}

/// What was done stays done; whoever asked does not learn of it.
fn unless_lost(state: &State, answer: HttpResponse) -> HttpResponse {
    let mut book = state.marketing.book();
    if book.lost_answers == 0 || !answer.status().is_success() {
        return answer;
    }
    book.lost_answers -= 1;
    HttpResponse::InternalServerError().body("<html>Sorry, something went wrong.</html>")
}

/// Parameters in a JSON object or in a form, whose numbers and truths are texts.
fn parameters_of(request: &HttpRequest, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if kind != Some("application/x-www-form-urlencoded") {
        return serde_json::from_slice(body).map_err(|_| Refusal::parameter("The body is not a JSON object"));
    }
    let pairs = form_urlencoded::parse(body).into_owned();
    pairs
        .map(|(name, text)| match name.as_str() {
            "retention_days" | "default_conversion_value" | "prefill" => serde_json::from_str(&text)
                .map(|value| (name.clone(), value))
                .map_err(|_| Refusal::parameter(format!("(#100) Param {name} is not valid"))),
            _ => Ok((name, Value::String(text))),
        })
        .collect()
}

impl Book {
    fn objects_of(&self, account: &str, edge: Edge) -> impl Iterator<Item = &Object> {
        self.objects
            .iter()
            .filter(move |object| object.account == account && object.edge == edge)
    }

    /// What the token may do with the account.
    fn managed(&self, account: &str, token: &str) -> Result<&AdAccess, Refusal> {
        self.account(account, token)?;
        self.access
            .get(account)
            .filter(|access| access.manages)
            .ok_or_else(|| {
                let message =
                    "(#200) The user does not have permission to manage this ad account (ads_management)";
                Refusal::plain(200, None, message)
            })
    }

    fn object(&self, id: &str, token: &str) -> Result<usize, Refusal> {
        let index = self.objects.iter().position(|object| object.id == id);
        let index = index.ok_or_else(|| {
            let message = format!("Unsupported request. Object with ID '{id}' does not exist");
            Refusal::plain(100, Some(33), message)
        })?;
        self.managed(&self.objects[index].account, token)?;
        Ok(index)
    }

    pub(super) fn everything(&self, account: &str) -> Vec<Value> {
        let objects = self.objects.iter().filter(|object| object.account == account);
        objects
            .map(|object| {
                let mut fields = object.fields.clone();
                fields.insert("id".to_owned(), json!(object.id));
                Value::Object(fields)
            })
            .collect()
    }

    pub(super) fn tamper(&mut self, id: &str, field: &str, value: Value) -> bool {
        let object = self.objects.iter_mut().find(|object| object.id == id);
        object.is_some_and(|object| {
            object.fields.insert(field.to_owned(), value);
            true
        })
    }

    fn people_of(&self, object: &Object) -> i64 {
        self.people.get(object.text("name")).copied().unwrap_or(0)
    }

    fn shown(&self, object: &Object, fields: &[&str]) -> Value {
        let mut shown = Map::from_iter([("id".to_owned(), json!(object.id))]);
        for field in fields {
            let value = match *field {
                "approximate_count_lower_bound" | "approximate_count_upper_bound" => {
                    Some(json!(self.people_of(object)))
                }
                "delivery_status" | "operation_status" => {
                    Some(json!({ "code": 200, "description": "Normal" }))
                }
                "is_archived" => Some(object.fields.get("is_archived").cloned().unwrap_or(json!(false))),
                "pixel" => object.fields.get("event_source_id").map(|id| json!({ "id": id })),
                field => object.fields.get(field).cloned(),
            };
            if let Some(value) = value {
                shown.insert((*field).to_owned(), value);
            }
        }
        Value::Object(shown)
    }
}
