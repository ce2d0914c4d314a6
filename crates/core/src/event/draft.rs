//! The event that a lead or an order becomes: what came as `event` beside it, completed.

use std::borrow::Cow;

use super::{Event, Intake, fields};
use crate::finding::{At, Finding, Findings};
use crate::json::{Json, Object};
use crate::lead_value::Worth;

/// Null, text without a letter, or `[]`, which PHP writes for an object without a member.
fn is_unset(value: &Json<'_>) -> bool {
    value.is_nothing() || matches!(value, Json::Array(items) if items.is_empty())
}

/// An event that is not complete yet.
pub(crate) struct Draft<'a> {
    fields: Object<'a>,
}

impl<'a> Draft<'a> {
    /// From what the client sent of it, if anything.
    pub(crate) fn of(
        event: Option<Json<'a>>,
        name: &'static str,
        intake: &Intake<'_>,
    ) -> Result<Self, Vec<Finding>> {
        let fields = match event {
            None => Object::new(),
            Some(Json::Object(fields)) => fields,
            Some(other) => {
                return Err(vec![Finding {
                    pointer: "/event".to_owned(),
                    detail: format!("must be an object, not {}", other.kind()).into(),
                }]);
            }
        };
        let mut draft = Draft { fields };
        draft.default("event_name", Json::String(Cow::Borrowed(name)));
        draft.default(
            "event_time",
            Json::Unsigned(u64::try_from(intake.now()).unwrap_or_default()),
        );
        draft.default("action_source", Json::String(Cow::Borrowed("system_generated")));
        Ok(draft)
    }

    fn get(&self, name: &str) -> Option<&Json<'a>> {
        let field = self.fields.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value).filter(|value| !is_unset(value))
    }

    /// Where the client does not say.
    pub(crate) fn default(&mut self, name: &'static str, value: Json<'a>) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    /// An id where the client names none that can be used, of what the client says beside id and time.
    /// Returns what is to be said of that.
    pub(crate) fn default_id(&mut self, make: impl FnOnce(Object<'a>) -> String) -> Vec<Finding> {
        let event = Json::Object(std::mem::take(&mut self.fields));
        let unusable = fields::unusable_id(&event);
        if let Json::Object(fields) = event {
            self.fields = fields;
        }
        let mut findings = Findings::default();
        let Some(why) = unusable else {
            return findings.warnings;
        };
        let said = self
            .fields
            .iter()
            .filter(|(name, _)| name != "event_id" && name != "event_time");
        let id = make(said.cloned().collect());
        self.set("event_id", Json::String(Cow::Owned(id)));
        if let Some(why) = why {
            let (root, why) = (
                At::Event,
                format!("{why}; the event got an id made of its content"),
            );
            findings.left_out(root.field("event").field("event_id"), why);
        }
        findings.warnings
    }

    /// Whatever the client says. Tells whether it said something else.
    pub(crate) fn set(&mut self, name: &'static str, value: Json<'a>) -> bool {
        let is_other = self.get(name).is_some_and(|known| *known != value);
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((Cow::Borrowed(name), value));
        is_other
    }

    /// Adds what is known of the person, where the event says nothing.
    pub(crate) fn add_person(&mut self, known: &[(Cow<'a, str>, Json<'a>)]) {
        self.default("user_data", Json::Object(Object::new()));
        let user_data = self.fields.iter_mut().find(|(name, _)| name == "user_data");
        let Some((_, Json::Object(user_data))) = user_data else {
            return;
        };
        for (name, value) in known {
            let is_empty = |value: &Json<'_>| matches!(value, Json::Null) || value.as_str() == Some("");
            user_data.retain(|(there, value)| there != name || !is_empty(value));
            if !user_data.iter().any(|(there, _)| there == name) {
                user_data.push((name.clone(), value.clone()));
            }
        }
    }

    /// The value of a Lead whose sender says neither a value nor a currency.
    pub(crate) fn default_value(&mut self, worth: Worth) {
        if self.get("event_name").and_then(Json::as_str) != Some("Lead") {
            return;
        }
        self.default("custom_data", Json::Object(Object::new()));
        let custom_data = self.fields.iter_mut().find(|(name, _)| name == "custom_data");
        let Some((_, Json::Object(custom_data))) = custom_data else {
            return;
        };
        let is_said = |(name, value): &(Cow<'_, str>, Json<'_>)| {
            (name == "value" || name == "currency") && !value.is_nothing()
        };
        if custom_data.iter().any(is_said) {
            return;
        }
        custom_data.retain(|(name, _)| name != "value" && name != "currency");
        let text = |text: String| Json::String(Cow::Owned(text));
        custom_data.push((Cow::Borrowed("value"), text(worth.major_units())));
        custom_data.push((
            Cow::Borrowed("currency"),
            text(worth.currency.as_str().to_owned()),
        ));
    }

    /// The event.
    pub(crate) fn finish(self, intake: &Intake<'a>) -> Result<(Event<'a>, Vec<Finding>), Vec<Finding>> {
        let within = |mut findings: Vec<Finding>| {
            for finding in &mut findings {
                finding.pointer.insert_str(0, "/event");
            }
            findings
        };
        Event::read(Json::Object(self.fields), intake)
            .map(|(event, warnings)| (event, within(warnings)))
            .map_err(within)
    }
}
