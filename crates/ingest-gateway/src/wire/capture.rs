//! Leads and orders in and out.

use std::borrow::Cow;

use rastro_core::finding::Finding;
use rastro_core::json::{Json, Object};
use rastro_store::ApiKeyKind;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{finding, invalid, take, test_event_code};
use crate::browser::Envelope;
use crate::problem::{FieldError, Problem};

/// What a request brings beside its envelope.
pub(crate) struct Captured<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) subject: Json<'a>,
    pub(crate) event: Option<Json<'a>>,
    pub(crate) test_event_code: Option<Cow<'a, str>>,
    /// Of a lead: whoever filled in the form is shown what is wrong with it.
    pub(crate) can_ask: bool,
}

impl<'a> Captured<'a> {
    /// `subject`: the name of the field that the request is about.
    pub(crate) fn read(
        body: Json<'a>,
        subject: &str,
        kind: ApiKeyKind,
        now_ms: i64,
    ) -> Result<Self, Problem> {
        let mut fields: Object<'a> = match body {
            Json::Object(fields) => fields,
            other => {
                let detail = format!("must be {{\"{subject}\": {{...}}}}, not {}", other.kind());
                return Err(invalid(vec![finding("", detail)]));
            }
        };
        let mut errors = Vec::new();
        let envelope = Envelope::take(&mut fields, kind, now_ms, &mut errors);
        let test_event_code = test_event_code(&mut fields, &mut errors);
        let event = take(&mut fields, "event").filter(|event| *event != Json::Null);
        let can_ask = match subject {
            "lead" => take(&mut fields, "asks").unwrap_or(Json::Null),
            _ => Json::Null,
        };
        if !matches!(can_ask, Json::Null | Json::Bool(_)) {
            errors.push(finding("/asks", "must be true or false".to_owned()));
        }
        let subject_json = take(&mut fields, subject);
        // A page's script may be newer than this gateway.
        if kind == ApiKeyKind::Secret {
            errors.extend(fields.iter().map(|(name, _)| {
                let name: String = name.chars().take(64).collect();
                let name = name.replace('~', "~0").replace('/', "~1");
                finding(&format!("/{name}"), format!("is not known beside {subject}"))
            }));
        }
        match subject_json {
            Some(subject) if errors.is_empty() => Ok(Captured {
                envelope,
                subject,
                event,
                test_event_code,
                can_ask: can_ask == Json::Bool(true),
            }),
            found => {
                if found.is_none() {
                    errors.push(finding(&format!("/{subject}"), "is required".to_owned()));
                }
                Err(invalid(errors))
            }
        }
    }
}

/// The answer to a lead that was stored.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadReceipt<'a> {
    #[schema(example = "accepted")]
    pub(crate) status: &'static str,
    pub(crate) lead_id: i64,
    /// The event's id: the Pixel's, if the page sent it.
    pub(crate) event_id: &'a str,
    /// queued: the event will be sent. withheld: the visitor refused advertising, and nothing is forwarded.
    /// duplicate: its event was received before by another way, without the lead, and is not sent again.
    #[schema(example = "queued")]
    pub(crate) forwarding: &'static str,
    pub(crate) request_id: Uuid,
    /// What was left out of the event, and why.
    #[schema(value_type = Vec<FieldError>)]
    pub(crate) warnings: &'a [Finding],
}

/// The answer to a lead that moved on.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadStepReceipt<'a> {
    pub(crate) lead_id: i64,
    #[schema(example = "scheduled")]
    pub(crate) status: &'static str,
    /// Whether it came there by this request. false: it was there already, and nothing was done.
    pub(crate) changed: bool,
    /// queued: its event will be sent. withheld: the visitor refused advertising, and nothing is forwarded.
    /// duplicate: an event of this name and id was received before. none: there is nothing to send, or it was
    /// sent before.
    #[schema(example = "queued")]
    pub(crate) forwarding: &'static str,
    pub(crate) request_id: Uuid,
    /// What was left out of the event, and why.
    #[schema(value_type = Vec<FieldError>)]
    pub(crate) warnings: &'a [Finding],
}

/// The answer to an order that was stored, or moved on.
#[derive(Serialize, ToSchema)]
pub(crate) struct PurchaseReceipt<'a> {
    #[schema(example = "accepted")]
    pub(crate) status: &'static str,
    pub(crate) purchase_id: i64,
    /// The order's id, which its event has too.
    pub(crate) event_id: &'a str,
    /// queued: its Purchase will be sent. withheld: the visitor refused advertising, and nothing is
    /// forwarded. duplicate: its Purchase was received before. none: there is nothing to send (yet): it is a
    /// claim, pending, refunded or cancelled.
    #[schema(example = "queued")]
    pub(crate) forwarding: &'static str,
    pub(crate) request_id: Uuid,
    /// What was left out of the event, and why.
    #[schema(value_type = Vec<FieldError>)]
    pub(crate) warnings: &'a [Finding],
}
