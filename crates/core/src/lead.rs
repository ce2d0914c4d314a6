//! A lead: what somebody wrote into a form, and the event that it becomes.

use std::borrow::Cow;

use crate::event::{Draft, Event, Intake};
use crate::finding::{At, Finding, Findings};
use crate::json::{Json, Object, repeated_names};
use crate::lead_value::Worth;
use crate::match_keys::{HashedKeys, MatchKey};
use crate::person::PersonKeys;

const LONGEST_LINE: usize = 500;
const LONGEST_MESSAGE: usize = 5_000;
const MOST_FIELDS: usize = 50;

/// What of a form has a meaning here. Everything else is the business's own.
const OURS: [&str; 6] = ["name", "email", "phone", "message", "cpf", "external_id"];
/// What captchas put into the form that they guard.
const CAPTCHAS: [&str; 3] = [
    "g-recaptcha-response",
    "h-captcha-response",
    "cf-turnstile-response",
];

/// A form as it was filled in, valid.
pub struct Lead<'a> {
    /// All of its fields as JSON. Personal data: only to be stored sealed.
    pub contact: String,
    pub keys: PersonKeys,
    /// What it is likely worth, for an event that says nothing of it.
    pub predicted: Option<Worth>,
    /// What Meta may find the person by, by its names.
    user_data: Object<'a>,
    /// Identifiers that cannot be read, by the name of their field, and why.
    unread: Vec<(&'static str, String)>,
    /// An e-mail or a phone can be read.
    is_reachable: bool,
}

impl<'a> Lead<'a> {
    /// Reads `lead`, naming every field that is wrong. `None` after saying so. Where the person can be
    /// reached all the same, an identifier that cannot be read costs no lead: it stays in the form as it
    /// was typed, and is no part of the event. Nor does a field of the business's own that is none: a plain
    /// form sends all that is in it, its captcha and its empty file fields too, and has nobody to ask.
    pub fn read(json: Json<'a>, intake: &Intake<'_>, findings: &mut Findings) -> Option<Self> {
        let root = At::Event;
        let at = root.field("lead");
        let mut object = match json {
            Json::Object(object) => object,
            other => {
                findings.wrong_kind(at, "an object", &other);
                return None;
            }
        };
        let errors = findings.errors.len();
        for name in repeated_names(&object) {
            findings.error(at.field(name), "stands twice");
        }
        if object.len() > MOST_FIELDS {
            findings.error(at, "has more than 50 fields");
            return None;
        }
        object.retain(|(_, value)| !matches!(value, Json::Null) && value.as_str() != Some(""));
        object.retain(|(name, value)| match why_not_kept(name, value) {
            Some(why) => {
                findings.left_out(at.field(name), why);
                false
            }
            None => true,
        });
        if object.is_empty() {
            findings.error(at, "is empty: send at least a name, an e-mail or a phone");
        }
        let mut lead = Lead {
            contact: String::new(),
            keys: PersonKeys::default(),
            predicted: None,
            user_data: Object::new(),
            unread: Vec::new(),
            is_reachable: false,
        };
        for (name, value) in &object {
            lead.field(name, value, at.field(name), intake, findings);
        }
        let is_refused = !lead.is_reachable || intake.can_ask;
        for (name, why) in std::mem::take(&mut lead.unread) {
            match is_refused {
                true => findings.error(at.field(name), format!("cannot be read: {why}")),
                false => findings.left_out(at.field(name), why),
            }
        }
        lead.contact = serde_json::to_string(&Json::Object(object)).expect("text and numbers can be written");
        (findings.errors.len() == errors).then_some(lead)
    }

    fn field(
        &mut self,
        name: &str,
        value: &Json<'a>,
        at: At<'_>,
        intake: &Intake<'_>,
        findings: &mut Findings,
    ) {
        if !OURS.contains(&name) {
            return;
        }
        // A form that has a field twice, for wide screens and for narrow ones, says both.
        let value = match value {
            Json::Array(items) => items.iter().rev().find(|item| is_filled(item)).unwrap_or(value),
            value => value,
        };
        let text = match value.clone() {
            // A spreadsheet takes a CPF for a number, and the zeros in front of it.
            Json::Unsigned(number) if name == "cpf" => Cow::Owned(format!("{number:011}")),
            text @ (Json::String(_) | Json::Unsigned(_)) => text.into_identifier().unwrap_or_default(),
            other => return findings.wrong_kind(at, "a text", &other),
        };
        match name {
            "message" if text.len() > LONGEST_MESSAGE => findings.error(at, "is longer than 5,000 bytes"),
            "message" => {}
            _ if text.len() > LONGEST_LINE => findings.error(at, "is longer than 500 bytes"),
            "name" => {
                let (first, last) = text
                    .trim()
                    .split_once(char::is_whitespace)
                    .unwrap_or((text.trim(), ""));
                for (key, part) in [("fn", first), ("ln", last.trim())] {
                    if !part.is_empty() {
                        self.person(key, part.to_owned().into());
                    }
                }
            }
            "email" => self.key("email", MatchKey::Email, text, intake),
            "phone" => self.key("phone", MatchKey::Phone, text, intake),
            "external_id" => self.key("external_id", MatchKey::ExternalId, text, intake),
            "cpf" => match PersonKeys::of_cpf(&text) {
                Some(cpf) => self.keys.cpf = Some(cpf),
                None => {
                    let why = "it is not a CPF: eleven digits, of which the last two must fit the others";
                    self.unread.push(("cpf", why.to_owned()));
                }
            },
            _ => {}
        }
    }

    fn key(&mut self, name: &'static str, key: MatchKey, text: Cow<'a, str>, intake: &Intake<'_>) {
        if let Err(dropped) = HashedKeys::new().add(key, &text, &intake.reading()) {
            return self.unread.push((name, dropped.to_string()));
        }
        self.is_reachable |= matches!(key, MatchKey::Email | MatchKey::Phone);
        self.keys.add(key, &text, &intake.reading());
        self.person(key.wire_name(), text);
    }

    fn person(&mut self, key: &'static str, value: Cow<'a, str>) {
        self.user_data.push((Cow::Borrowed(key), Json::String(value)));
    }

    /// What Meta may find the person by, by its names.
    pub(crate) fn user_data(&self) -> &Object<'a> {
        &self.user_data
    }

    /// The event that it becomes: the one that came with it, with the form's contact data where it has none.
    /// One without an id gets one of what the form and the event say and of the day: sent again because its
    /// answer was lost, the lead is still one.
    ///
    /// Returns what [`Event::read`] does; pointers begin with `/event`.
    pub fn event(
        &self,
        event: Option<Json<'a>>,
        intake: &Intake<'a>,
    ) -> Result<(Event<'a>, Vec<Finding>), Vec<Finding>> {
        let mut draft = Draft::of(event, "Lead", intake)?;
        let mut warnings = draft.default_id(|said| {
            let form = Json::String(Cow::Borrowed(&self.contact));
            Event::id_of_day(vec![form, Json::Object(said)], intake)
        });
        draft.add_person(&self.user_data);
        if let Some(worth) = self.predicted {
            draft.default_value(worth);
        }
        let (event, more) = draft.finish(intake)?;
        warnings.extend(more);
        Ok((event, warnings))
    }
}

/// Why a field of the business's own is no part of what is kept, as a sentence about "it".
fn why_not_kept(name: &str, value: &Json<'_>) -> Option<&'static str> {
    let is_long = |text: &str| text.len() > LONGEST_MESSAGE;
    match value {
        _ if OURS.contains(&name) => None,
        _ if CAPTCHAS.contains(&name) => Some("it is a captcha's, and says nothing of the person"),
        Json::String(text) if is_long(text) => Some("it is longer than 5,000 bytes"),
        Json::Array(items) if items.iter().any(|item| item.as_str().is_none_or(is_long)) => {
            Some("it is a list of other things than texts of at most 5,000 bytes")
        }
        Json::Object(_) => {
            Some("it is an object; a field is a text, a number, true or false, or a list of texts")
        }
        _ => None,
    }
}

fn is_filled(value: &Json<'_>) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> Intake<'static> {
        Intake {
            now_ms: 1_790_000_000_000,
            current_year: 2026,
            defaults: crate::dataset::DatasetDefaults {
                country: crate::match_keys::CountryCode::parse("br"),
                currency: None,
            },
            ..Intake::default()
        }
    }

    fn read(text: &str) -> Result<Lead<'_>, Vec<String>> {
        let mut findings = Findings::default();
        Lead::read(Json::parse(text.as_bytes()).unwrap(), &intake(), &mut findings)
            .ok_or_else(|| findings.errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn every_wrong_field_is_named() {
        let wrong = read(
            r#"{"name":7.5,"email":"ana@","phone":"12","cpf":"111.444.777-36","plan":{"a":1},"email":"b@"}"#,
        );
        let Err(mut named) = wrong else {
            panic!("not valid")
        };
        named.sort();
        let expected = [
            "/lead/cpf",
            "/lead/email",
            "/lead/email",
            "/lead/email",
            "/lead/name",
            "/lead/phone",
        ];
        assert_eq!(named, expected);
        for nothing in ["{}", r#"{"name":null,"email":""}"#, "[]", "7"] {
            assert_eq!(read(nothing).err(), Some(vec!["/lead".to_owned()]), "{nothing}");
        }
    }

    #[test]
    fn who_can_be_reached_is_no_lead_lost_for_a_slip_in_another_field() {
        let slips = r#"{"email":"ana@example.com","phone":"99999-9999","cpf":"111.444.777-36"}"#;
        let mut findings = Findings::default();
        let lead = Lead::read(Json::parse(slips.as_bytes()).unwrap(), &intake(), &mut findings);
        let lead = lead.unwrap_or_else(|| panic!("{:?}", findings.errors));
        let mut warned: Vec<&str> = findings
            .warnings
            .iter()
            .map(|warning| &*warning.pointer)
            .collect();
        warned.sort_unstable();
        assert_eq!(warned, ["/lead/cpf", "/lead/phone"]);
        assert_eq!(
            lead.contact, slips,
            "as it was typed: somebody who calls may read it better"
        );
        assert!(lead.keys.email.is_some() && lead.keys.phone.is_none() && lead.keys.cpf.is_none());
        let (event, _) = lead.event(None, &intake()).unwrap();
        assert!(event.to_json().contains("\"em\"") && !event.to_json().contains("\"ph\""));

        assert!(read(r#"{"email":"ana@","phone":"(11) 91234-5678"}"#).is_ok());
        // Nobody can be reached: whoever typed it is to be asked again.
        let nobody = read(r#"{"name":"Ana","phone":"99999-9999"}"#).err();
        assert_eq!(nobody, Some(vec!["/lead/phone".to_owned()]));
        let nobody = read(r#"{"external_id":"42","email":"ana@"}"#).err();
        assert_eq!(nobody, Some(vec!["/lead/email".to_owned()]));
        // A page's form that only sends has nobody to ask; one that shows what is wrong does ask.
        let mut page = intake();
        page.visitor.is_browser = true;
        let mut findings = Findings::default();
        assert!(Lead::read(Json::parse(slips.as_bytes()).unwrap(), &page, &mut findings).is_some());
        page.can_ask = true;
        let mut findings = Findings::default();
        assert!(Lead::read(Json::parse(slips.as_bytes()).unwrap(), &page, &mut findings).is_none());
    }

    #[test]
    fn what_a_plain_form_sends_beside_its_fields_costs_no_lead() {
        // What FormData makes of a form with two captchas, a file field, boxes, and the state of ASP.NET.
        let (token, state, story) = ("x".repeat(1_500), "y".repeat(20_000), "z".repeat(5_000));
        let form = format!(
            r#"{{"email":"ana@example.com","g-recaptcha-response":"{token}","cf-turnstile-response":"{token}",
            "anexo":{{}},"anexos":[{{}},{{}}],"__VIEWSTATE":"{state}","mensagem":"{story}","dias":["seg","ter"],
            "aceito":true,"phone":["","(11) 91234-5678",""]}}"#
        );
        let mut findings = Findings::default();
        let lead = Lead::read(Json::parse(form.as_bytes()).unwrap(), &intake(), &mut findings);
        let lead = lead.unwrap_or_else(|| panic!("{:?}", findings.errors));
        let warned: Vec<&str> = findings
            .warnings
            .iter()
            .map(|warning| &*warning.pointer)
            .collect();
        let expected = [
            "/lead/g-recaptcha-response",
            "/lead/cf-turnstile-response",
            "/lead/anexo",
            "/lead/anexos",
            "/lead/__VIEWSTATE",
        ];
        assert_eq!(warned, expected);
        let kept = format!(
            r#"{{"email":"ana@example.com","mensagem":"{story}","dias":["seg","ter"],"aceito":true,"phone":["","(11) 91234-5678",""]}}"#
        );
        assert_eq!(lead.contact, kept);
        assert!(lead.keys.phone.is_some(), "the one that was filled in");
        // With nothing else there is nobody to reach.
        assert_eq!(read(r#"{"anexo":{}}"#).err(), Some(vec!["/lead".to_owned()]));
        assert!(
            read(&format!(
                r#"{{"email":"ana@example.com","name":"{}"}}"#,
                "n".repeat(501)
            ))
            .is_err()
        );
    }

    #[test]
    fn a_cpf_that_a_spreadsheet_took_for_a_number_has_its_zeros_back() {
        // 012.345.678-90: 0 x 10 + 1 x 9 + ... + 8 x 2 = 156, and 1560 mod 11 is 9; then 0.
        let of = |cpf: &str| {
            read(&format!(r#"{{"cpf":{cpf}}}"#))
                .unwrap_or_else(|named| panic!("{named:?}"))
                .keys
                .cpf
        };
        let written = of("\"012.345.678-90\"");
        assert!(written.is_some());
        assert_eq!(of("1234567890"), written);
    }

    #[test]
    fn a_person_is_the_same_however_the_phone_is_written() {
        let keys = |text: &str| read(text).unwrap_or_else(|named| panic!("{named:?}")).keys;
        let new = keys(r#"{"phone":"(11) 91234-5678"}"#).phone;
        assert!(new.is_some());
        for old in [r#"{"phone":"+55 11 1234-5678"}"#, r#"{"phone":"011 91234-5678"}"#] {
            assert_eq!(keys(old).phone, new, "{old}");
        }
        assert_ne!(keys(r#"{"phone":"(12) 91234-5678"}"#).phone, new);
        assert_eq!(
            keys(r#"{"cpf":"111.444.777-35"}"#).cpf,
            keys(r#"{"cpf":"11144477735"}"#).cpf
        );
    }

    #[test]
    fn its_event_has_the_contact_data_hashed_and_the_browsers_id() {
        let lead = read(r#"{"name":"Ana de Souza","email":"Ana.Souza@Example.com","message":"Oi"}"#);
        let lead = lead.unwrap_or_else(|named| panic!("{named:?}"));
        let event = r#"{"event_id":"e-1","event_time":1790000000,"action_source":"other","user_data":{"fbp":"fb.1.1596403881668.1"}}"#;
        let event = lead.event(Some(Json::parse(event.as_bytes()).unwrap()), &intake());
        let (event, warnings) = event.unwrap();
        assert_eq!((&*event.name, &*event.id, warnings.len()), ("Lead", "e-1", 0));
        // printf ana.souza@example.com | sha256sum
        let email = "7fd726011aa08d90d14a923ea0e5e3edf63bfe14b51ee6f6429483118d197c9b";
        assert!(event.to_json().contains(email) && event.to_json().contains("fb.1.1596403881668.1"));
        let (event, _) = lead.event(None, &intake()).unwrap();
        assert_eq!((event.id.len(), event.time), (37, 1_790_000_000));
        // PHP's json_encode writes an empty map as a list.
        let of_php = br#"{"user_data":[],"custom_data":[]}"#;
        let (event, _) = lead.event(Some(Json::parse(of_php).unwrap()), &intake()).unwrap();
        assert!(event.to_json().contains(email));
        let wrong = lead.event(Some(Json::parse(b"{\"event_time\":1}").unwrap()), &intake());
        assert_eq!(wrong.unwrap_err()[0].pointer, "/event/event_time");
        let refused = Intake {
            consent_refused: true,
            ..intake()
        };
        let (withheld, _) = lead.event(None, &refused).unwrap();
        assert!(!withheld.to_json().contains(email));
    }

    #[test]
    fn a_lead_without_an_id_is_the_same_when_it_is_sent_again_that_day() {
        // 1,790,000,000 is 2026-09-21 at 14:13:20 UTC: `date -u -d @1790000000`.
        let at = |hours: i64| Intake {
            now_ms: (1_790_000_000 + hours * 3_600) * 1_000,
            ..intake()
        };
        let id = |form: &str, event: &str, hours: i64| {
            let lead = read(form).unwrap_or_else(|named| panic!("{named:?}"));
            let event = Json::parse(event.as_bytes()).unwrap();
            let (event, warnings) = lead.event(Some(event), &at(hours)).unwrap();
            (event.id.into_owned(), warnings)
        };
        let form = r#"{"email":"ana@example.com"}"#;
        let (first, warnings) = id(form, "{}", 0);
        assert!(first.starts_with("auto-") && warnings.is_empty());
        for (event, hours) in [
            ("{}", 9),
            (r#"{"event_time":1790000000}"#, 1),
            (r#"{"event_id":""}"#, 2),
        ] {
            assert_eq!(id(form, event, hours).0, first, "{event}");
        }
        let (placeholder, warnings) = id(form, r#"{"event_id":"undefined"}"#, 0);
        assert_eq!(
            (placeholder, &*warnings[0].pointer),
            (first.clone(), "/event/event_id")
        );
        for (form, event, hours) in [
            (form, "{}", 10),
            (form, r#"{"custom_data":{"plan":"ouro"}}"#, 0),
            (r#"{"email":"ana@example.com","message":"Oi"}"#, "{}", 0),
        ] {
            assert_ne!(id(form, event, hours).0, first, "{form} {event} {hours}");
        }
    }
}
