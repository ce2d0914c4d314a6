//! What goes wrong in real integrations: events that have to be refused, and careless ones that are taken all
//! the same.

use serde_json::{Value, json};

use super::{Request, SITE, SentEvent, Stream, WEBSITE, due_once, refused, with_url};
use crate::demo::people::Person;

/// How often each mistake is made.
const TIMES: usize = 2;

impl Stream<'_> {
    /// Mistakes in requests of their own, and mistakes among the good events of a batch.
    pub(super) fn mistakes(&mut self, person: &Person) {
        for _ in 0..TIMES {
            let wrong = self
                .wrong_sales(person)
                .into_iter()
                .chain(self.wrong_leads(person));
            self.server.extend(wrong.map(|event| refused(event.to_string())));
            self.wrong_requests(person);
            self.careless(person);
        }
    }

    fn wrong_sales(&mut self, person: &Person) -> [Value; 4] {
        let now = self.origin.now;
        let paid = json!({"value": 1_290.5, "currency": "BRL"});
        let no_value = self.by_phone("Purchase", person, json!({"currency": "BRL"}));
        let price_as_text = self.by_phone(
            "Purchase",
            person,
            json!({"value": "R$ 1.290,50", "currency": "BRL"}),
        );
        let mut milliseconds = self.by_phone("Purchase", person, paid.clone());
        milliseconds["event_time"] = json!(now * 1_000);
        let mut too_old = self.by_phone("Purchase", person, paid);
        too_old["event_time"] = json!(now - 8 * 24 * 3_600);
        [no_value, price_as_text, milliseconds, too_old]
    }

    fn wrong_leads(&mut self, person: &Person) -> [Value; 4] {
        let mut misspelt = self.by_phone("Lead", person, json!({}));
        misspelt["customData"] = json!({"service_type": "pintura"});
        let mut unknown_source = self.by_phone("Lead", person, json!({}));
        unknown_source["action_source"] = json!("site");
        let mut too_thin = self.by_phone("Lead", person, json!({}));
        too_thin["user_data"] = json!({"ct": person.city, "st": person.state});
        let mut nameless = self.by_phone("Lead", person, json!({}));
        nameless["event_name"] = json!("");
        [misspelt, unknown_source, too_thin, nameless]
    }

    fn wrong_requests(&mut self, person: &Person) {
        let mut cut_off = self.by_phone("Lead", person, json!({})).to_string();
        cut_off.truncate(cut_off.len() / 2);
        let from_nowhere = self.event(
            "Lead",
            self.origin.now - 60,
            WEBSITE,
            self.contact_of(person),
            json!({}),
        );
        for text in [cut_off, from_nowhere.to_string()] {
            let device = self.device();
            self.pages.push(Request::Page {
                device,
                event: refused(text),
                copies: 1,
            });
        }
        let from_a_stranger = self.by_phone("Lead", person, json!({}));
        self.pages
            .push(Request::Stranger(refused(from_a_stranger.to_string())));
    }

    /// Personal data where Meta forbids it. The event counts; the gateway leaves that part out.
    fn careless(&mut self, person: &Person) {
        let email = person.email.trim();
        let noted = json!({"service_type": "pintura", "email": email});
        let noted = self.by_phone("Lead", person, noted);
        self.server.push(due_once(noted));

        let device = self.device();
        let thanks = format!("{SITE}/obrigado?email={email}&servico=pintura");
        let thanked = self.event(
            "Schedule",
            self.origin.now - 90,
            WEBSITE,
            self.contact_of(person),
            json!({}),
        );
        let event: SentEvent = due_once(with_url(thanked, &thanks));
        self.pages.push(Request::Page {
            device,
            event,
            copies: 1,
        });
    }

    fn by_phone(&mut self, name: &str, person: &Person, custom_data: Value) -> Value {
        self.event(
            name,
            self.origin.now - 600,
            "phone_call",
            self.contact_of(person),
            custom_data,
        )
    }

    fn contact_of(&self, person: &Person) -> Value {
        json!({"em": person.email, "ph": person.phones[0]})
    }
}
