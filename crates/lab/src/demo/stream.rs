//! The events of the demo: visits, requests for a quote and sales of an invented home-improvement company,
//! sent the way real ones are, repeats and mistakes included.

mod mistakes;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::demo::people::{Person, one_of, people};

/// How often an event is sent at once when a button is pressed ten times.
const IMPATIENT_COPIES: usize = 10;
const IMPATIENT_PEOPLE: usize = 5;
/// The company's server sends what it has in batches of this many.
const BATCH: usize = 40;
const WEBSITE: &str = "website";
const SITE: &str = "https://www.casaviva.example";
/// What the company sells: the name in the page's address, the product's id and from what price in reais.
const SERVICES: [(&str, &str, u32); 5] = [
    ("energia_solar", "SOLAR-5KWP", 14_900),
    ("ar_condicionado", "SPLIT-12000", 1_890),
    ("marcenaria", "PLANEJADO-COZINHA", 8_400),
    ("pintura", "PINTURA-M2", 950),
    ("eletrica", "QUADRO-NOVO", 480),
];
const BROWSERS: [&str; 5] = [
    "Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 13; moto g54 5G Build/T1TDS33.96; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.107 Mobile Safari/537.36 Instagram 357.0.0.25.101 Android",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
];
const FBCLID_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What makes one stream differ from another.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'r> {
    /// People, journeys and mistakes follow from it.
    pub seed: u64,
    /// Part of every event id, so that a second run is not taken for a repeat of the first.
    pub run: &'r str,
    /// Unix seconds. Everything happens in the hours before.
    pub now: i64,
}

/// One event as it goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct SentEvent {
    /// The body, or the item of a batch. JSON, except where broken JSON is the mistake.
    pub text: String,
    pub due: Due,
}

/// What has to become of an event, whenever and however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Accepted the first time and refused as a duplicate every other time.
    Once { event_name: String, event_id: String },
    /// Refused, for its content or its key.
    Refusal,
}

/// The device behind a request of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub ip: String,
    pub user_agent: &'static str,
    /// The `_fbp` cookie.
    pub fbp: String,
}

/// One request to the gateway.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// From a visitor's page, with the publishable key, `copies` times at once.
    Page {
        device: Device,
        event: SentEvent,
        copies: usize,
    },
    /// From the company's server, with the secret key.
    Batch(Vec<SentEvent>),
    /// With a key that nobody issued.
    Stranger(SentEvent),
}

/// How many events have to be accepted, refused as duplicates and refused as invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub accepted: u64,
    pub duplicate: u64,
    pub rejected: u64,
}

/// The whole stream, in the order in which it is to be sent.
pub fn stream(origin: &Origin<'_>) -> Vec<Request> {
    let mut stream = Stream {
        origin,
        rng: StdRng::seed_from_u64(origin.seed),
        events: 0,
        pages: Vec::new(),
        server: Vec::new(),
    };
    let people = people(origin.seed);
    for (number, person) in people.iter().enumerate() {
        stream.journey(person, number < IMPATIENT_PEOPLE);
    }
    stream.mistakes(&people[0]);
    let Stream {
        mut rng,
        pages: mut requests,
        mut server,
        ..
    } = stream;
    // Many people are on the site at the same time; the server exports what it has afterwards.
    requests.shuffle(&mut rng);
    server.shuffle(&mut rng);
    requests.extend(server.chunks(BATCH).map(|events| Request::Batch(events.to_vec())));
    requests
}

/// What has to come of a stream, counted from what its events are due.
pub fn expected(requests: &[Request]) -> Expected {
    let mut expected = Expected::default();
    let mut known = HashSet::new();
    for event in requests.iter().flat_map(Request::sent) {
        match &event.due {
            Due::Refusal => expected.rejected += 1,
            Due::Once { event_name, event_id } if known.insert((event_name, event_id)) => {
                expected.accepted += 1;
            }
            Due::Once { .. } => expected.duplicate += 1,
        }
    }
    expected
}

impl Request {
    /// Every event of the request, as often as it is sent.
    pub fn sent(&self) -> impl Iterator<Item = &SentEvent> {
        let (events, copies) = match self {
            Request::Page { event, copies, .. } => (std::slice::from_ref(event), *copies),
            Request::Batch(events) => (events.as_slice(), 1),
            Request::Stranger(event) => (std::slice::from_ref(event), 1),
        };
        events
            .iter()
            .flat_map(move |event| std::iter::repeat_n(event, copies))
    }
}

struct Stream<'o> {
    origin: &'o Origin<'o>,
    rng: StdRng,
    events: usize,
    pages: Vec<Request>,
    server: Vec<SentEvent>,
}

impl Stream<'_> {
    /// One person's way from the first page to the sale, as far as it goes.
    fn journey(&mut self, person: &Person, impatient: bool) {
        let device = self.device();
        let landing = self.landing_query();
        let (service, product, from_price) = one_of(&SERVICES, &mut self.rng);
        let value = f64::from(from_price) + f64::from(self.rng.random_range(0..60_000_u32)) / 100.0;
        let mut time = self.origin.now - self.rng.random_range(3_600..6 * 3_600);

        self.view(&device, "PageView", time, &format!("{SITE}/{landing}"), json!({}));
        for page in ["obras", "sobre"] {
            if self.rng.random_bool(0.6) {
                time += self.rng.random_range(10..120);
                self.view(&device, "PageView", time, &format!("{SITE}/{page}"), json!({}));
            }
        }
        time += self.rng.random_range(15..180);
        let offer = json!({
            "content_type": "product", "content_ids": [product], "content_category": service,
            "contents": [{"id": product, "quantity": 1, "item_price": value}], "value": value, "currency": "BRL",
        });
        self.view(
            &device,
            "ViewContent",
            time,
            &format!("{SITE}/servicos/{service}{landing}"),
            offer,
        );
        if !impatient && self.rng.random_bool(0.2) {
            return;
        }

        time += self.rng.random_range(40..400);
        let asked = json!({"service_type": service, "lead_event_source": "site", "value": value});
        let user_data = self.form(person);
        let lead = self.event("Lead", time, WEBSITE, user_data, asked);
        let lead = with_url(lead, &format!("{SITE}/orcamento{landing}"));
        self.page(&device, if impatient { IMPATIENT_COPIES } else { 1 }, &lead);
        // The server knows of the form too, and reports it under the id that the page gave it.
        if self.rng.random_bool(0.5) {
            self.server.push(with_device(lead, &device));
        }
        if self.rng.random_bool(0.5) {
            time += self.rng.random_range(60..900);
            let booked = json!({"service_type": service, "status": "visita agendada"});
            let user_data = self.contact(person);
            let visit = self.event("Schedule", time, WEBSITE, user_data, booked);
            self.page(&device, 1, &with_url(visit, &format!("{SITE}/agendar")));
        }
        if impatient || self.rng.random_bool(0.55) {
            time += self.rng.random_range(120..1_200);
            // The currency as people write it, or not at all: the dataset assumes reais.
            let mut bought = match self.rng.random_range(0..3) {
                0 => json!({"value": value, "currency": "BRL"}),
                1 => json!({"value": format!("{value:.2}"), "currency": "brl"}),
                _ => json!({"value": value}),
            };
            bought["service_type"] = json!(service);
            bought["content_ids"] = json!([product]);
            self.sale(person, &device, time, bought);
        }
    }

    /// A sale: paid on the site, or agreed on the phone or in the showroom.
    fn sale(&mut self, person: &Person, device: &Device, time: i64, mut bought: Value) {
        let order_id = format!("PED-{}-{}", self.origin.run, self.events);
        bought["order_id"] = json!(order_id);
        bought["num_items"] = json!(1);
        let user_data = self.form(person);
        if self.rng.random_bool(0.4) {
            let sale = self.event("Purchase", time, WEBSITE, user_data, bought);
            let sale = with_url(sale, &format!("{SITE}/obrigado?pedido={order_id}"));
            // By the server alone: a publishable key, which anyone can copy from the page, reports no
            // Purchase.
            self.server.push(with_device(sale, device));
        } else {
            let source = one_of(&["phone_call", "physical_store"], &mut self.rng);
            let sale = self.event("Purchase", time, source, user_data, bought);
            self.server.push(due_once(sale));
        }
    }

    /// An event of a page, sent that many times at once.
    fn page(&mut self, device: &Device, copies: usize, event: &Value) {
        let event = due_once(event.clone());
        self.pages.push(Request::Page {
            device: device.clone(),
            event,
            copies,
        });
    }

    fn view(&mut self, device: &Device, name: &str, time: i64, url: &str, custom_data: Value) {
        // Nobody has said yet who they are: the request itself tells address, browser and cookie.
        let event = with_url(self.event(name, time, WEBSITE, json!({}), custom_data), url);
        self.page(device, 1, &event);
    }

    fn event(&mut self, name: &str, time: i64, source: &str, user_data: Value, custom_data: Value) -> Value {
        self.events += 1;
        json!({
            "event_name": name,
            "event_time": time,
            "event_id": format!("{}-{}-{:04}", name.to_lowercase(), self.origin.run, self.events),
            "action_source": source,
            "user_data": user_data,
            "custom_data": custom_data,
        })
    }

    /// All that a form asks for.
    fn form(&mut self, person: &Person) -> Value {
        let mut user_data = self.contact(person);
        user_data["fn"] = json!(person.first_name);
        user_data["ln"] = json!(person.last_name);
        user_data["ct"] = json!(person.city);
        user_data["st"] = json!(person.state);
        user_data["zp"] = json!(person.cep);
        user_data["db"] = json!(person.birth_date);
        user_data["ge"] = json!(person.gender);
        if self.rng.random_bool(0.3) {
            user_data["country"] = json!("Brasil");
        }
        user_data
    }

    /// What is known of somebody who was here before. Every time the phone is written in another way.
    fn contact(&mut self, person: &Person) -> Value {
        let written = self.rng.random_range(0..person.phones.len());
        json!({"em": person.email, "ph": [person.phones[written]], "external_id": person.external_id})
    }

    fn device(&mut self) -> Device {
        // Networks that are kept free for documentation (RFC 5737, RFC 3849).
        let host = self.rng.random_range(1..=254);
        let ip = match self.rng.random_range(0..3) {
            0 => format!("203.0.113.{host}"),
            1 => format!("198.51.100.{host}"),
            _ => format!("2001:db8:{:x}::{host:x}", self.rng.random_range(1..=0xffff)),
        };
        let first_visit_ms = (self.origin.now - self.rng.random_range(6 * 3_600..30 * 86_400)) * 1_000 + 417;
        let number = self.rng.random_range(100_000_000..=2_147_483_647);
        Device {
            ip,
            user_agent: one_of(&BROWSERS, &mut self.rng),
            fbp: format!("fb.1.{first_visit_ms}.{number}"),
        }
    }

    /// How the address tells where a visitor came from: an ad, most of the time.
    fn landing_query(&mut self) -> String {
        match self.rng.random_range(0..10) {
            0..5 => {
                let click: String = (0..56)
                    .map(|_| char::from(FBCLID_ALPHABET[self.rng.random_range(0..FBCLID_ALPHABET.len())]))
                    .collect();
                format!(
                    "?utm_source=facebook&utm_medium=paid_social&utm_campaign=reforma_verao&utm_content=video_01\
                     &fbclid=IwAR{click}"
                )
            }
            5..8 => "?utm_source=instagram&utm_medium=paid_social&utm_campaign=reforma_verao".to_owned(),
            8 => "?utm_source=google&utm_medium=organic".to_owned(),
            _ => String::new(),
        }
    }
}

fn with_url(mut event: Value, url: &str) -> Value {
    event["event_source_url"] = json!(url);
    event
}

/// A page's event as the server reports it: what the browser's request would have told stands in the event.
fn with_device(mut event: Value, device: &Device) -> SentEvent {
    event["user_data"]["client_ip_address"] = json!(device.ip);
    event["user_data"]["client_user_agent"] = json!(device.user_agent);
    event["user_data"]["fbp"] = json!(device.fbp);
    due_once(event)
}

fn due_once(event: Value) -> SentEvent {
    let text = |name: &str| {
        event[name]
            .as_str()
            .expect("every event is built with it")
            .to_owned()
    };
    let due = Due::Once {
        event_name: text("event_name"),
        event_id: text("event_id"),
    };
    SentEvent {
        text: event.to_string(),
        due,
    }
}

fn refused(text: String) -> SentEvent {
    SentEvent {
        text,
        due: Due::Refusal,
    }
}
