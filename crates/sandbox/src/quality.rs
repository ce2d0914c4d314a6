//! `GET /v{version}/dataset_quality`: Meta's score of a dataset's events, in the documented shape. The score
//! itself is made up, since Meta's is not public: more kinds of identifiers on more events give more.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::graph;
use crate::records::EventFilter;
use crate::refusal::Refusal;
use crate::server::State;

/// Meta's words, our keys, and points of a made-up 10.
const IDENTIFIERS: [(&str, &str, f64); 7] = [
    ("email", "em", 3.0),
    ("phone", "ph", 2.0),
    ("fbc", "fbc", 1.5),
    ("external_id", "external_id", 1.5),
    ("ip_address", "client_ip_address", 1.0),
    ("user_agent", "client_user_agent", 0.5),
    ("fbp", "fbp", 0.5),
];

#[derive(Deserialize)]
pub(crate) struct Asked {
    dataset_id: Option<String>,
    fields: Option<String>,
}

pub(crate) async fn answer(
    state: Data<State>,
    _version: Path<String>,
    asked: Query<Asked>,
    request: HttpRequest,
) -> HttpResponse {
    match judge(&state, &asked, &request) {
        Ok(body) => HttpResponse::Ok().json(body),
        Err(refusal) => graph::refuse(StatusCode::BAD_REQUEST, &refusal, false, &graph::fbtrace_id()),
    }
}

fn judge(state: &State, asked: &Asked, request: &HttpRequest) -> Result<Value, Refusal> {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = header
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| Refusal::plain(104, None, "An access token is required to request this resource."))?;
    let mut grants = state
        .config
        .tokens
        .iter()
        .filter(|grant| grant.token == token)
        .peekable();
    if grants.peek().is_none() {
        return Err(Refusal::plain(
            190,
            None,
            "Invalid OAuth access token - Cannot parse access token",
        ));
    }
    if state
        .config
        .send_only_tokens
        .iter()
        .any(|send_only| send_only == token)
    {
        return Err(Refusal::plain(
            10,
            None,
            "(#10) Application does not have permission for this action",
        ));
    }
    let dataset = asked
        .dataset_id
        .as_deref()
        .ok_or_else(|| Refusal::parameter("(#100) The parameter dataset_id is required"))?;
    let is_granted = grants.any(|grant| {
        grant
            .dataset_id
            .as_deref()
            .is_none_or(|granted| granted == dataset)
    });
    if !is_granted {
        let message = format!("Unsupported get request. Object with ID '{dataset}' does not exist");
        return Err(Refusal::plain(100, Some(33), message));
    }
    if !asked.fields.as_deref().unwrap_or_default().starts_with("web{") {
        // Without fields Meta answers with nothing but ids.
        return Ok(json!({ "web": [] }));
    }
    let filter = EventFilter {
        dataset_id: Some(dataset.to_owned()),
        ..EventFilter::default()
    };
    let mut by_name: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in state.book().records.events(&filter) {
        by_name
            .entry(event.event_name.clone())
            .or_default()
            .push(event.json());
    }
    let entries: Vec<Value> = by_name
        .into_iter()
        .map(|(name, events)| entry(&name, &events))
        .collect();
    Ok(json!({ "web": entries }))
}

fn entry(name: &str, events: &[Value]) -> Value {
    let share = |key: &str| {
        let carrying = events
            .iter()
            .filter(|event| !event["user_data"][key].is_null())
            .count();
        carrying as f64 / events.len() as f64
    };
    let score: f64 = IDENTIFIERS
        .iter()
        .map(|(_, key, points)| share(key) * points)
        .sum();
    let feedback: Vec<Value> = IDENTIFIERS
        .iter()
        .filter(|(_, key, _)| share(key) > 0.0)
        .map(|(identifier, key, points)| {
            json!({
                "identifier": identifier,
                "coverage": { "percentage": rounded(100.0 * share(key)) },
                "potential_aly_acr_increase": { "percentage": rounded((1.0 - share(key)) * points), "description": "..." },
            })
        })
        .collect();
    json!({
        "event_name": name,
        "event_match_quality": { "composite_score": rounded(score), "match_key_feedback": feedback, "diagnostics": [] },
        "event_coverage": { "percentage": 100, "goal_percentage": 75 },
        "data_freshness": { "upload_frequency": "real_time" },
        "dedupe_key_feedback": [{
            "dedupe_key": "event_id",
            "browser_events_with_dedupe_key": { "percentage": 100 },
            "server_events_with_dedupe_key": { "percentage": 100 },
            "overall_browser_coverage_from_dedupe_key": { "percentage": 100 },
        }],
    })
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
