//! An event: something that happened on a site, in an app or at a counter, as Meta's Conversions API takes
//! it.
//!
//! [`Event::read`] is the only way to make one, so an `Event` that exists satisfies every rule that Meta
//! documents for it. That matters more than politeness: Meta refuses a whole request of a thousand events for
//! one bad one.
//!
//! Source: Meta, "Server event parameters" and the error subcodes 28040xx.

mod check;
mod draft;
mod facts;
mod fields;
pub mod names;
mod remembered;

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::click_id;
use crate::custom_data::CustomData;
use crate::dataset::{DatasetDefaults, DatasetId};
use crate::dedup::EventKey;
use crate::finding::{At, Finding, Findings};
use crate::json::{Json, Object, writer};
use crate::match_keys::{self, Reading};
use crate::user_data::{UserData, Visitor};

pub(crate) use draft::Draft;
pub use facts::Facts;
pub use remembered::with_browser_ids;

const DAY: i64 = 24 * 60 * 60;
/// The longest finished event taken, in bytes of JSON. Meta documents no limit; a request carries up to a
/// thousand.
const LONGEST_EVENT: usize = 64 * 1_024;

/// Where an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionSource {
    Website,
    App,
    PhysicalStore,
    BusinessMessaging,
    Email,
    PhoneCall,
    Chat,
    SystemGenerated,
    Other,
}

const ACTION_SOURCES: [(&str, ActionSource); 9] = [
    ("website", ActionSource::Website),
    ("app", ActionSource::App),
    ("physical_store", ActionSource::PhysicalStore),
    ("business_messaging", ActionSource::BusinessMessaging),
    ("email", ActionSource::Email),
    ("phone_call", ActionSource::PhoneCall),
    ("chat", ActionSource::Chat),
    ("system_generated", ActionSource::SystemGenerated),
    ("other", ActionSource::Other),
];

impl ActionSource {
    /// How old an event may be when Meta gets it, in seconds: 7 days, and 62 for what happened in a shop.
    pub fn max_age_seconds(self) -> i64 {
        if self == ActionSource::PhysicalStore {
            62 * DAY
        } else {
            7 * DAY
        }
    }
}

/// Everything beside the event itself that decides how it is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Intake<'v> {
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
    pub current_year: i32,
    pub defaults: DatasetDefaults,
    pub visitor: Visitor<'v>,
    /// How far the sender's clock is behind ours, in seconds: added to the event's time.
    pub clock_shift_seconds: i64,
    /// The person refused advertising: who it is is neither asked for nor kept, and the event is not for
    /// Meta.
    pub consent_refused: bool,
    /// Whoever filled in the form is there, and is shown what is wrong with it.
    pub can_ask: bool,
}

impl Intake<'_> {
    fn now(&self) -> i64 {
        self.now_ms / 1_000
    }

    pub(crate) fn reading(&self) -> Reading {
        Reading {
            country: self.defaults.country,
            current_year: self.current_year,
            variants: true,
        }
    }
}

/// One event, valid and with hashed identifiers.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    #[serde(rename = "event_name")]
    pub name: Cow<'a, str>,
    /// When it happened, in seconds since 1970.
    #[serde(rename = "event_time")]
    pub time: i64,
    #[serde(rename = "event_id")]
    pub id: Cow<'a, str>,
    pub action_source: ActionSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_source_url: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer_url: Option<Cow<'a, str>>,
    pub user_data: UserData<'a>,
    #[serde(skip_serializing_if = "CustomData::is_empty")]
    pub custom_data: CustomData<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_out: Option<bool>,
    /// Fields that Meta takes and that we check but do not use.
    #[serde(flatten)]
    passed_on: PassedOn<'a>,
}

#[derive(Debug, Default, Serialize)]
struct PassedOn<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data_processing_options: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_processing_options_country: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_processing_options_state: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_object")]
    app_data: Option<Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_object")]
    original_event_data: Option<Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_object")]
    attribution_data: Option<Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messaging_channel: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advanced_measurement_table: Option<Cow<'a, str>>,
}

impl<'a> Event<'a> {
    /// Reads one event from what a client sent, adds what the request tells of the visitor, and checks it.
    ///
    /// Returns the event with warnings about what was left out of it, or every error that was found: what is
    /// required and not there, and what Meta would refuse the whole request for.
    pub fn read(json: Json<'a>, intake: &Intake<'a>) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let mut findings = Findings::default();
        let may_be_too_long = most_written(&json) > LONGEST_EVENT;
        let own_id = fields::unusable_id(&json).map(|why| (why, id_from_content(&json, &intake.visitor)));
        let Json::Object(object) = json else {
            findings.wrong_kind(At::Event, "an object", &json);
            return Err(findings.errors);
        };
        let mut event = fields::Fields::read(object, &mut findings).event(intake, &mut findings);
        if let Some((why, own_id)) = own_id {
            event.id = Cow::Owned(own_id);
            if let Some(why) = why {
                findings.left_out(
                    At::Event.field("event_id"),
                    format_args!("{why}; the event got an id made of its content"),
                );
            }
        }
        // A page's event of a chat is refused as a whole, by whoever knows the key.
        if intake.visitor.is_browser && event.action_source != ActionSource::BusinessMessaging {
            event.leave_to_servers(&mut findings);
        }
        if intake.consent_refused {
            event.user_data = UserData::default();
        }
        event.enrich(intake, &mut findings);
        // An address of which nothing is left, tells nothing.
        event.referrer_url = event.referrer_url.take().filter(|url| !url.is_empty());
        check::check(&event, intake.consent_refused, &mut findings);
        if may_be_too_long && findings.errors.is_empty() && event.to_json().len() > LONGEST_EVENT {
            findings.error(
                At::Event,
                "is longer than 64 KiB, as JSON, with its identifiers hashed",
            );
        }
        if findings.errors.is_empty() {
            Ok((event, findings.warnings))
        } else {
            Err(findings.errors)
        }
    }

    /// An id for what came without one and is sent again when its answer is lost: of all that `content` says,
    /// of the visitor, and of the day (UTC). The time of the event, which is that of the request where
    /// nothing else is said, must be no part of it.
    pub(crate) fn id_of_day(content: Vec<Json<'_>>, intake: &Intake<'_>) -> String {
        let day = Json::Unsigned(u64::try_from(intake.now().div_euclid(DAY)).unwrap_or_default());
        let content = Json::Array(vec![day, Json::Array(content)]);
        id_from_content(&content, &intake.visitor)
    }

    /// The key under which this event is claimed once.
    pub fn key(&self, dataset: DatasetId) -> EventKey {
        EventKey::new(dataset, &self.name, &self.id)
    }

    /// How long the key must be remembered, in seconds: past the last moment at which Meta would take a
    /// resend.
    pub fn dedup_window_seconds(&self) -> i64 {
        self.action_source.max_age_seconds() + DAY
    }

    /// The event as it is stored, and later sent byte for byte.
    pub fn to_json(&self) -> String {
        /// Room for the usual event with contact data and an address, in bytes.
        const USUAL: usize = 2_048;
        writer::to_string(self, USUAL).expect("an event consists of text, numbers, lists and objects")
    }

    /// Leaves out what no page knows. Whoever reads a page's key could invent it, and Meta refuses what is
    /// invented.
    fn leave_to_servers(&mut self, findings: &mut Findings) {
        const WHY: &str = "it is for a server to say, with a secret key";
        if self.passed_on.messaging_channel.take().is_some() {
            findings.left_out(At::Event.field("messaging_channel"), WHY);
        }
        let user_data = At::Event.field("user_data");
        for name in self.user_data.leave_to_servers() {
            findings.left_out(user_data.field(name), WHY);
        }
    }

    /// Adds what the request and the owner's settings tell, where the event does not say.
    fn enrich(&mut self, intake: &Intake<'a>, findings: &mut Findings) {
        // A chat has no browser: the request is the business's own, or that of the messaging platform.
        if self.action_source != ActionSource::BusinessMessaging && !intake.consent_refused {
            let came_with_click = self.user_data.fbc.is_some();
            self.user_data.enrich(&intake.visitor, findings);
            if !came_with_click {
                self.add_click(intake);
            }
        }
        if let Some(country) = intake.defaults.country.filter(|_| !intake.consent_refused) {
            self.user_data.assume_country(country, &intake.reading());
        }
        if let Some(currency) = intake.defaults.currency
            && self.custom_data.lacks_currency()
        {
            self.custom_data
                .add("currency", Json::String(Cow::Owned(currency.as_str().to_owned())));
        }
    }

    /// Adds the click that brought the visitor, where the page's address tells of a newer one than the
    /// cookie. The page before it may be older than the cookie, and counts only without one.
    fn add_click(&mut self, intake: &Intake<'_>) {
        let cookie = self.user_data.fbc.as_deref();
        let page = self.event_source_url.as_deref();
        let page_before = self.referrer_url.as_deref().filter(|_| cookie.is_none());
        let click = page
            .and_then(click_id::fbclid)
            .or_else(|| page_before.and_then(click_id::fbclid))
            .filter(|click| cookie.and_then(click_id::click_of) != Some(click));
        // The click was before the event, and a server may send the event much later.
        let first_seen_ms = intake.now_ms.min(self.time * 1_000);
        let fbc = click.map(|click| click_id::fbc_from_click(click, first_seen_ms));
        if let Some(fbc) = fbc.filter(|fbc| click_id::is_valid(fbc)) {
            self.user_data.fbc = Some(Cow::Owned(fbc));
        }
    }
}

/// An id for an event that came without one: a hash of all it says, and of what tells the visitor from
/// another. The same bytes sent again by the same browser are then still the same event, whatever the clock
/// or our rules of reading have become. The price: a visitor without cookies whose address has changed counts
/// twice. (A browser's copy cannot be matched to it either; for that the client must send an id.)
fn id_from_content(json: &Json<'_>, visitor: &Visitor<'_>) -> String {
    let mut content =
        serde_json::to_vec(json).expect("writing strings and finite numbers to memory cannot fail");
    let identity = visitor.identity();
    if !identity.is_empty() {
        content.push(b'\n'); // no part of what JSON writes
        content.extend_from_slice(identity.as_bytes());
    }
    format!("auto-{}", &match_keys::sha256_hex(&content).as_str()[..32])
}

/// A bound on the finished JSON of an event, so that the usual short one need not be written to know its
/// length.
fn most_written(json: &Json<'_>) -> usize {
    /// What a request can add: a user agent of 2,000 bytes, each escaped, two cookies and the short rest.
    const ADDED: usize = 16 * 1_024;
    /// An identifier becomes at most four hashes, a number at most 25 characters.
    const VALUE: usize = 4 * 76;
    /// `\u0000` is the longest way to write a byte.
    const ESCAPED: usize = 6;
    fn most(json: &Json<'_>) -> usize {
        match json {
            Json::String(text) => VALUE + ESCAPED * text.len(),
            Json::Array(items) => VALUE + items.iter().map(most).sum::<usize>(),
            Json::Object(fields) => {
                VALUE
                    + fields
                        .iter()
                        .map(|(name, value)| ESCAPED * name.len() + most(value))
                        .sum::<usize>()
            }
            Json::Null | Json::Bool(_) | Json::Unsigned(_) | Json::Negative(_) | Json::Float(_) => VALUE,
        }
    }
    ADDED + most(json)
}

/// Writes an object that may be absent.
fn as_object<S: Serializer>(object: &Option<Object<'_>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(object.iter().flatten().map(|(name, value)| (name, value)))
}
