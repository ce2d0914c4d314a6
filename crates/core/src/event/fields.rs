//! One event's fields, read one by one, so that everything wrong with them can be said at once.

use std::borrow::Cow;

use super::{ACTION_SOURCES, ActionSource, DAY, Event, Intake, PassedOn};
use crate::custom_data::{CUSTOMER_SEGMENTATIONS, CustomData};
use crate::finding::{At, Findings};
use crate::json::{Json, Object};
use crate::personal_data;
use crate::user_data::UserData;

/// Events ahead of our clock by at most this are taken to have happened now; later ones are refused.
const CLOCK_SKEW_SECONDS: i64 = 60;
/// An id or a name longer than this, in bytes, is a mistake. Meta documents no limit.
const LONGEST_NAME: usize = 100;
const LONGEST_ID: usize = 255;
const LONGEST_URL: usize = 8_000;

/// The fields Meta knows at this level. It refuses any other (and the whole request with it).
const FIELDS: [&str; 18] = [
    "event_name",
    "event_time",
    "event_id",
    "event_source_url",
    "referrer_url",
    "action_source",
    "user_data",
    "custom_data",
    "app_data",
    "opt_out",
    "data_processing_options",
    "data_processing_options_country",
    "data_processing_options_state",
    "original_event_data",
    "attribution_data",
    "messaging_channel",
    "customer_segmentation",
    "advanced_measurement_table",
];

/// The event's fields as they came, each taken out as it is read.
pub(super) struct Fields<'a> {
    values: [Option<Json<'a>>; FIELDS.len()],
}

impl<'a> Fields<'a> {
    pub(super) fn read(object: Object<'a>, findings: &mut Findings) -> Self {
        let mut fields = Fields {
            values: [const { None }; FIELDS.len()],
        };
        for (name, value) in object {
            let Some(index) = FIELDS.iter().position(|known| *known == name) else {
                findings.error(
                    At::Event.field(&name),
                    "is not a field of a server event; details of your own go into custom_data",
                );
                continue;
            };
            if fields.values[index].is_some() {
                findings.error(At::Event.field(&name), "stands twice");
            } else {
                fields.values[index] = Some(value);
            }
        }
        fields
    }

    /// A field's value. Meta's SDKs write null for what they were not given.
    fn take(&mut self, name: &'static str) -> Option<Json<'a>> {
        let index = FIELDS.iter().position(|known| *known == name)?;
        self.values[index].take().filter(|value| *value != Json::Null)
    }

    /// The event, its id being empty where it came without. What could not be read has an error and a stand-in, so
    /// that the rules that look at other fields can still be checked.
    pub(super) fn event(mut self, intake: &Intake<'a>, findings: &mut Findings) -> Event<'a> {
        let action_source = self.action_source(findings);
        Event {
            name: self.name(findings).unwrap_or_default(),
            id: self.id(findings).unwrap_or_default(),
            time: self.time(action_source, intake, findings).unwrap_or(intake.now()),
            action_source: action_source.unwrap_or(ActionSource::Other),
            event_source_url: self.url("event_source_url", findings),
            referrer_url: self.url("referrer_url", findings),
            user_data: self.user_data(intake, findings),
            custom_data: self.custom_data(findings),
            opt_out: self.boolean("opt_out", findings),
            passed_on: PassedOn {
                data_processing_options: self.take("data_processing_options"),
                data_processing_options_country: self.integer("data_processing_options_country", findings),
                data_processing_options_state: self.integer("data_processing_options_state", findings),
                app_data: self.passed_on_object("app_data", findings),
                original_event_data: self.passed_on_object("original_event_data", findings),
                attribution_data: self.passed_on_object("attribution_data", findings),
                messaging_channel: self.text("messaging_channel", findings),
                advanced_measurement_table: self.text("advanced_measurement_table", findings),
            },
        }
    }

    fn name(&mut self, findings: &mut Findings) -> Option<Cow<'a, str>> {
        let at = At::Event.field("event_name");
        match self.take("event_name") {
            None => findings.error(at, "is required, such as \"Lead\" or \"Purchase\""),
            Some(Json::String(name)) if name.len() > LONGEST_NAME => {
                findings.error(at, "is longer than 100 bytes");
            }
            Some(Json::String(name)) => return key_part(name, at, findings),
            Some(other) => findings.wrong_kind(at, "a string", &other),
        }
        None
    }

    fn id(&mut self, findings: &mut Findings) -> Option<Cow<'a, str>> {
        let at = At::Event.field("event_id");
        match self.take("event_id")?.into_identifier() {
            Ok(id) if id.len() > LONGEST_ID => findings.error(at, "is longer than 255 bytes"),
            Ok(id) => return key_part(id, at, findings),
            Err(other) => findings.wrong_kind(at, "a string", &other),
        }
        None
    }

    fn action_source(&mut self, findings: &mut Findings) -> Option<ActionSource> {
        let at = At::Event.field("action_source");
        let Some(value) = self.take("action_source") else {
            findings.error(at, "is required: where it happened, such as \"website\"");
            return None;
        };
        let known = value
            .as_str()
            .and_then(|text| ACTION_SOURCES.iter().find(|(name, _)| *name == text));
        if known.is_none() {
            findings.error(
                at,
                format!(
                    "must be one of {}",
                    ACTION_SOURCES.map(|(name, _)| name).join(", ")
                ),
            );
        }
        known.map(|(_, source)| *source)
    }

    fn time(
        &mut self,
        action_source: Option<ActionSource>,
        intake: &Intake<'_>,
        findings: &mut Findings,
    ) -> Option<i64> {
        let at = At::Event.field("event_time");
        let Some(value) = self.take("event_time") else {
            findings.error(at, "is required: when it happened, in seconds since 1970");
            return None;
        };
        let Some(time) = value.as_i64() else {
            findings.error(at, "must be a whole number of seconds since 1970");
            return None;
        };
        let now = intake.now();
        let shift = intake.clock_shift_seconds;
        if shift != 0 {
            findings.warn(
                at,
                format!("was shifted by {shift} seconds, which the sender's clock is off"),
            );
        }
        let max_age = action_source.map_or(7 * DAY, ActionSource::max_age_seconds);
        if time > 100_000_000_000 {
            findings.error(at, "is in milliseconds; Meta wants seconds");
            return None;
        }
        let time = time.saturating_add(shift);
        if time > now + CLOCK_SKEW_SECONDS {
            findings.error(at, "is in the future");
        } else if time < now - max_age {
            findings.error(
                at,
                format!("is older than the {} days that Meta accepts", max_age / DAY),
            );
        } else {
            return Some(time.min(now));
        }
        None
    }

    /// A page's address without the personal data in it. What a page was reached from need not be a website: mail
    /// apps say `android-app://com.google.android.gm`.
    fn url(&mut self, name: &'static str, findings: &mut Findings) -> Option<Cow<'a, str>> {
        let at = At::Event.field(name);
        let is_web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        match self.take(name)? {
            Json::String(url) if url.is_empty() => {}
            Json::String(url) if url.len() > LONGEST_URL => findings.error(at, "is longer than 8,000 bytes"),
            Json::String(url) if name == "event_source_url" && !is_web(&url) => {
                findings.error(at, "must start with http:// or https://");
            }
            Json::String(url) => match personal_data::cleaned_url(&url) {
                None => return Some(url),
                Some(cleaned) => {
                    findings.warn(
                        at,
                        "was sent without the personal data in it, which belongs in user_data",
                    );
                    return Some(Cow::Owned(cleaned));
                }
            },
            other => findings.wrong_kind(at, "a string", &other),
        }
        None
    }

    fn user_data(&mut self, intake: &Intake<'a>, findings: &mut Findings) -> UserData<'a> {
        match self.object("user_data", findings) {
            Some(object) => UserData::read(object, &intake.reading(), findings),
            None if intake.consent_refused => UserData::default(),
            None => {
                findings.missing(
                    At::Event.field("user_data"),
                    "is required: who the event is about",
                );
                UserData::default()
            }
        }
    }

    fn custom_data(&mut self, findings: &mut Findings) -> CustomData<'a> {
        let object = self.object("custom_data", findings).unwrap_or_default();
        let mut custom_data = CustomData::read(object, findings);
        // Meta lists it here, but its own sample carries it in custom_data.
        if let Some(segmentation) = self.take("customer_segmentation") {
            let at = At::Event.field("customer_segmentation");
            if !segmentation
                .as_str()
                .is_some_and(|text| CUSTOMER_SEGMENTATIONS.contains(&text))
            {
                findings.error(
                    at,
                    format!("must be one of {}", CUSTOMER_SEGMENTATIONS.join(", ")),
                );
            } else if custom_data.get("customer_segmentation").is_some() {
                findings.error(at, "stands in custom_data as well");
            } else {
                custom_data.add("customer_segmentation", segmentation);
            }
        }
        custom_data
    }

    fn text(&mut self, name: &'static str, findings: &mut Findings) -> Option<Cow<'a, str>> {
        match self.take(name)? {
            Json::String(text) => return key_part(text, At::Event.field(name), findings),
            other => findings.wrong_kind(At::Event.field(name), "a string", &other),
        }
        None
    }

    fn integer(&mut self, name: &'static str, findings: &mut Findings) -> Option<i64> {
        let value = self.take(name)?;
        if value.as_i64().is_none() {
            findings.wrong_kind(At::Event.field(name), "a whole number", &value);
        }
        value.as_i64()
    }

    fn boolean(&mut self, name: &'static str, findings: &mut Findings) -> Option<bool> {
        match self.take(name)? {
            Json::Bool(value) => return Some(value),
            // Segment writes booleans so.
            Json::Unsigned(value @ (0 | 1)) => return Some(value == 1),
            other => findings.wrong_kind(At::Event.field(name), "true or false", &other),
        }
        None
    }

    fn object(&mut self, name: &'static str, findings: &mut Findings) -> Option<Object<'a>> {
        match self.take(name)? {
            Json::Object(object) => return Some(object),
            // How PHP writes an object without fields.
            Json::Array(items) if items.is_empty() => return Some(Object::new()),
            other => findings.wrong_kind(At::Event.field(name), "an object", &other),
        }
        None
    }

    fn passed_on_object(&mut self, name: &'static str, findings: &mut Findings) -> Option<Object<'a>> {
        let object = self.object(name, findings)?;
        let mut object = personal_data::cleaned(object, At::Event.field(name), findings);
        object.retain(|(_, value)| *value != Json::Null);
        Some(object).filter(|object| !object.is_empty())
    }
}

/// A text that is stored and sent as it came, part of a key: something readable, and nobody's address.
fn key_part<'a>(text: Cow<'a, str>, at: At<'_>, findings: &mut Findings) -> Option<Cow<'a, str>> {
    if text.trim().is_empty() {
        findings.error(at, "must not be empty");
    } else if text.chars().any(char::is_control) {
        findings.error(at, "must not contain control characters");
    } else if personal_data::holds_email(&text) {
        findings.error(
            at,
            "must not hold an e-mail address: it is stored and sent as it is",
        );
    } else {
        return Some(text);
    }
    None
}
