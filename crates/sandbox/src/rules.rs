//! What Meta demands of one event. The first broken rule decides; the order is identity and time, then who
//! the event is about, then what its source and its name require.
//!
//! Source: the pages "Server Event Parameters", "Customer Information Parameters", "Custom Data", "App
//! Events", "Offline Events" and "Business Messaging" of Meta's Conversions API documentation, and captured
//! answers for the subcodes. Where the samples on those pages break the text beside them (several omit
//! `action_source`, one sends `value` as a string), the samples are accepted.

mod source;
mod user_data;

use std::borrow::Cow;

use crate::json::Json;
use crate::refusal::Refusal;

pub(crate) const MAX_EVENTS: usize = 1_000;

const DAY_SECONDS: i64 = 24 * 60 * 60;
const MAX_AGE_DAYS: i64 = 7;
const MAX_AGE_DAYS_PHYSICAL_STORE: i64 = 62;
/// Meta documents no bound. Others who send to Meta refuse anything further ahead, and so does the sandbox.
const MAX_SECONDS_AHEAD: i64 = 60;
/// No event happened in the year 5138: a larger number is milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

const EVENT_KEYS: [&str; 18] = [
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

const CUSTOMER_SEGMENTS: [&str; 9] = [
    "new_customer_to_business",
    "new_customer_to_business_line",
    "new_customer_to_product_area",
    "new_customer_to_medium",
    "existing_customer_to_business",
    "existing_customer_to_business_line",
    "existing_customer_to_product_area",
    "existing_customer_to_medium",
    "customer_in_loyalty_program",
];

/// What the rules depend on besides the event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge {
    /// Unix seconds.
    pub(crate) now: i64,
    pub(crate) accept_md5: bool,
}

/// What deduplication and the counts need to know of an event that broke no rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facts<'a> {
    pub(crate) event_name: Cow<'a, str>,
    pub(crate) event_id: Option<Cow<'a, str>>,
}

/// An event with its place in the request, so that a refusal can name it.
struct Subject<'j, 'a> {
    index: usize,
    event: &'j Json<'a>,
}

impl Judge {
    /// Judges the JSON text of the event at `index`.
    ///
    /// # Errors
    /// The refusal that Meta would answer the whole request with.
    pub(crate) fn judge<'a>(&self, index: usize, text: &'a str) -> Result<Facts<'a>, Refusal> {
        let event: Json<'a> = serde_json::from_str(text)
            .map_err(|error| Refusal::schema(index, &format!("Invalid JSON ({error})")))?;
        let subject = Subject { index, event: &event };
        subject.keys_are_known()?;
        let event_name = subject.required_text("event_name")?;
        self.time_is_recent(&subject)?;
        let event_id = subject.optional_text("event_id")?.filter(|id| !id.is_empty());
        subject.scalars_have_their_types()?;
        user_data::check(&subject, self.accept_md5)?;
        source::check(&subject, &event_name)?;
        custom_data(&subject, &event_name)?;
        Ok(Facts { event_name, event_id })
    }

    fn time_is_recent(&self, subject: &Subject<'_, '_>) -> Result<(), Refusal> {
        let time = subject
            .event
            .get("event_time")
            .ok_or_else(|| subject.missing("event_time"))?;
        let time = time
            .as_integer()
            .ok_or_else(|| subject.wrong("event_time", "an integer of Unix seconds"))?;
        if time >= MILLISECONDS_FROM {
            return Err(subject.wrong("event_time", "in seconds, not milliseconds"));
        }
        let in_store = source::is(subject.event, "physical_store");
        let max_days = if in_store {
            MAX_AGE_DAYS_PHYSICAL_STORE
        } else {
            MAX_AGE_DAYS
        };
        if self.now - time > max_days * DAY_SECONDS {
            return Err(Refusal::rule(
                subject.index,
                2_804_003,
                "Event Timestamp Too Old",
                &format!(
                    "The timestamp for this event is too far in the past. Events need to be sent from your \
                     server within {max_days} days of when they occurred"
                ),
            ));
        }
        if time - self.now > MAX_SECONDS_AHEAD {
            return Err(subject.wrong("event_time", "in the past"));
        }
        Ok(())
    }
}

impl<'a> Subject<'_, 'a> {
    fn keys_are_known(&self) -> Result<(), Refusal> {
        let Json::Object(members) = self.event else {
            return Err(Refusal::schema(self.index, "Must be an object: invalid event"));
        };
        match members
            .iter()
            .find(|(key, _)| !EVENT_KEYS.contains(&key.as_ref()))
        {
            Some((key, _)) => Err(Refusal::schema(self.index, &format!("Unexpected key \"{key}\""))),
            None => Ok(()),
        }
    }

    fn scalars_have_their_types(&self) -> Result<(), Refusal> {
        for key in [
            "event_source_url",
            "referrer_url",
            "messaging_channel",
            "advanced_measurement_table",
        ] {
            self.optional_text(key)?;
        }
        for key in [
            "custom_data",
            "app_data",
            "original_event_data",
            "attribution_data",
        ] {
            if self
                .event
                .get(key)
                .is_some_and(|value| !matches!(value, Json::Object(_)))
            {
                return Err(self.wrong(key, "an object"));
            }
        }
        // Segment writes booleans as 0 and 1.
        if let Some(value) = self.event.get("opt_out")
            && !matches!(value, Json::Bool(_) | Json::Integer(0 | 1))
        {
            return Err(self.wrong("opt_out", "a boolean"));
        }
        if let Some(segment) = self.optional_text("customer_segmentation")?
            && !CUSTOMER_SEGMENTS.contains(&segment.as_ref())
        {
            return Err(self.wrong("customer_segmentation", "a documented segment"));
        }
        self.data_processing_options()
    }

    fn data_processing_options(&self) -> Result<(), Refusal> {
        match self.event.get("data_processing_options") {
            None => {}
            Some(Json::List(options)) if options.iter().all(|option| *option == Json::Text("LDU".into())) => {
            }
            Some(_) => return Err(self.wrong("data_processing_options", "[] or [\"LDU\"]")),
        }
        let country = self.event.get("data_processing_options_country");
        if country.is_some_and(|country| !matches!(country, Json::Integer(0 | 1))) {
            return Err(self.wrong("data_processing_options_country", "0 or 1"));
        }
        let state = self.event.get("data_processing_options_state");
        if state.is_some_and(|state| !matches!(state, Json::Integer(0 | 1000..=1013))) {
            return Err(self.wrong("data_processing_options_state", "0 or a documented state"));
        }
        Ok(())
    }

    fn required_text(&self, key: &str) -> Result<Cow<'a, str>, Refusal> {
        self.optional_text(key)?
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| self.missing(key))
    }

    fn optional_text(&self, key: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        match self.event.get(key) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(key, "a string")),
        }
    }

    fn missing(&self, key: &str) -> Refusal {
        Refusal::schema(self.index, &format!("Missing required key \"{key}\""))
    }

    fn wrong(&self, key: &str, expected: &str) -> Refusal {
        Refusal::schema(self.index, &format!("Key \"{key}\" must be {expected}"))
    }
}

/// Only Purchase has hard requirements; the shape of `value` and `currency` is checked wherever they appear.
fn custom_data(subject: &Subject<'_, '_>, event_name: &str) -> Result<(), Refusal> {
    let purchase = event_name == "Purchase";
    let field = |key| {
        subject
            .event
            .get("custom_data")
            .and_then(|custom_data| custom_data.get(key))
    };
    match field("value").filter(|value| value.says_something()) {
        Some(value) => {
            let amount = number(value).ok_or_else(|| subject.wrong("value", "a number"))?;
            if purchase && amount < 0.0 {
                return Err(subject.wrong("value", "zero or more"));
            }
        }
        None if purchase => {
            let detail =
                "Your purchase event doesn’t include a value parameter. Enter a value. For example: 1.99";
            return Err(Refusal::rule(
                subject.index,
                2_804_009,
                "Missing Value for Purchase Event",
                detail,
            ));
        }
        None => {}
    }
    match field("currency").filter(|currency| currency.says_something()) {
        Some(Json::Text(code)) if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            Ok(())
        }
        Some(_) => Err(subject.wrong("currency", "a three-letter ISO 4217 code")),
        None if purchase => {
            let detail = "Your purchase event doesn’t include a currency parameter. Enter a currency";
            Err(Refusal::rule(
                subject.index,
                2_804_010,
                "Missing Currency for Purchase Event",
                detail,
            ))
        }
        None => Ok(()),
    }
}

/// A JSON number, or a decimal string as in Meta's own app-event sample (`"142.52"`).
fn number(value: &Json<'_>) -> Option<f64> {
    match value {
        Json::Integer(integer) => Some(*integer as f64),
        Json::Float(float) => Some(*float),
        Json::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}
