//! `PATCH /api/leads/{lead_id}`: a lead moves on, as the business's own system tells.

use std::borrow::Cow;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use chrono::Datelike;
use rastro_core::event::{Event, Intake};
use rastro_core::finding::{Finding, Findings};
use rastro_core::json::{Json, Object, without_half_characters};
use rastro_core::lead::Lead;
use rastro_core::lead_status::LeadStatus;
use rastro_service::telemetry::{ErrorChain, trace_context};
use rastro_store::{
    Acceptance, ApiKeyKind, KeptAnswer, LeadStep, NewEvent, Origin, Stepped, StoreError, StoredLead,
};
use secrecy::ExposeSecret;
use tracing::{Instrument, Span, warn};
use uuid::Uuid;

use super::capture::test_event_code;
use crate::app::App;
use crate::auth::KnownKey;
use crate::browser::Caller;
use crate::cors;
use crate::handlers::span;
use crate::idempotency;
use crate::metrics::EventResult;
use crate::openapi::parts::{IdempotencyKey, problems};
use crate::problem::Problem;
use crate::wire::capture::LeadStepReceipt;
use crate::wire::fields::Fields;

const STATUSES: &str = "qualified, scheduled, customer or lost";
/// Of the browser that wrote the lead, and not of whoever tells of it now.
const NOT_REMEMBERED: [&str; 2] = ["client_ip_address", "client_user_agent"];

problems! {
    /// How a step can be refused.
    StepProblems {
        "400" => "The body is not JSON.",
        "401" => "There is no valid API key.",
        "403" => "The key is no secret key, or may not send the event that this becomes.",
        "404" => "The key's dataset has no such lead.",
        "408" => "The request did not arrive in time.",
        "409" => "The lead has come further than this, or (with Retry-After) the idempotency key is being answered.",
        "413" => "The body is too large.",
        "415" => "The body is not sent as JSON.",
        "422" => "Every wrong field is listed. Or the idempotency key came with another body.",
        "429" => "The key sends more than it may.",
        "503" => "Nothing is known to have changed. Send the same again.",
    }
}

/// Moves a lead on. Where its dataset says so it becomes an event, once for ever, in the same commit: by
/// default a Schedule when it is scheduled. A lead whose person was erased moves on, is counted, and becomes
/// no event any more: a warning says so.
#[utoipa::path(
    patch,
    path = "/api/leads/{lead_id}",
    tag = "business",
    operation_id = "changeLead",
    summary = "Move a lead on",
    params(
        ("lead_id" = i64, Path, description = "The lead_id of the answer to its capture."),
        IdempotencyKey,
    ),
    request_body(content = crate::openapi::LeadStepBody, content_type = "application/json"),
    security(("apiKey" = [])),
    responses(
        (status = 200, description = "The lead has this status, now or since before.", body = LeadStepReceipt<'static>),
        StepProblems,
    )
)]
pub(crate) async fn change(
    app: Data<App>,
    request: HttpRequest,
    lead: Path<String>,
    payload: Payload,
) -> HttpResponse {
    let request_id = cors::request_id(&request);
    let response = changed(&app, &request, &lead, payload, request_id).await;
    let response = response.unwrap_or_else(|problem| problem.into_response(request_id));
    app.metrics.answered(response.status());
    response
}

async fn changed(
    app: &App,
    request: &HttpRequest,
    lead_id: &str,
    payload: Payload,
    request_id: Uuid,
) -> Result<HttpResponse, Problem> {
    let caller = Caller::of(app, request, request_id).await?;
    if !app.traces {
        return take_in(app, &caller, request, lead_id, payload, request_id).await;
    }
    let span = span::of(request, request_id, caller.key.caller.kind == ApiKeyKind::Secret);
    let answered = take_in(app, &caller, request, lead_id, payload, request_id)
        .instrument(span.clone())
        .await;
    span::answered(
        &span,
        answered
            .as_ref()
            .map_or_else(Problem::status, HttpResponse::status),
    );
    answered
}

async fn take_in(
    app: &App,
    caller: &Caller,
    request: &HttpRequest,
    lead_id: &str,
    payload: Payload,
    request_id: Uuid,
) -> Result<HttpResponse, Problem> {
    let key = &*caller.key;
    if key.caller.kind != ApiKeyKind::Secret {
        return Err(Problem::forbidden(
            "a lead is moved on by a server, with a secret key",
        ));
    }
    let lead_id: i64 = lead_id.parse().map_err(|_| Problem::unknown_lead())?;
    let text = caller.read_body(app, request, payload).await;
    let text = caller.refused(app, request_id, text).await?;
    let text = without_half_characters(&text);
    let step = caller.refused(app, request_id, read(&text)).await;
    let (status, in_body) = step?;
    key.admit(1)?;

    let dataset = key.caller.dataset_id;
    let idempotent = match idempotency::key_of(request, in_body.as_deref())? {
        None => None,
        Some(idempotency_key) => {
            let body = Json::parse(&text).map_err(|error| Problem::malformed(error.to_string()))?;
            let hash = idempotency::hash(request.path(), &body);
            match idempotency::begin(app, key, idempotency_key, hash).await? {
                Ok(idempotent) => Some(idempotent),
                Err(answered) => return Ok(answered),
            }
        }
    };
    let lead = app.store.lead(dataset, lead_id).await.map_err(unavailable)?;
    let lead = lead.ok_or_else(Problem::unknown_lead)?;
    let (event, warnings) = event(app, key, lead_id, &lead, status, request_id).await?;
    let withheld = event.as_ref().is_some_and(|event| event.withheld);
    let answer = |stepped: &Stepped| answer(stepped, lead_id, status, withheld, request_id, &warnings);
    let step = LeadStep {
        dataset_id: dataset,
        lead_id,
        status,
        event,
        // What is kept is made of what became of the lead, not of a request that brings events.
        idempotency: idempotent.as_ref().map(|idempotent| {
            idempotent.stored_as(key, Box::new(move |_| Problem::unavailable().kept(request_id)))
        }),
    };
    let stepped = app.store.move_lead(&step, answer).await.map_err(unavailable)?;
    match (&stepped, &idempotent) {
        (Stepped::KeyTaken, Some(idempotent)) => return idempotent.answer_of_the_first(app, key).await,
        (
            Stepped::Now {
                acceptance: Some(acceptance),
                ..
            },
            _,
        ) => {
            let result = match acceptance {
                Acceptance::Accepted { .. } => EventResult::accepted,
                Acceptance::Duplicate(_) => EventResult::duplicate,
            };
            app.metrics.count(result, 1);
        }
        _ => {}
    }
    Ok(idempotency::respond(answer(&stepped)))
}

/// The status, and the idempotency key of the body.
fn read(text: &[u8]) -> Result<(LeadStatus, Option<String>), Problem> {
    let mut fields = Fields::of_body(text)?;
    let names_status = fields.names("status");
    let status = fields.take("status", STATUSES, |status| {
        LeadStatus::parse(status.as_str()?).filter(|status| *status != LeadStatus::New)
    });
    let key = fields.take("idempotency_key", "a text of 1 to 255 bytes", |key| {
        key.as_str()
            .filter(|key| (1..=255).contains(&key.len()))
            .map(str::to_owned)
    });
    if !names_status {
        fields.wrong("status", &format!("is required: {STATUSES}"));
    }
    fields.finish()?;
    // One that could not be read was refused.
    Ok((status.unwrap_or(LeadStatus::New), key))
}

/// What the lead becomes at this status, if anything, and what was left out of it. A lead that Meta could not
/// find anybody by becomes nothing, and moves on all the same.
async fn event(
    app: &App,
    key: &KnownKey,
    lead_id: i64,
    lead: &StoredLead,
    status: LeadStatus,
    request_id: Uuid,
) -> Result<(Option<NewEvent>, Vec<Finding>), Problem> {
    let caller = &key.caller;
    let Some(name) = caller.settings.lead_events.of(status) else {
        return Ok((None, Vec::new()));
    };
    key.may_send(name).map_err(|mut error| {
        error.pointer = "/status".to_owned();
        Problem::not_for_this_key(vec![error])
    })?;
    let first = app
        .store
        .payload(caller.dataset_id, lead_id)
        .await
        .map_err(unavailable)?;
    let now = app.clock.now();
    let intake = Intake {
        now_ms: now.timestamp_millis(),
        current_year: now.year(),
        defaults: caller.settings.defaults,
        consent_refused: lead.ads_refused,
        ..Intake::default()
    };
    let id = app.store.step_event_id(caller.dataset_id, lead_id, status);
    let (page, told) = told_before(first.as_deref().unwrap_or_default());
    match step_event(id, lead, page.as_deref(), told, name, &intake) {
        Ok((event, warnings)) => {
            let origin = Origin {
                dataset_id: caller.dataset_id,
                test_event_code: test_event_code(key, now).to_owned(),
                key_id: Some(caller.key_id),
                request_id,
                // Of the request's span, within which this is called.
                traceparent: app
                    .traces
                    .then(|| trace_context::traceparent(&Span::current()))
                    .flatten(),
                withheld: lead.ads_refused,
            };
            Ok((Some(NewEvent::new(&event, origin)), warnings))
        }
        Err(errors) => Ok((None, errors)),
    }
}

fn step_event<'a>(
    id: String,
    lead: &'a StoredLead,
    page: Option<&'a str>,
    told: Object<'a>,
    name: &'a str,
    intake: &Intake<'a>,
) -> Result<(Event<'a>, Vec<Finding>), Vec<Finding>> {
    let nothing_of = |why: &'static str| {
        vec![Finding {
            pointer: "/lead".to_owned(),
            detail: why.into(),
        }]
    };
    let contact = lead.contact.as_ref();
    let contact = contact.ok_or_else(|| nothing_of("was erased: the lead moves on, and becomes no event"))?;
    let form = Json::parse(contact.expose_secret().as_bytes())
        .map_err(|_| nothing_of("cannot be read as it is stored"))?;
    let mut findings = Findings::default();
    let Some(read) = Lead::read(form, intake, &mut findings) else {
        return Err(findings.errors);
    };
    let mut remembered: Object<'a> = [("fbc", &lead.fbc), ("fbp", &lead.fbp)]
        .into_iter()
        .filter_map(|(name, id)| Some((Cow::Borrowed(name), Json::String(id.as_deref()?.into()))))
        .collect();
    remembered.extend(told);
    read.step(id, name, page, &remembered, intake)
}

/// Where the lead's first event was, and what it told of the person, hashed as it is stored. Nothing, once
/// that event is not kept any more.
fn told_before(payload: &str) -> (Option<Cow<'_, str>>, Object<'_>) {
    let Ok(Json::Object(fields)) = Json::parse(payload.as_bytes()) else {
        return (None, Object::new());
    };
    let (mut page, mut person) = (None, Object::new());
    for (name, value) in fields {
        match (&*name, value) {
            ("event_source_url", Json::String(url)) => page = Some(url),
            ("user_data", Json::Object(user_data)) => person = user_data,
            _ => {}
        }
    }
    person.retain(|(name, _)| !NOT_REMEMBERED.contains(&&**name));
    (page, person)
}

fn answer(
    stepped: &Stepped,
    lead_id: i64,
    status: LeadStatus,
    withheld: bool,
    request_id: Uuid,
    warnings: &[Finding],
) -> KeptAnswer {
    let (changed, acceptance) = match stepped {
        Stepped::Now { changed, acceptance } => (*changed, *acceptance),
        Stepped::Unknown => return Problem::unknown_lead().kept(request_id),
        Stepped::NotFrom(now) => return Problem::not_a_step(now.as_str(), status.as_str()).kept(request_id),
        Stepped::KeyTaken => return Problem::unavailable().kept(request_id),
    };
    let receipt = LeadStepReceipt {
        lead_id,
        status: status.as_str(),
        changed,
        forwarding: match acceptance {
            Some(Acceptance::Accepted { .. }) if withheld => "withheld",
            Some(Acceptance::Accepted { .. }) => "queued",
            Some(Acceptance::Duplicate(_)) => "duplicate",
            None => "none",
        },
        request_id,
        warnings,
    };
    KeptAnswer {
        status: 200,
        body: serde_json::to_string(&receipt).expect("text, numbers and lists can be written"),
    }
}

fn unavailable(error: StoreError) -> Problem {
    warn!("a lead could not be moved on: {}", ErrorChain(&error));
    Problem::unavailable()
}
