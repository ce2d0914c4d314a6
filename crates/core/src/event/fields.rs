//! One event's fields, read one by one, so that everything wrong with them can be said at once.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::{ACTION_SOURCES, ActionSource, DAY, Event, Intake, PassedOn, names};
use crate::custom_data::{CUSTOMER_SEGMENTATIONS, CustomData};
use crate::finding::{At, Findings};
use crate::json::{Json, Object};
use crate::match_keys::is_invisible;
use crate::personal_data;
use crate::placeholder::{is_no_id, is_placeholder};
use crate::user_data::UserData;

/// Events ahead of our clock by at most this are taken to have happened now; later ones are refused.
const CLOCK_SKEW_SECONDS: i64 = 60;
/// An event of a browser that is older than this waited in no queue: its clock is wrong.
const WRONG_CLOCK_SECONDS: i64 = 365 * DAY;
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

    /// A field's value, if it says anything.
    fn take(&mut self, name: &'static str) -> Option<Json<'a>> {
        let index = FIELDS.iter().position(|known| *known == name)?;
        self.values[index].take().filter(|value| !value.is_nothing())
    }

    /// The event, its id being empty where it came without one that can be used. What could not be read has
    /// an error and a stand-in, so that the rules that look at other fields can still be checked.
    pub(super) fn event(mut self, intake: &Intake<'a>, findings: &mut Findings) -> Event<'a> {
        let action_source = self.action_source(findings);
        let (data_processing_options, country, state) = self.data_processing_options(findings);
        Event {
            name: self.name(findings).unwrap_or_default(),
            id: self.id().unwrap_or_default(),
            time: self.time(action_source, intake, findings).unwrap_or(intake.now()),
            action_source: action_source.unwrap_or(ActionSource::Other),
            event_source_url: self.url("event_source_url", findings),
            referrer_url: self.url("referrer_url", findings),
            user_data: self.user_data(intake, findings),
            custom_data: self.custom_data(findings),
            opt_out: self.opt_out(findings),
            passed_on: PassedOn {
                data_processing_options,
                data_processing_options_country: country,
                data_processing_options_state: state,
                app_data: self.app_data(findings),
                original_event_data: self.original_event_data(findings),
                attribution_data: self.attribution_data(findings),
                messaging_channel: self.messaging_channel(findings),
                advanced_measurement_table: self.text("advanced_measurement_table", findings),
            },
        }
    }

    fn name(&mut self, findings: &mut Findings) -> Option<Cow<'a, str>> {
        let at = At::Event.field("event_name");
        let name = match self.take("event_name") {
            None => return missing_name(findings),
            Some(Json::String(name)) => name,
            Some(other) => {
                findings.wrong_kind(at, "a string", &other);
                return None;
            }
        };
        let seen = visible_name(name.clone());
        if seen.is_empty() {
            return missing_name(findings);
        }
        let wrong = if seen.len() > LONGEST_NAME {
            Some("is longer than 100 bytes")
        } else if is_placeholder(&seen) {
            Some("is a placeholder that nobody filled in")
        } else if name.chars().any(char::is_control) {
            Some("must not contain control characters")
        } else if personal_data::holds_personal_data(&seen) {
            Some("must not hold personal data: it is stored and sent as it is")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            findings.error(at, wrong);
            return None;
        }
        if seen != name {
            findings.warn(
                at,
                "was sent without the blanks around it and what cannot be seen in it",
            );
        }
        if let Some(standard) = names::near_miss(&seen) {
            findings.warn(
                at,
                format!("is not the standard event {standard}: Meta takes it for one of your own"),
            );
        }
        Some(seen)
    }

    /// The id, which [`unusable_id`] found nothing against.
    fn id(&mut self) -> Option<Cow<'a, str>> {
        self.take("event_id")?.into_identifier().ok()
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
        let Some(time) = value.whole_number() else {
            findings.error(
                at,
                if value.as_str().is_some_and(is_date) {
                    "is a date; Meta wants seconds since 1970, such as 1700000000"
                } else {
                    "must be a whole number of seconds since 1970"
                },
            );
            return None;
        };
        let now = intake.now();
        let is_browser = intake.visitor.is_browser;
        let max_age = action_source.map_or(7 * DAY, ActionSource::max_age_seconds);
        if time > 100_000_000_000 {
            findings.error(at, "is in milliseconds; Meta wants seconds");
            return None;
        }
        let shift = intake.clock_shift_seconds;
        if shift != 0 {
            findings.warn(
                at,
                format!("was shifted by {shift} seconds, which the sender's clock is off"),
            );
        }
        let time = time.saturating_add(shift);
        if time > now + CLOCK_SKEW_SECONDS {
            if is_browser {
                findings.warn(
                    at,
                    "was ahead of our clock: the event is taken to have happened now",
                );
                return Some(now);
            }
            findings.error(at, "is in the future");
        } else if is_browser && time < now - WRONG_CLOCK_SECONDS {
            findings.warn(
                at,
                "was more than a year behind our clock: the event is taken to have happened now",
            );
            return Some(now);
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

    /// A page's address without the personal data in it. What a page was reached from need not be a website:
    /// mail apps say `android-app://com.google.android.gm`.
    fn url(&mut self, name: &'static str, findings: &mut Findings) -> Option<Cow<'a, str>> {
        let at = At::Event.field(name);
        let mut url = match self.take(name)? {
            Json::String(url) => one_line(url),
            other => {
                findings.left_out_kind(at, "a string", &other);
                return None;
            }
        };
        if name == "event_source_url" && !url.starts_with("https://") && !url.starts_with("http://") {
            findings.left_out(at, "it must start with http:// or https://");
            return None;
        }
        if url.len() > LONGEST_URL {
            let page = &url[..url.find(['?', '#']).unwrap_or(url.len())];
            if page.len() > LONGEST_URL {
                findings.left_out(at, "it is longer than 8,000 bytes");
                return None;
            }
            findings.warn(at, "was cut at its query: it was longer than 8,000 bytes");
            url = Cow::Owned(page.to_owned());
        }
        match personal_data::cleaned_url(&url) {
            None => Some(url),
            Some(cleaned) => {
                findings.warn(
                    at,
                    "was sent without the personal data in it, which belongs in user_data",
                );
                Some(Cow::Owned(cleaned))
            }
        }
    }

    fn user_data(&mut self, intake: &Intake<'a>, findings: &mut Findings) -> UserData<'a> {
        match self.object("user_data", findings) {
            Some(object) => UserData::read(object, &intake.reading(), findings),
            None if intake.consent_refused => UserData::default(),
            None => {
                // Not of the right kind, or not there.
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
                let allowed = CUSTOMER_SEGMENTATIONS.join(", ");
                findings.left_out(at, format_args!("it must be one of {allowed}"));
            } else if custom_data.get("customer_segmentation").is_some() {
                findings.left_out(at, "it stands in custom_data as well");
            } else {
                custom_data.add("customer_segmentation", segmentation);
            }
        }
        custom_data
    }

    fn text(&mut self, name: &'static str, findings: &mut Findings) -> Option<Cow<'a, str>> {
        let at = At::Event.field(name);
        match self.take(name)? {
            Json::String(text) if personal_data::holds_personal_data(&text) => {
                findings.left_out(
                    at,
                    "it holds personal data, and would be stored and sent as it is",
                );
            }
            Json::String(text) => return Some(one_line(text)),
            other => findings.left_out_kind(at, "a string", &other),
        }
        None
    }

    fn messaging_channel(&mut self, findings: &mut Findings) -> Option<Cow<'a, str>> {
        const CHANNELS: [&str; 3] = ["whatsapp", "messenger", "instagram"];
        let at = At::Event.field("messaging_channel");
        match self.take("messaging_channel")? {
            Json::String(channel) if CHANNELS.contains(&&*channel) => return Some(channel),
            Json::String(_) => {
                findings.left_out(at, format_args!("it must be one of {}", CHANNELS.join(", ")));
            }
            other => findings.left_out_kind(at, "a string", &other),
        }
        None
    }

    /// What somebody said of how their data may be used: it is understood, or the event is refused.
    fn opt_out(&mut self, findings: &mut Findings) -> Option<bool> {
        let value = self.take("opt_out")?;
        let flag = flag(&value);
        if flag.is_none() {
            findings.wrong_kind(At::Event.field("opt_out"), "true or false", &value);
        }
        flag
    }

    /// Limited Data Use, and where it applies. Country and state are optional: without them Meta locates the
    /// visitor itself.
    fn data_processing_options(
        &mut self,
        findings: &mut Findings,
    ) -> (Option<Json<'a>>, Option<i64>, Option<i64>) {
        /// As Meta numbers the states, in the order in which their laws came.
        const STATES: RangeInclusive<i64> = 1_000..=1_013;
        let options = self.take("data_processing_options").map(|options| match options {
            Json::String(option) => Json::Array(vec![Json::String(option)]), // a list's only item
            options => options,
        });
        let is_ldu = |option: &Json<'_>| option.as_str() == Some("LDU");
        if !matches!(&options, None | Some(Json::Array(_)))
            || matches!(&options, Some(Json::Array(options)) if !options.iter().all(is_ldu))
        {
            findings.error(
                At::Event.field("data_processing_options"),
                "must be [\"LDU\"] or []",
            );
        }
        let has_options = options.is_some();
        let mut place = |name, is_known: &dyn Fn(i64) -> bool, known: &str| {
            let value = self.take(name)?;
            let at = At::Event.field(name);
            if !has_options {
                findings.left_out(at, "it is only taken together with data_processing_options");
                return None;
            }
            let number = value.whole_number().filter(|number| is_known(*number));
            if number.is_none() {
                findings.left_out(at, format_args!("it must be {known}; Meta finds it itself"));
            }
            number
        };
        let country = place(
            "data_processing_options_country",
            &|country| matches!(country, 0 | 1),
            "1 (USA) or 0",
        );
        let state = place(
            "data_processing_options_state",
            &|state| state == 0 || STATES.contains(&state),
            "the number of a state that Meta knows, 1000 to 1013, or 0",
        );
        (options, country, state)
    }

    /// An object that a field of the event holds. One that is required and is not one is an error.
    fn object(&mut self, name: &'static str, findings: &mut Findings) -> Option<Object<'a>> {
        match self.take(name)? {
            Json::Object(object) => return Some(object),
            // How PHP writes an object without fields.
            Json::Array(items) if items.is_empty() => return Some(Object::new()),
            other => findings.left_out_kind(At::Event.field(name), "an object", &other),
        }
        None
    }

    fn passed_on_object(&mut self, name: &'static str, findings: &mut Findings) -> Option<Object<'a>> {
        let object = self.object(name, findings)?;
        let mut object = personal_data::cleaned(object, At::Event.field(name), findings);
        object.retain(|(_, value)| *value != Json::Null);
        Some(object)
    }

    fn app_data(&mut self, findings: &mut Findings) -> Option<Object<'a>> {
        let at = At::Event.field("app_data");
        let mut object = self.passed_on_object("app_data", findings)?;
        object.retain_mut(|(name, value)| {
            if !matches!(
                &**name,
                "advertiser_tracking_enabled" | "application_tracking_enabled"
            ) || matches!(value, Json::Bool(_) | Json::Unsigned(0 | 1))
            {
                return true;
            }
            match flag(value) {
                Some(flag) => *value = Json::Unsigned(u64::from(flag)),
                None if value.is_nothing() => return false,
                None => {
                    findings.left_out(at.field(name), "it must be 0 or 1");
                    return false;
                }
            }
            true
        });
        Some(object).filter(|object| !object.is_empty())
    }

    fn original_event_data(&mut self, findings: &mut Findings) -> Option<Object<'a>> {
        let at = At::Event.field("original_event_data");
        let mut object = self.passed_on_object("original_event_data", findings)?;
        object.retain_mut(|(name, value)| {
            let at = at.field(name);
            match &**name {
                _ if value.is_nothing() => return false,
                "event_time" => match value.whole_number().map(u64::try_from) {
                    Some(Ok(time)) => *value = Json::Unsigned(time),
                    _ => {
                        findings.left_out(at, "it must be a whole number of seconds since 1970");
                        return false;
                    }
                },
                "event_name" | "event_id" | "order_id" => {
                    if !matches!(value, Json::String(_) | Json::Unsigned(_)) {
                        findings.left_out_kind(at, "a string", value);
                        return false;
                    }
                }
                _ => {
                    findings.left_out(at, "it is not a field of original_event_data");
                    return false;
                }
            }
            true
        });
        Some(object).filter(|object| !object.is_empty())
    }

    fn attribution_data(&mut self, findings: &mut Findings) -> Option<Object<'a>> {
        let at = At::Event.field("attribution_data");
        let mut object = self.passed_on_object("attribution_data", findings)?;
        object.retain(|(name, value)| {
            let is_kept = name != "attribution_share"
                || match value {
                    Json::Unsigned(share) => *share <= 1,
                    Json::Float(share) => (0.0..=1.0).contains(share),
                    _ => false,
                };
            if !is_kept {
                findings.left_out(at.field(name), "it must be a number from 0 to 1");
            }
            is_kept
        });
        Some(object).filter(|object| !object.is_empty())
    }
}

fn missing_name<T>(findings: &mut Findings) -> Option<T> {
    findings.error(
        At::Event.field("event_name"),
        "is required, such as \"Lead\" or \"Purchase\"",
    );
    None
}

/// A name without the blanks around it and without what cannot be seen in it. Control characters stay, to be
/// refused.
fn visible_name(name: Cow<'_, str>) -> Cow<'_, str> {
    let is_unseen = |c: char| is_invisible(c) && !c.is_control();
    let is_around = |c: char| c.is_whitespace() || is_unseen(c);
    if name.contains(is_unseen) || name.starts_with(is_around) || name.ends_with(is_around) {
        Cow::Owned(name.replace(is_unseen, "").trim().to_owned())
    } else {
        name
    }
}

/// The text on one line, without control characters: it is stored in a column of its own.
fn one_line(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_unseen = |c: char| c.is_control() || is_invisible(c);
    if text.contains(is_unseen) || text.starts_with(' ') || text.ends_with(' ') {
        Cow::Owned(text.replace(is_unseen, "").trim().to_owned())
    } else {
        text
    }
}

/// A flag as programs write it: Segment as a number, forms as text.
fn flag(value: &Json<'_>) -> Option<bool> {
    match value {
        Json::Bool(flag) => Some(*flag),
        Json::Unsigned(number @ (0 | 1)) => Some(*number == 1),
        Json::String(text) => match text.trim() {
            "1" => Some(true),
            "0" => Some(false),
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn is_date(text: &str) -> bool {
    text.contains(['-', '/', ':']) && text.bytes().filter(u8::is_ascii_digit).count() >= 6
}

/// Why an event gets an id of our own making: `Some` with a reason if one came that cannot be used, and
/// without one if none came. An id is optional, so a bad one costs no event; but one that everybody has would
/// make all events one.
pub(super) fn unusable_id(event: &Json<'_>) -> Option<Option<String>> {
    let Json::Object(fields) = event else { return None };
    let id = fields.iter().find(|(name, _)| name == "event_id");
    let Some((_, value)) = id.filter(|(_, value)| !value.is_nothing()) else {
        return Some(None);
    };
    let digits;
    let id = match value {
        Json::String(id) => &**id,
        number => match number.clone().into_identifier() {
            Ok(number) => {
                digits = number;
                &*digits
            }
            Err(other) => return Some(Some(format!("it must be a string, not {}", other.kind()))),
        },
    };
    let why = if id.len() > LONGEST_ID {
        "it is longer than 255 bytes"
    } else if is_no_id(id) {
        "it is a placeholder that nobody filled in"
    } else if id.chars().any(char::is_control) {
        "it has control characters"
    } else if id.contains(char::REPLACEMENT_CHARACTER) {
        "it has characters that were lost (U+FFFD)"
    } else if personal_data::holds_personal_data(id) {
        "it holds personal data, and would be stored and sent as it is"
    } else {
        return None;
    };
    Some(Some(why.to_owned()))
}
