//! What becomes of a payment as a conversion: the Purchase of its order, made when it is first paid, with
//! what the browser of the claim or of the lead had.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, Utc};
use rastro_core::event::{ActionSource, Event, Intake};
use rastro_core::finding::Findings;
use rastro_core::json::{Json, Object};
use rastro_core::payment::{Books, Payment, major_units};
use rastro_core::purchase::{self, Purchase, PurchaseSource, PurchaseStatus};
use rastro_service::telemetry::trace_context;
use rastro_store::{
    Conversion, ConversionDue, DatasetSettings, MatchMethod, NewEvent, NewPurchase, NewRequest, OrderContext,
    Origin, PaymentAccount, Record,
};
use tracing::{Span, warn};
use uuid::Uuid;

/// Everything beside the payment that decides what becomes of it.
pub(crate) struct Surroundings<'s> {
    pub(crate) account: &'s PaymentAccount,
    pub(crate) settings: &'s DatasetSettings,
    pub(crate) context: &'s OrderContext,
    pub(crate) now: DateTime<Utc>,
}

/// What is to be done about a payment's conversion now.
pub(crate) fn due(payment: &Payment, around: &Surroundings<'_>) -> ConversionDue {
    let account = around.account;
    if around.context.conversion.is_some_and(Conversion::is_final)
        || payment.books(account.live_mode) != Books::Counted
        || !payment.was_paid()
    {
        return ConversionDue::Nothing;
    }
    if around.settings.purchase_source == PurchaseSource::Recorded {
        return ConversionDue::Not(Conversion::NotVerified);
    }
    if payment.amount_minor == 0 {
        return ConversionDue::Not(Conversion::Invalid);
    }
    let own = around.settings.defaults.currency.unwrap_or(account.currency);
    if !payment.is_paid() {
        // A sale that is known to be none is not reported to Meta, which takes nothing back. Nor is its order
        // recorded: it may still be paid by another payment.
        return ConversionDue::Not(Conversion::RefundedFirst);
    }
    if payment.currency != account.currency || payment.currency != own {
        return ConversionDue::Not(Conversion::OtherCurrency);
    }
    match event(payment, around) {
        Ok(event) => record(payment, around, Some(event), Conversion::Invalid),
        Err(reason) => record(payment, around, None, reason),
    }
}

fn record(
    payment: &Payment,
    around: &Surroundings<'_>,
    event: Option<NewEvent>,
    without_event: Conversion,
) -> ConversionDue {
    let request_id = event.as_ref().map_or_else(Uuid::now_v7, |event| event.request_id);
    let details = serde_json::json!({
        "payment_id": payment.id,
        "payment_method": payment.payment_method,
    });
    let lead = around.context.lead.as_ref().and_then(|lead| {
        let method = match lead.matched.method {
            "lead_id" | "external_reference" => MatchMethod::LeadId,
            "email" => MatchMethod::Email,
            "phone" => MatchMethod::Phone,
            "cpf" => MatchMethod::Cpf,
            // The order has it already, and knows better by what.
            _ => return None,
        };
        Some((lead.matched.lead_id, method))
    });
    let purchase = NewPurchase {
        dataset_id: around.account.dataset_id.as_i64(),
        order_id: around.context.order_id.clone(),
        status: PurchaseStatus::Approved,
        amount_minor: payment.amount_minor,
        currency: payment.currency.as_str().to_owned(),
        details: details.to_string(),
        lead,
        claimed_event: None,
        consent: None,
        ads_refused: around.context.ads_refused,
        key_id: None,
        request_id,
    };
    ConversionDue::Record {
        request: Box::new(NewRequest {
            events: event.into_iter().collect(),
            record: Some(Record::Purchase(Box::new(purchase))),
            ..NewRequest::default()
        }),
        without_event,
    }
}

/// The order's Purchase. Its time is when the money was credited, its id the order's.
fn event(payment: &Payment, around: &Surroundings<'_>) -> Result<NewEvent, Conversion> {
    let context = around.context;
    let intake = Intake {
        now_ms: around.now.timestamp_millis(),
        current_year: around.now.year(),
        defaults: around.settings.defaults,
        consent_refused: context.ads_refused,
        ..Intake::default()
    };
    let time = payment.approved_at.unwrap_or(payment.created_at).timestamp();
    let lead_event = context.lead.as_ref().and_then(|lead| lead.event.as_deref());
    let earlier = context.claimed_event.as_deref().or(lead_event);
    let mut fields = earlier.map(purchase::carried_on).unwrap_or_default();
    let source = fields.iter().find(|(name, _)| name == "action_source");
    let source = source.and_then(|(_, source)| ActionSource::parse(source.as_str()?));
    let max_age = source.unwrap_or(ActionSource::SystemGenerated).max_age_seconds();
    if time <= around.now.timestamp() - max_age {
        return Err(Conversion::TooOld);
    }
    let seconds = u64::try_from(time).map_err(|_| Conversion::Invalid)?;
    fields.push((Cow::Borrowed("event_time"), Json::Unsigned(seconds)));

    let value = payment.conversion_minor(around.account.conversion_value);
    let text = |text: &str| Json::String(Cow::Owned(text.to_owned()));
    let order = Json::Object(vec![
        (Cow::Borrowed("order_id"), text(&context.order_id)),
        (
            Cow::Borrowed("value"),
            text(&major_units(value, payment.currency)),
        ),
        (Cow::Borrowed("currency"), text(payment.currency.as_str())),
    ]);
    let mut findings = Findings::default();
    let event = Purchase::read(order, &intake, &mut findings)
        .ok_or(findings.errors)
        .and_then(|purchase| {
            purchase.event(Some(Json::Object(fields)), &remembered(payment, context), &intake)
        });
    match event {
        Ok((event, _)) => Ok(new_event(&event, around)),
        Err(errors) => {
            // Pointers only: what they point at may be personal.
            let pointers: Vec<&str> = errors.iter().map(|error| &*error.pointer).collect();
            warn!(
                payment.id = %payment.id,
                "payment {} is paid and no event can be made of it: {}", payment.id, pointers.join(", ")
            );
            Err(Conversion::Invalid)
        }
    }
}

fn new_event(event: &Event<'_>, around: &Surroundings<'_>) -> NewEvent {
    let code = around.settings.test_event_code.as_ref();
    let code = code.filter(|(_, expires_at)| *expires_at > around.now);
    let origin = Origin {
        dataset_id: around.account.dataset_id,
        test_event_code: code.map_or_else(String::new, |(code, _)| code.clone()),
        key_id: None,
        request_id: Uuid::now_v7(),
        // Of the span of the payment, within which this is decided.
        traceparent: trace_context::traceparent(&Span::current()),
        withheld: around.context.ads_refused,
    };
    NewEvent::new(event, origin)
}

/// Who paid, where the earlier event does not say: the lead's browser, and the payer's address.
fn remembered<'a>(payment: &Payment, context: &OrderContext) -> Object<'a> {
    let lead = context.lead.as_ref();
    let ids = [
        ("fbp", lead.and_then(|lead| lead.fbp.clone())),
        ("fbc", lead.and_then(|lead| lead.fbc.clone())),
        ("em", payment.payer.email.map(|email| email.hash().to_owned())),
    ];
    ids.into_iter()
        .filter_map(|(name, id)| Some((Cow::Borrowed(name), Json::String(id?.into()))))
        .collect()
}
