//! `POST /api/purchases/record`: an order, as a page or a server knows it.

use std::borrow::Cow;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use rastro_core::event::Intake;
use rastro_core::finding::{Finding, Findings};
use rastro_core::json::{Json, Object};
use rastro_core::purchase::{Purchase, PurchaseSource, PurchaseStatus, carried_on, completed};
use rastro_core::user_data::UserData;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{
    Acceptance, ApiKeyKind, KnownLead, LastClicks, NewPurchase, NewRequest, PersonLookups, Record,
    StoreError, Stored,
};
use tracing::warn;

use super::capture::{Capture, Ready, Refused, RequestProblems, Subject, accepted, receive};
use crate::app::App;
use crate::browser::Consent;
use crate::openapi::parts::{IdempotencyKey, problems};
use crate::problem::Problem;
use crate::wire::capture::PurchaseReceipt;

problems! {
    /// How an order can be refused, beside what any request is refused for.
    PurchaseProblems {
        "409" => "The order was recorded before with this status or a later one, or by a server, and a page claims it; or (with Retry-After) its idempotency key is being answered.",
        "422" => "The order is not valid: every wrong field is listed. Or its idempotency key came with another body.",
    }
}

/// Records an order, once for good; an approved one becomes a Purchase with the order's id as its event
/// id. Recorded again with a later status it moves on, never back, and never becomes a second event. Where a
/// page claimed it before and a server approves it, the event has what the page knew of the browser. One
/// that says nobody whom Meta could find, or that is refunded or cancelled, is stored without an event,
/// with a warning. A claim (`pending`) is replaced by a later one as a whole, but a server's never by a
/// page's.
#[utoipa::path(
    post,
    path = "/api/purchases/record",
    tag = "business",
    operation_id = "recordPurchase",
    summary = "Record a purchase",
    params(IdempotencyKey),
    request_body(content(
        (crate::openapi::PurchaseBody = "application/json"),
        (String = "text/plain")
    ), description = "With a publishable key the same JSON may come as text/plain, which spares a page the preflight."),
    security(("apiKey" = []), ("keyInQuery" = [])),
    responses(
        RequestProblems,
        (status = 202, description = "The order is stored, or moved on. One that says nobody whom Meta could find becomes no event, with a warning.", body = PurchaseReceipt<'static>),
        PurchaseProblems,
    )
)]
pub(crate) async fn record(app: Data<App>, request: HttpRequest, payload: Payload) -> HttpResponse {
    receive::<Purchases>(&app, &request, payload).await
}

struct Purchases;

impl Subject for Purchases {
    const FIELD: &'static str = "purchase";
    const EVENT: &'static str = "Purchase";

    async fn take_in<'r>(
        capture: &Capture<'r>,
        subject: Json<'r>,
        event: Option<Json<'r>>,
    ) -> Result<Ready, Refused> {
        let mut findings = Findings::default();
        let Some(purchase) = Purchase::read(subject, &capture.intake, &mut findings) else {
            return Err(Refused::Invalid(findings.errors));
        };
        let mut warnings = findings.warnings;
        let status = status(capture, &purchase)?;

        let mut intake = capture.intake;
        let read = |intake: &Intake<'r>, event: Option<Json<'r>>, remembered: &[(Cow<'r, str>, Json<'r>)]| {
            match purchase.event(event, remembered, intake) {
                Err(errors) if !may_lack_event(status, &errors) => Err(Refused::Invalid(errors)),
                event => Ok(event),
            }
        };
        let mut read_event = read(&intake, event.clone(), &[])?;
        let nobody = UserData::default();
        let told = read_event.as_ref().map_or(&nobody, |(event, _)| &event.user_data);
        let lookups = capture.lookups(&purchase.keys, told);
        let sought = capture.lookups_to_seek(&purchase.keys, told);
        let dataset_id = capture.key.caller.dataset_id;
        let store = &capture.app.store;
        let found = async {
            let read_at = store.erasure_epoch(dataset_id).await?;
            let lead = store.find_lead(dataset_id, purchase.lead_id, &sought).await?;
            // A page that sends the order's number gets nothing of whoever placed it.
            let may_confirm =
                status == PurchaseStatus::Approved && capture.key.caller.kind == ApiKeyKind::Secret;
            let claim = match may_confirm {
                true => store.claimed_event(dataset_id, &purchase.order_id).await?,
                false => None,
            };
            Ok::<_, StoreError>((read_at, lead, claim))
        };
        let (read_at, lead, claim) = found.await.map_err(|error| {
            warn!(
                "a purchase's lead or claim could not be looked up: {}",
                ErrorChain(&error)
            );
            Refused::Unavailable
        })?;
        if let Some(lead) = &lead {
            // What the visitor said with this order counts more than what was said with the form.
            intake.consent_refused |= lead.ads_refused && capture.envelope.consent == Consent::NotSaid;
        }
        let clicks = last_clicks(capture, lead.as_ref(), &sought, intake.consent_refused).await?;
        let remembered = remembered(lead.as_ref(), clicks.as_ref());
        if lead.is_some() || clicks.is_some() {
            read_event = read(&intake, event.clone(), &remembered)?;
        }
        if let Some(claim) = &claim {
            let claimed = carried_on(claim);
            let person = claimed.iter().filter(|(name, _)| name == "user_data");
            let person = person.filter_map(|(_, person)| match person {
                Json::Object(person) => Some(person.clone()),
                _ => None,
            });
            let of_both: Object<'r> = person.flatten().chain(remembered).collect();
            // What a page claimed costs no order.
            if let Ok(Ok(completed)) = read(&intake, completed(event, &claimed), &of_both) {
                read_event = Ok(completed);
            }
        }
        if lead.is_none() && purchase.lead_id.is_some() {
            warnings.push(Finding {
                pointer: "/purchase/lead_id".to_owned(),
                detail: "was left out: there is no such lead".into(),
            });
        }
        let touchpoints = capture.touchpoints(&lookups, &mut warnings);
        let new_event = match read_event {
            Ok((event, more)) => {
                capture.may_be_from(event.action_source)?;
                warnings.extend(more);
                let mut new_event = capture.new_event(&event);
                new_event.withheld = intake.consent_refused;
                Capture::add_clicks(&mut new_event, &touchpoints);
                if let Some(clicks) = &clicks {
                    clicks.complete(&mut new_event.facts.page);
                }
                Some(new_event)
            }
            Err(errors) => {
                warnings.extend(errors.into_iter().map(why_no_event));
                None
            }
        };

        let is_claim = status == PurchaseStatus::Pending && !intake.consent_refused;
        let row = NewPurchase {
            dataset_id: dataset_id.as_i64(),
            order_id: purchase.order_id.clone().into_owned(),
            status,
            amount_minor: purchase.amount_minor,
            currency: purchase.currency.as_str().to_owned(),
            details: purchase.details.clone(),
            lead: lead.as_ref().map(|lead| (lead.lead_id, lead.method)),
            claimed_event: new_event
                .as_ref()
                .filter(|_| is_claim)
                .map(|event| event.payload.clone()),
            consent: capture.consent_record(),
            ads_refused: intake.consent_refused,
            key_id: Some(capture.key.caller.key_id),
            request_id: capture.request_id,
        };
        let event_id = match &new_event {
            Some(event) => event.id.clone(),
            None => purchase.order_id.clone().into_owned(),
        };
        let request_id = capture.request_id;
        let answer = move |stored: &Stored| {
            let Stored::Now {
                acceptances,
                purchase: Some(change),
                ..
            } = stored
            else {
                return Problem::unavailable().kept(request_id);
            };
            if !change.changed {
                return Problem::recorded_before().kept(request_id);
            }
            accepted(&PurchaseReceipt {
                status: "accepted",
                purchase_id: change.purchase_id,
                event_id: &event_id,
                forwarding: match acceptances.as_slice() {
                    _ if change.ads_refused => "withheld",
                    [] => "none",
                    [Acceptance::Duplicate(_), ..] => "duplicate",
                    _ => "queued",
                },
                request_id,
                warnings: &warnings,
            })
        };
        Ok(Ready {
            request: NewRequest {
                events: new_event
                    .into_iter()
                    .filter(|_| status == PurchaseStatus::Approved)
                    .collect(),
                record: Some(Record::Purchase(Box::new(row))),
                touchpoints,
                read_at: Some(read_at),
                ..NewRequest::default()
            },
            answer: Box::new(answer),
        })
    }
}

/// Whether the order is stored all the same when these are the errors of its event. What is refunded or
/// cancelled becomes none; nor does what says nobody whom Meta could find, and nobody can mend that
/// afterwards.
fn may_lack_event(status: PurchaseStatus, errors: &[Finding]) -> bool {
    const WHO: &str = "/event/user_data";
    match status {
        PurchaseStatus::Refunded | PurchaseStatus::Cancelled => true,
        PurchaseStatus::Pending | PurchaseStatus::Approved => {
            errors.iter().any(|error| error.pointer == WHO)
                && errors.iter().all(|error| error.pointer.starts_with(WHO))
        }
    }
}

fn why_no_event(error: Finding) -> Finding {
    Finding {
        detail: format!(
            "{}; the order is stored, and no event is made of it",
            error.detail
        )
        .into(),
        ..error
    }
}

/// The status as it is stored. Anyone can read a page's key: it claims, and it refunds nothing.
fn status(capture: &Capture<'_>, purchase: &Purchase<'_>) -> Result<PurchaseStatus, Refused> {
    let is_page = capture.key.caller.kind == ApiKeyKind::Publishable;
    let is_verified = capture.key.caller.settings.purchase_source == PurchaseSource::Verified;
    match purchase.status {
        PurchaseStatus::Approved if is_verified => Ok(PurchaseStatus::Pending),
        PurchaseStatus::Approved => capture.may_send("Purchase").map(|()| PurchaseStatus::Approved),
        PurchaseStatus::Refunded | PurchaseStatus::Cancelled if is_page => {
            Err(Refused::NotForThisKey(vec![Finding {
                pointer: "/purchase/status".to_owned(),
                detail: "is not for a page to say; send it from your server, with a secret key".into(),
            }]))
        }
        status => Ok(status),
    }
}

/// The clicks by which the buyer came, if the buyer is known and did not refuse ads.
async fn last_clicks(
    capture: &Capture<'_>,
    lead: Option<&KnownLead>,
    lookups: &PersonLookups,
    consent_refused: bool,
) -> Result<Option<LastClicks>, Refused> {
    if consent_refused {
        return Ok(None);
    }
    let lead_id = lead.map(|lead| lead.lead_id);
    let dataset_id = capture.key.caller.dataset_id;
    let clicks = capture.app.store.last_clicks(dataset_id, lead_id, lookups).await;
    clicks.map_err(|error| {
        warn!("a buyer's clicks could not be looked up: {}", ErrorChain(&error));
        Refused::Unavailable
    })
}

/// What the buyer's browser had, by Meta's names: as the lead has it, else the last click with its own time.
fn remembered<'a>(lead: Option<&KnownLead>, clicks: Option<&LastClicks>) -> Object<'a> {
    let fbp = lead.and_then(|lead| lead.fbp.clone());
    let fbc = lead.and_then(|lead| lead.fbc.clone()).or_else(|| clicks?.fbc());
    [("fbp", fbp), ("fbc", fbc)]
        .into_iter()
        .filter_map(|(name, id)| Some((Cow::Borrowed(name), Json::String(id?.into()))))
        .collect()
}
