//! `POST /api/leads/capture`: what somebody wrote into a form.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use rastro_core::finding::Findings;
use rastro_core::json::Json;
use rastro_core::lead::Lead;
use rastro_store::{Acceptance, ApiKeyKind, NewRequest, Record, Stored};

use super::capture::{Capture, Ready, Refused, RequestProblems, Subject, accepted, receive};
use crate::app::App;
use crate::openapi::parts::{IdempotencyKey, problems};
use crate::problem::Problem;
use crate::wire::capture::LeadReceipt;

problems! {
    /// How a lead can be refused, beside what any request is refused for.
    LeadProblems {
        "409" => "The lead was received before (of one without an event_id: the same content on the same day, UTC): with a secret key its lead_id is named. Or (with Retry-After) its idempotency key is being answered.",
        "422" => "The lead is not valid: every wrong field is listed. Or its idempotency key came with another body.",
    }
}

/// Takes a lead in: stores it with its contact data sealed, and its event, in one commit. One that names no
/// event_id and comes again with the same content on the same day (UTC) is a repeat, answered with 409. One of
/// a server whose event came before by another way is stored beside that event. An e-mail, a phone or a CPF
/// that cannot be read is left out with a warning where another e-mail or phone is good, unless whoever fills
/// in the form can be asked again (`asks`).
#[utoipa::path(
    post,
    path = "/api/leads/capture",
    tag = "business",
    operation_id = "captureLead",
    summary = "Capture a lead",
    params(IdempotencyKey),
    request_body(content(
        (crate::openapi::LeadBody = "application/json"),
        (String = "text/plain")
    ), description = "With a publishable key the same JSON may come as text/plain, which spares a page the preflight."),
    security(("apiKey" = []), ("keyInQuery" = [])),
    responses(
        RequestProblems,
        (status = 202, description = "The lead is stored. An e-mail, a phone or a CPF that cannot be read is left out of its event, with a warning, where another e-mail or phone can. Where the visitor can be asked again (asks) it is refused.", body = LeadReceipt<'static>),
        LeadProblems,
    )
)]
pub(crate) async fn capture(app: Data<App>, request: HttpRequest, payload: Payload) -> HttpResponse {
    receive::<Leads>(&app, &request, payload).await
}

struct Leads;

impl Subject for Leads {
    const FIELD: &'static str = "lead";
    const EVENT: &'static str = "Lead";

    async fn take_in<'r>(
        capture: &Capture<'r>,
        subject: Json<'r>,
        event: Option<Json<'r>>,
    ) -> Result<Ready, Refused> {
        let mut findings = Findings::default();
        let Some(mut lead) = Lead::read(subject, &capture.intake, &mut findings) else {
            return Err(Refused::Invalid(findings.errors));
        };
        lead.predicted = capture.predicted_value();
        let (event, warnings) = lead.event(event, &capture.intake).map_err(Refused::Invalid)?;
        capture.may_send(&event.name)?;
        capture.may_be_from(event.action_source)?;
        let mut all_warnings = findings.warnings;
        all_warnings.extend(warnings);

        let lookups = capture.lookups(&lead.keys, &event.user_data);
        let touchpoints = capture.touchpoints(&lookups, &mut all_warnings);
        let mut new_event = capture.new_event(&event);
        Capture::add_clicks(&mut new_event, &touchpoints);
        let mut new_lead = capture.app.store.new_lead(&new_event, &lead.contact, lookups);
        new_lead.fbp = event.user_data.fbp.as_deref().map(str::to_owned);
        new_lead.fbc = event.user_data.fbc.as_deref().map(str::to_owned);
        new_lead.consent = capture.consent_record();
        new_lead.may_come_late = capture.key.caller.kind == ApiKeyKind::Secret;
        let is_server = new_lead.may_come_late;

        let (event_id, request_id) = (new_event.id.clone(), capture.request_id);
        let forwarding = if new_event.withheld { "withheld" } else { "queued" };
        let answer = move |stored: &Stored| {
            let Stored::Now {
                acceptances,
                is_late_lead,
                ..
            } = stored
            else {
                return Problem::unavailable().kept(request_id);
            };
            let (lead_id, forwarding) = match acceptances.as_slice() {
                [Acceptance::Accepted { event_number }] => (*event_number, forwarding),
                [Acceptance::Duplicate(Some(first))] if *is_late_lead => (first.event_number, "duplicate"),
                // Whoever reads a page's key could ask for the number of any lead whose id can be guessed.
                [Acceptance::Duplicate(Some(first))] if is_server => {
                    return Problem::lead_received(first.at, first.event_number).kept(request_id);
                }
                [Acceptance::Duplicate(first)] => {
                    return Problem::duplicate(first.map(|first| first.at)).kept(request_id);
                }
                _ => return Problem::unavailable().kept(request_id),
            };
            accepted(&LeadReceipt {
                status: "accepted",
                lead_id,
                event_id: &event_id,
                forwarding,
                request_id,
                warnings: &all_warnings,
            })
        };
        Ok(Ready {
            request: NewRequest {
                events: vec![new_event],
                record: Some(Record::Lead(Box::new(new_lead))),
                touchpoints,
                ..NewRequest::default()
            },
            answer: Box::new(answer),
        })
    }
}
