//! The event that all of the benchmark sends, and how it becomes a million different ones without being built
//! anew.
//!
//! Every run of `#` in a text stands for a number of as many digits. Writing the number is all that a request
//! costs, so that the driver takes as little as it can of the machine that it shares with what it measures.

use anyhow::Context;
use chrono::Datelike;
use chrono::{DateTime, Utc};
use rastro_core::event::{Event, Intake};
use rastro_core::json::Json;
use rastro_test_support::http;

/// A lead as a business's server sends it: eight identifiers to hash, and what a browser adds. `@` in front
/// of the seconds and the run's name, `#` where events differ.
const LEAD: &str = concat!(
    r##"{"event_name":"Lead","event_time":@TIME,"event_id":"@RUN-############","action_source":"website","##,
    r##""event_source_url":"https://www.clinica.example/contato?utm_source=meta&utm_campaign=clareamento","##,
    r##""user_data":{"em":"Ana.Souza.############@Example.com","ph":"+55 (11) 9########","fn":"Ana ###","ln":"de Souza ###","##,
    r##""ct":"São Paulo ##","st":"SP","country":"BR","external_id":"customer-############","##,
    r##""client_ip_address":"203.0.113.7","client_user_agent":"Mozilla/5.0 (Linux; Android 15; SM-S928B) AppleWebKit/537.36 "##,
    r##"(KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36","fbp":"fb.1.1700000000000.##########"},"##,
    r##""custom_data":{"value":129.9,"currency":"BRL","content_name":"clareamento"}}"##
);

/// The lead as JSON, with the time and the run's name in it and its numbers still open.
pub fn lead(run: &str, now: DateTime<Utc>) -> String {
    LEAD.replace("@TIME", &now.timestamp().to_string())
        .replace("@RUN", run)
}

/// What the gateway stores of so many different leads.
pub fn stored_leads(run: &str, now: DateTime<Utc>, count: u64) -> anyhow::Result<Vec<String>> {
    let template = Template::new(&lead(run, now));
    let mut text = template.text();
    (0..count)
        .map(|number| {
            template.fill(&mut text, number);
            stored(std::str::from_utf8(&text)?, now)
        })
        .collect()
}

/// The finished event of a lead.
fn stored(lead: &str, now: DateTime<Utc>) -> anyhow::Result<String> {
    let intake = Intake {
        now_ms: now.timestamp_millis(),
        current_year: now.year(),
        ..Intake::default()
    };
    let (event, _) = Event::read(Json::parse(lead.as_bytes())?, &intake)
        .map_err(|errors| anyhow::anyhow!("the sample is not valid: {errors:?}"))?;
    Ok(event.to_json())
}

/// A text with open numbers.
#[derive(Clone, Debug)]
pub struct Template {
    text: Vec<u8>,
    slots: Vec<Slot>,
    /// Numbers that one filling uses up.
    events: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    at: usize,
    width: usize,
    /// Which of the template's events it belongs to.
    event: u64,
}

impl Template {
    /// One event and what is around it, `#` for every open digit.
    pub fn new(text: &str) -> Self {
        let mut template = Template {
            text: Vec::new(),
            slots: Vec::new(),
            events: 0,
        };
        template.push(text);
        template
    }

    /// An HTTP request with so many events in it; more than one as a batch.
    pub fn request(event: &str, events: usize, key: &str) -> Self {
        let body = match events {
            1 => event.len(),
            events => r#"{"events":[]}"#.len() + events * event.len() + events - 1,
        };
        let head = format!(
            "POST /api/meta/conversions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {body}\r\n\r\n"
        );
        let mut template = Template {
            text: head.into_bytes(),
            slots: Vec::new(),
            events: 0,
        };
        if events == 1 {
            template.push(event);
            return template;
        }
        template.text.extend_from_slice(br#"{"events":["#);
        for number in 0..events {
            if number > 0 {
                template.text.push(b',');
            }
            template.push(event);
        }
        template.text.extend_from_slice(b"]}");
        template
    }

    /// An HTTP request that brings one event; `#` may stand in its headers, too.
    pub fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let request = http::request("POST", path, headers, body);
        Template::new(&String::from_utf8_lossy(&request))
    }

    fn push(&mut self, event: &str) {
        let base = self.text.len();
        self.text.extend_from_slice(event.as_bytes());
        let mut at = 0;
        for run in event
            .as_bytes()
            .chunk_by(|one, next| (*one == b'#') == (*next == b'#'))
        {
            if run[0] == b'#' {
                self.slots.push(Slot {
                    at: base + at,
                    width: run.len(),
                    event: self.events,
                });
            }
            at += run.len();
        }
        self.events += 1;
    }

    /// How many events it holds.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// A copy to be filled again and again.
    pub fn text(&self) -> Vec<u8> {
        self.text.clone()
    }

    /// Writes the numbers from `first` on, one for each event, into a copy of the text.
    pub fn fill(&self, text: &mut [u8], first: u64) {
        for slot in &self.slots {
            let mut number = first + slot.event;
            for digit in text[slot.at..slot.at + slot.width].iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).expect("a digit");
                number /= 10;
            }
        }
    }

    /// The text for one number, as a string.
    pub fn filled(&self, first: u64) -> anyhow::Result<String> {
        let mut text = self.text();
        self.fill(&mut text, first);
        String::from_utf8(text).context("the template is not text")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn numbers_are_written_with_their_last_digits() {
        let template = Template::new("a####b##");
        assert_eq!(template.filled(123_456).unwrap(), "a3456b56");
        assert_eq!(template.filled(7).unwrap(), "a0007b07");
    }

    #[test]
    fn a_batch_holds_as_many_different_events_as_it_says() {
        let request = Template::request(&lead("run", now()), 3, "sk_key");
        let text = request.filled(41).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let ids: Vec<&str> = body["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["event_id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["run-000000000041", "run-000000000042", "run-000000000043"]);
    }

    #[test]
    fn the_gateway_would_take_the_lead_as_it_is() {
        let intake = Intake {
            now_ms: now().timestamp_millis(),
            current_year: 2026,
            ..Intake::default()
        };
        let template = Template::new(&lead("run", now()));
        let mut keys = HashSet::new();
        for number in [0, 1, 99_999_999_999] {
            let text = template.filled(number).unwrap();
            let (event, warnings) = Event::read(Json::parse(text.as_bytes()).unwrap(), &intake).unwrap();
            assert!(warnings.is_empty(), "{warnings:?}");
            keys.insert(event.key(1.try_into().unwrap()));
        }
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn stored_leads_differ_in_more_than_their_ids() {
        let stored = stored_leads("run", now(), 20).unwrap();
        let is_hash = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        for lead in &stored {
            assert!(lead.split('"').filter(is_hash).count() >= 8, "{lead}");
        }
        let hashes: HashSet<&str> = stored
            .iter()
            .flat_map(|lead| lead.split('"'))
            .filter(is_hash)
            .collect();
        assert!(hashes.len() > 100, "{} hashes of 20 people", hashes.len());
    }
}
