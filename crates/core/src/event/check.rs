//! The rules that look at more than one field, and at the inside of the objects that are passed on.
//!
//! Source: Meta, "Server event parameters", "App events", "Conversions API for business messaging".

use std::borrow::Cow;

use super::{ActionSource, Event};
use crate::finding::{At, Findings};
use crate::json::{Json, Object};

const USER_DATA: At<'static> = At::Field(&At::Event, "user_data");
const CUSTOM_DATA: At<'static> = At::Field(&At::Event, "custom_data");
const APP_DATA: At<'static> = At::Field(&At::Event, "app_data");
const ORIGINAL_EVENT_DATA: At<'static> = At::Field(&At::Event, "original_event_data");
const ATTRIBUTION_DATA: At<'static> = At::Field(&At::Event, "attribution_data");

pub(super) fn check(event: &Event<'_>, consent_refused: bool, findings: &mut Findings) {
    check_value(event, findings);
    check_processing_options(event, findings);
    check_passed_on_objects(event, findings);
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

/// Limited Data Use. Country and state are optional: without them Meta locates the visitor itself.
fn check_processing_options(event: &Event<'_>, findings: &mut Findings) {
    let options = At::Event.field("data_processing_options");
    let country = At::Event.field("data_processing_options_country");
    let state = At::Event.field("data_processing_options_state");
    let passed_on = &event.passed_on;
    match &passed_on.data_processing_options {
        Some(Json::Array(options)) if options.iter().all(|option| option.as_str() == Some("LDU")) => {}
        Some(_) => findings.error(options, "must be [\"LDU\"] or []"),
        None => {
            for (at, value) in [
                (country, passed_on.data_processing_options_country),
                (state, passed_on.data_processing_options_state),
            ] {
                if value.is_some() {
                    findings.error(at, "is only taken together with data_processing_options");
                }
            }
        }
    }
    if !matches!(passed_on.data_processing_options_country, None | Some(0 | 1)) {
        findings.error(country, "must be 1 (USA) or 0 (Meta finds out)");
    }
    // Meta numbers the states as their laws come, 1013 being the last so far; there are fifty.
    if !matches!(
        passed_on.data_processing_options_state,
        None | Some(0 | 1000..1050)
    ) {
        findings.error(
            state,
            "must be the number of a state, such as 1000 (California), or 0 (Meta finds out)",
        );
    }
}

fn check_passed_on_objects(event: &Event<'_>, findings: &mut Findings) {
    for (name, value) in object(&event.passed_on.original_event_data) {
        let at = ORIGINAL_EVENT_DATA.field(name);
        match &**name {
            "event_time" if value.as_i64().is_none() => {
                findings.error(at, "must be a whole number of seconds since 1970");
            }
            "event_name" | "event_id" | "order_id"
                if !matches!(value, Json::String(_) | Json::Unsigned(_)) =>
            {
                findings.wrong_kind(at, "a string", value);
            }
            "event_time" | "event_name" | "event_id" | "order_id" => {}
            _ => findings.error(at, "is not a field of original_event_data"),
        }
    }

    let attribution = object(&event.passed_on.attribution_data);
    if let Some(share) = get(attribution, "attribution_share") {
        let is_share = match share {
            Json::Unsigned(share) => *share <= 1,
            Json::Float(share) => (0.0..=1.0).contains(share),
            _ => false,
        };
        if !is_share {
            findings.error(
                ATTRIBUTION_DATA.field("attribution_share"),
                "must be a number from 0 to 1",
            );
        }
    }
    if event.name == "AppendAttribution" {
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
    let is_flag = |value: &Json<'_>| matches!(value, Json::Bool(_) | Json::Unsigned(0 | 1));
    if !get(app_data, "advertiser_tracking_enabled").is_some_and(is_flag) {
        findings.error(
            APP_DATA.field("advertiser_tracking_enabled"),
            "is required for app events: 0 or 1",
        );
    }
    if !get(app_data, "application_tracking_enabled").is_none_or(is_flag) {
        findings.error(APP_DATA.field("application_tracking_enabled"), "must be 0 or 1");
    }
    let is_text = |part: &Json<'_>| matches!(part, Json::String(_) | Json::Unsigned(_) | Json::Float(_));
    match get(app_data, "extinfo") {
        Some(Json::Array(parts))
            if parts.len() == 16
                && parts.iter().all(is_text)
                && matches!(parts[0].as_str(), Some("a2" | "i2"))
                && parts[4].as_str().is_some_and(|version| !version.is_empty()) => {}
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
