//! The rules that look at more than one field: what an event of its name and its source must carry.
//!
//! Source: Meta, "Server event parameters", "App events", "Conversions API for business messaging".

use std::borrow::Cow;

use super::{ActionSource, Event, names};
use crate::finding::{At, Findings};
use crate::json::{Json, Object};

const USER_DATA: At<'static> = At::Field(&At::Event, "user_data");
const CUSTOM_DATA: At<'static> = At::Field(&At::Event, "custom_data");
const APP_DATA: At<'static> = At::Field(&At::Event, "app_data");
const ATTRIBUTION_DATA: At<'static> = At::Field(&At::Event, "attribution_data");

pub(super) fn check(event: &Event<'_>, consent_refused: bool, findings: &mut Findings) {
    check_value(event, findings);
    check_attribution(event, findings);
    check_messaging_channel(event, findings);
    match event.action_source {
        ActionSource::Website => {
            if event.event_source_url.is_none() {
                findings.missing(
                    At::Event.field("event_source_url"),
                    "is required for website events",
                );
            }
            if event.user_data.client_user_agent.is_none() && !consent_refused {
                findings.missing(
                    USER_DATA.field("client_user_agent"),
                    "is required for website events",
                );
            }
        }
        ActionSource::App => check_app(event, findings),
        _ => {}
    }
    if event.user_data.is_too_little() && !consent_refused {
        findings.missing(
            USER_DATA,
            "holds too little to find a person by: send an e-mail, a phone, a name, fbp, fbc, an external_id or the visitor's address",
        );
        // What was left out of it may be why.
        let left_out = findings
            .warnings
            .extract_if(.., |warning| warning.pointer.starts_with("/user_data/"));
        findings.errors.extend(left_out);
    }
}

fn check_value(event: &Event<'_>, findings: &mut Findings) {
    let has_value = event.custom_data.get("value").is_some();
    let has_currency = event.custom_data.get("currency").is_some();
    if event.name == "Purchase" {
        if !has_value {
            findings.refuse_for("/custom_data");
            findings.missing(CUSTOM_DATA.field("value"), "is required for a Purchase");
        }
        if !has_currency {
            findings.missing(
                CUSTOM_DATA.field("currency"),
                "is required for a Purchase, such as \"BRL\"",
            );
        }
        if event.custom_data.has_negative_value() {
            findings.error(CUSTOM_DATA.field("value"), "must not be negative for a Purchase");
        }
    } else if has_value && !has_currency {
        findings.warn(
            CUSTOM_DATA.field("currency"),
            "is missing: Meta cannot use the value without it",
        );
    }
}

fn check_attribution(event: &Event<'_>, findings: &mut Findings) {
    if event.name == "AppendAttribution" {
        let attribution = object(&event.passed_on.attribution_data);
        for name in ["ad_id", "touchpoint_ts", "attribution_share", "attribution_value"] {
            if get(attribution, name).is_none() {
                findings.missing(ATTRIBUTION_DATA.field(name), "is required for AppendAttribution");
            }
        }
    }
}

fn check_app(event: &Event<'_>, findings: &mut Findings) {
    const EXTINFO: &str =
        "is required for app events: 16 strings, the first \"a2\" or \"i2\", the fifth the system's version";
    if event.passed_on.app_data.is_none() {
        return findings.missing(APP_DATA, "is required for app events");
    }
    let app_data = object(&event.passed_on.app_data);
    if get(app_data, "advertiser_tracking_enabled").is_none() {
        findings.missing(
            APP_DATA.field("advertiser_tracking_enabled"),
            "is required for app events: 0 or 1",
        );
    }
    let is_text = |part: &Json<'_>| matches!(part, Json::String(_) | Json::Unsigned(_) | Json::Float(_));
    match get(app_data, "extinfo") {
        Some(Json::Array(parts))
            if parts.len() == 16
                && parts.iter().all(is_text)
                && matches!(parts[0].as_str(), Some("a2" | "i2"))
                && !parts[4].is_nothing() => {}
        _ => findings.error(APP_DATA.field("extinfo"), EXTINFO),
    }
}

fn check_messaging_channel(event: &Event<'_>, findings: &mut Findings) {
    let is_messaging = event.action_source == ActionSource::BusinessMessaging;
    let required: &[&str] = match event.passed_on.messaging_channel.as_deref() {
        None if !is_messaging => return,
        Some("messenger") => &["page_id", "page_scoped_user_id"],
        Some("instagram") => &["ig_account_id", "ig_sid"],
        Some("whatsapp") => {
            let has_account = ["whatsapp_business_account_id", "page_id"]
                .iter()
                .any(|name| event.user_data.has(name));
            if is_messaging && !has_account {
                let at = USER_DATA.field("whatsapp_business_account_id");
                findings.missing(at, "or page_id is required for whatsapp events");
            }
            &["ctwa_clid"]
        }
        _ => {
            let at = At::Event.field("messaging_channel");
            return findings.missing(at, "must be one of whatsapp, messenger, instagram");
        }
    };
    if is_messaging && !names::MESSAGING.contains(&&*event.name) && !event.name.is_empty() {
        let taken = names::MESSAGING.join(", ");
        findings.error(
            At::Event.field("event_name"),
            format!("is not taken from business_messaging; Meta takes {taken}"),
        );
    }
    for name in required
        .iter()
        .filter(|name| is_messaging && !event.user_data.has(name))
    {
        findings.missing(USER_DATA.field(name), "is required for this messaging channel");
    }
}

/// The fields of an object that may be absent.
fn object<'e, 'a>(value: &'e Option<Object<'a>>) -> &'e [(Cow<'a, str>, Json<'a>)] {
    value.as_deref().unwrap_or_default()
}

fn get<'e, 'a>(object: &'e [(Cow<'a, str>, Json<'a>)], name: &str) -> Option<&'e Json<'a>> {
    object
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}
