//! What reports ask of an event, as plain values.

use super::{ACTION_SOURCES, ActionSource, Event};
use crate::json::Json;
use crate::page::{Page, kept};

/// The columns of an event beside its name, id and times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Conversion value in major units of the currency, as a decimal number.
    pub value: Option<String>,
    /// ISO 4217, in capitals.
    pub currency: Option<String>,
    pub order_id: Option<String>,
    pub page: Page,
    /// Whoever read the request saw that no person's browser sent it: see [`crate::user_agent`].
    pub is_bot: bool,
}

impl Event<'_> {
    pub fn facts(&self) -> Facts {
        let text = |name| match self.custom_data.get(name)? {
            Json::String(text) => kept(text),
            Json::Unsigned(number) => Some(number.to_string()),
            _ => None,
        };
        Facts {
            value: self.custom_data.get("value").and_then(decimal),
            currency: text("currency"),
            order_id: text("order_id"),
            page: self.event_source_url.as_deref().map(Page::of).unwrap_or_default(),
            is_bot: false,
        }
    }
}

fn decimal(value: &Json<'_>) -> Option<String> {
    match value {
        Json::Unsigned(number) => Some(number.to_string()),
        Json::Negative(number) => Some(number.to_string()),
        Json::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

impl ActionSource {
    /// Meta's word for it.
    pub fn as_str(self) -> &'static str {
        let known = ACTION_SOURCES.iter().find(|(_, source)| *source == self);
        known.map_or("other", |(word, _)| word)
    }

    /// From Meta's word.
    pub fn parse(word: &str) -> Option<Self> {
        let known = ACTION_SOURCES.iter().find(|(known, _)| *known == word);
        known.map(|(_, source)| *source)
    }
}
