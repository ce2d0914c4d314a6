//! How far a lead has come, and which event it becomes there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use crate::event::{Draft, Event, Intake};
use crate::finding::Finding;
use crate::json::{Json, Object};
use crate::lead::Lead;
use crate::personal_data::holds_personal_data;
use crate::placeholder::is_placeholder;

/// The longest name of an event that a status can be mapped to, in bytes: Meta takes no more of a custom one.
const LONGEST_NAME: usize = 50;

/// Where a lead stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeadStatus {
    New,
    Qualified,
    Scheduled,
    Customer,
    Lost,
}

impl LeadStatus {
    pub const ALL: [LeadStatus; 5] = [
        LeadStatus::New,
        LeadStatus::Qualified,
        LeadStatus::Scheduled,
        LeadStatus::Customer,
        LeadStatus::Lost,
    ];

    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            LeadStatus::New => "new",
            LeadStatus::Qualified => "qualified",
            LeadStatus::Scheduled => "scheduled",
            LeadStatus::Customer => "customer",
            LeadStatus::Lost => "lost",
        }
    }

    /// From the word that is stored.
    pub fn parse(word: &str) -> Option<Self> {
        LeadStatus::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether a lead that stands here may come to `next`. It moves on, not back; one that was lost may be
    /// found again; a customer stays one. Nothing becomes new.
    pub fn may_become(self, next: LeadStatus) -> bool {
        match (self, next) {
            (_, LeadStatus::New) | (LeadStatus::Customer, _) => false,
            (LeadStatus::Lost, next) => next != LeadStatus::Lost,
            (now, next) => next > now,
        }
    }
}

/// Which event a lead becomes when it comes to a status. By default it is a `Schedule` when it is scheduled,
/// and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadEvents(BTreeMap<LeadStatus, String>);

impl Default for LeadEvents {
    fn default() -> Self {
        LeadEvents(BTreeMap::from([(LeadStatus::Scheduled, "Schedule".to_owned())]))
    }
}

impl LeadEvents {
    /// From pairs of status and event name; or which status is wrong, and why.
    pub fn read<'p>(
        pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<Self, (String, &'static str)> {
        let mut events = BTreeMap::new();
        for (status, name) in pairs {
            let wrong = |why| Err((status.chars().take(LONGEST_NAME).collect(), why));
            let status = match LeadStatus::parse(status) {
                Some(LeadStatus::New) => return wrong("is the Lead itself, which was sent when it came"),
                Some(status) => status,
                None => return wrong("is no status: qualified, scheduled, customer or lost"),
            };
            match name {
                "Purchase" => return wrong("cannot be a Purchase, which needs a value: record the purchase"),
                "Lead" => return wrong("cannot be a Lead again"),
                name if !is_name(name) => {
                    return wrong(
                        "must be the name of an event: at most 50 bytes of letters, digits, spaces, - and _",
                    );
                }
                name => events.insert(status, name.to_owned()),
            };
        }
        Ok(LeadEvents(events))
    }

    /// The name of the event that a lead becomes there.
    pub fn of(&self, status: LeadStatus) -> Option<&str> {
        self.0.get(&status).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (LeadStatus, &str)> {
        self.0.iter().map(|(status, name)| (*status, name.as_str()))
    }
}

fn is_name(name: &str) -> bool {
    let may_be_in = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    name.trim() == name
        && (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(may_be_in)
        && !is_placeholder(name)
        && !holds_personal_data(name)
}

/// The longest id that [`step_event_id`] makes, in bytes.
pub const LONGEST_STEP_EVENT_ID: usize = 5 + 19 + 1 + 9 + 1 + 32;

/// The id of the event that a lead becomes at a status. There is one for ever, so that no repeat is a second
/// event. `proof` is what nobody else can know: the lead's number can be guessed, and whoever may send the
/// same event under its id first would take the true one's place.
pub fn step_event_id(lead_id: i64, status: LeadStatus, proof: &[u8; 16]) -> String {
    let mut id = format!("lead-{lead_id}-{}-", status.as_str());
    for byte in proof {
        // Writing to a text never fails.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

impl<'a> Lead<'a> {
    /// The event that the stored lead becomes at a status, now, under the name that its dataset gives it and
    /// the id that [`step_event_id`] gives it. `page` is where the lead was left, by which custom conversions
    /// and audiences are told apart; `remembered` is what the lead knew of the browser, by Meta's names.
    ///
    /// Returns what [`Event::read`] does.
    ///
    /// `custom_data` says that a CRM tells it, as Meta asks of the steps of a lead ("Conversion Leads
    /// integration").
    pub fn step(
        &self,
        event_id: String,
        name: &'a str,
        page: Option<&'a str>,
        remembered: &[(Cow<'a, str>, Json<'a>)],
        intake: &Intake<'a>,
    ) -> Result<(Event<'a>, Vec<Finding>), Vec<Finding>> {
        let mut draft = Draft::of(None, "Lead", intake)?;
        let text = |text: &'static str| Json::String(Cow::Borrowed(text));
        let custom_data: Object<'a> = vec![
            (Cow::Borrowed("event_source"), text("crm")),
            (Cow::Borrowed("lead_event_source"), text("Rastro")),
        ];
        draft.set("event_name", Json::String(Cow::Borrowed(name)));
        draft.set("event_id", Json::String(Cow::Owned(event_id)));
        draft.set("custom_data", Json::Object(custom_data));
        if let Some(page) = page {
            // Without its query: the click and the campaign were the lead's, and are not another touch.
            let page = page.split(['?', '#']).next().unwrap_or(page);
            draft.set("event_source_url", Json::String(Cow::Borrowed(page)));
        }
        draft.add_person(self.user_data());
        draft.add_person(remembered);
        draft.finish(intake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Findings;

    #[test]
    fn a_lead_moves_on_and_not_back() {
        use LeadStatus::{Customer, Lost, New, Qualified, Scheduled};
        let onward: Vec<(LeadStatus, LeadStatus)> = LeadStatus::ALL
            .into_iter()
            .flat_map(|now| LeadStatus::ALL.map(|next| (now, next)))
            .filter(|(now, next)| now.may_become(*next))
            .collect();
        let expected = [
            (New, Qualified),
            (New, Scheduled),
            (New, Customer),
            (New, Lost),
            (Qualified, Scheduled),
            (Qualified, Customer),
            (Qualified, Lost),
            (Scheduled, Customer),
            (Scheduled, Lost),
            (Lost, Qualified),
            (Lost, Scheduled),
            (Lost, Customer),
        ];
        assert_eq!(onward, expected);
        assert_eq!(LeadStatus::parse("scheduled"), Some(Scheduled));
        assert_eq!(LeadStatus::parse("Scheduled"), None);
    }

    #[test]
    fn a_status_is_mapped_to_an_event_that_a_lead_can_be() {
        let events =
            LeadEvents::read([("qualified", "Lead Qualificado"), ("customer", "Subscribe")]).unwrap();
        assert_eq!(events.of(LeadStatus::Qualified), Some("Lead Qualificado"));
        assert_eq!(events.of(LeadStatus::Scheduled), None, "the map is the whole map");
        assert_eq!(LeadEvents::default().of(LeadStatus::Scheduled), Some("Schedule"));
        assert_eq!(LeadEvents::read([]).unwrap().iter().count(), 0);
        let long = "x".repeat(51);
        for (status, name) in [
            ("new", "Lead"),
            ("won", "X"),
            ("customer", "Purchase"),
            ("lost", ""),
            ("lost", " x"),
            ("lost", "<script>"),
            ("lost", &long),
        ] {
            let wrong = LeadEvents::read([("qualified", "Contact"), (status, name)]).unwrap_err();
            assert_eq!(wrong.0, status, "{name}");
        }
    }

    #[test]
    fn the_id_of_a_step_is_one_of_lead_status_and_proof_and_as_short_as_is_said() {
        let id = step_event_id(7, LeadStatus::Scheduled, &[0xab; 16]);
        assert_eq!(id, "lead-7-scheduled-abababababababababababababababab");
        let longest = step_event_id(i64::MAX, LeadStatus::Qualified, &[0; 16]);
        assert_eq!(longest.len(), LONGEST_STEP_EVENT_ID);
    }

    #[test]
    fn a_step_carries_the_person_and_what_the_browser_had() {
        let intake = Intake {
            now_ms: 1_790_000_000_000,
            ..Intake::default()
        };
        let form = Json::parse(br#"{"email":"Ana.Souza@Example.com"}"#).unwrap();
        let lead = Lead::read(form, &intake, &mut Findings::default());
        let lead = lead.unwrap_or_else(|| panic!("a form"));
        let fbc = "fb.1.1596403881668.AbCdEfGhIjKlMnOp";
        let remembered = [(Cow::Borrowed("fbc"), Json::String(fbc.into()))];
        let (event, warnings) = lead
            .step(
                "lead-7-scheduled-x".to_owned(),
                "Schedule",
                Some("https://clinica.example/contato?utm_source=meta#form"),
                &remembered,
                &intake,
            )
            .unwrap();
        assert_eq!(
            (&*event.name, &*event.id, event.time),
            ("Schedule", "lead-7-scheduled-x", 1_790_000_000)
        );
        assert!(warnings.is_empty(), "{warnings:?}");
        let json = event.to_json();
        assert!(
            json.contains(r#""event_source_url":"https://clinica.example/contato""#),
            "{json}"
        );
        // printf ana.souza@example.com | sha256sum
        assert!(
            json.contains("7fd726011aa08d90d14a923ea0e5e3edf63bfe14b51ee6f6429483118d197c9b"),
            "{json}"
        );
        assert!(
            json.contains(fbc) && json.contains("\"crm\"") && json.contains("system_generated"),
            "{json}"
        );
    }
}
