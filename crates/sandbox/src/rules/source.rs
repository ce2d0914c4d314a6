//! What an event must carry because of where it happened: `action_source` and the fields that belong to each.

use super::Subject;
use crate::json::Json;
use crate::refusal::Refusal;

/// The only event names business messaging takes ("Business Messaging" onboarding guide, FAQ).
const MESSAGING_EVENTS: [&str; 14] = [
    "Purchase",
    "LeadSubmitted",
    "InitiateCheckout",
    "AddToCart",
    "ViewContent",
    "OrderCreated",
    "OrderShipped",
    "OrderDelivered",
    "OrderCanceled",
    "OrderReturned",
    "CartAbandoned",
    "QualifiedLead",
    "RatingProvided",
    "ReviewProvided",
];

/// How many values `app_data.extinfo` has; the first and the fifth must not be empty.
const EXTINFO_LENGTH: usize = 16;

pub(super) fn is(event: &Json<'_>, source: &str) -> bool {
    event
        .get("action_source")
        .and_then(Json::as_text)
        .is_some_and(|text| text == source)
}

/// `action_source` is documented as required, yet Meta's own samples and SDKs leave it out: absent is
/// accepted, and then nothing is known of the source, so nothing more is demanded.
pub(super) fn check(subject: &Subject<'_, '_>, event_name: &str) -> Result<(), Refusal> {
    let url = subject
        .optional_text("event_source_url")?
        .filter(|url| !url.is_empty());
    if url
        .as_deref()
        .is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
    {
        return Err(subject.wrong("event_source_url", "a URL that starts with http:// or https://"));
    }
    match subject.optional_text("action_source")?.as_deref() {
        Some("website") if url.is_none() => Err(subject.missing("event_source_url")),
        Some("website") => requires(subject, "client_user_agent"),
        Some("app") => app(subject),
        Some("business_messaging") => business_messaging(subject, event_name),
        None | Some("physical_store" | "email" | "phone_call" | "chat" | "system_generated" | "other") => {
            Ok(())
        }
        Some(_) => Err(subject.wrong("action_source", "a documented action source")),
    }
}

fn app(subject: &Subject<'_, '_>) -> Result<(), Refusal> {
    let app_data = subject
        .event
        .get("app_data")
        .ok_or_else(|| subject.missing("app_data"))?;
    match app_data.get("advertiser_tracking_enabled") {
        Some(Json::Bool(_) | Json::Integer(0 | 1)) => {}
        Some(_) => return Err(subject.wrong("advertiser_tracking_enabled", "0 or 1")),
        None => {
            return Err(Refusal::schema(
                subject.index,
                "Missing Advertiser Tracking Enabled Flag",
            ));
        }
    }
    let extinfo = match app_data.get("extinfo") {
        None => return Err(subject.missing("extinfo")),
        Some(Json::List(extinfo)) if extinfo.len() == EXTINFO_LENGTH => extinfo,
        Some(_) => return Err(subject.wrong("extinfo", "an array of 16 values")),
    };
    if !matches!(extinfo[0].as_text().map(AsRef::as_ref), Some("a2" | "i2")) {
        return Err(subject.wrong("extinfo", "an array that starts with a2 or i2"));
    }
    if !extinfo[4].says_something() {
        return Err(subject.wrong("extinfo", "an array with the OS version in fifth place"));
    }
    Ok(())
}

fn business_messaging(subject: &Subject<'_, '_>, event_name: &str) -> Result<(), Refusal> {
    if !MESSAGING_EVENTS.contains(&event_name) {
        return Err(Refusal::rule(
            subject.index,
            2_804_066,
            "Event Name Not Allowed",
            &format!("The event name {event_name} is not allowed with the action source business_messaging"),
        ));
    }
    let channel = subject.optional_text("messaging_channel")?;
    match channel.as_deref() {
        None => Err(subject.missing("messaging_channel")),
        Some("messenger") => {
            requires(subject, "page_id")?;
            requires(subject, "page_scoped_user_id")
        }
        Some("whatsapp") if !has(subject, "page_id") && !has(subject, "whatsapp_business_account_id") => {
            Err(Refusal::rule(
                subject.index,
                2_804_116,
                "Missing Page or WhatsApp Business Account Identifier",
                &format!(
                    "Your {event_name} event with action source business_messaging of channel whatsapp has \
                     neither \"page_id\" nor \"whatsapp_business_account_id\""
                ),
            ))
        }
        Some("whatsapp") => requires(subject, "ctwa_clid"),
        Some("instagram") => {
            // The parameter page calls it ig_account_id, the sample instagram_business_account_id.
            if !has(subject, "instagram_business_account_id") {
                requires(subject, "ig_account_id")?;
            }
            requires(subject, "ig_sid")
        }
        Some(_) => Err(subject.wrong("messaging_channel", "messenger, whatsapp or instagram")),
    }
}

fn has(subject: &Subject<'_, '_>, user_key: &str) -> bool {
    let user_data = subject.event.get("user_data");
    user_data
        .and_then(|user_data| user_data.get(user_key))
        .is_some_and(Json::says_something)
}

fn requires(subject: &Subject<'_, '_>, user_key: &str) -> Result<(), Refusal> {
    if has(subject, user_key) {
        Ok(())
    } else {
        Err(subject.missing(user_key))
    }
}
