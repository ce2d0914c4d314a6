//! What an event is taken as, refused for, and sent as. Expected hashes are those of `printf <value> |
//! sha256sum`.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod custom_data;
mod enrichment;
mod fields;
mod ids;
mod lenient;
mod names;
mod personal;
mod properties;
mod rules;
mod user_data;
mod wire;

use rastro_core::dataset::DatasetDefaults;
use rastro_core::event::{Event, Intake};
use rastro_core::finding::Finding;
use rastro_core::json::Json;
use rastro_core::user_data::Visitor;
use serde_json::{Value, json};

/// 14 November 2023, 22:13:20 UTC.
const NOW: i64 = 1_700_000_000;

/// `printf ana@example.com | sha256sum`
const ANA: &str = "8e43ca37701228e74983efdbd0cff5c16b3b1e5d4e29a7c05626d4d25a018e11";

fn intake() -> Intake<'static> {
    Intake {
        now_ms: NOW * 1_000 + 123,
        current_year: 2023,
        ..Intake::default()
    }
}

/// A lead on a website, complete: each test changes what it is about.
fn lead() -> Value {
    json!({
        "event_name": "Lead",
        "event_time": NOW - 60,
        "event_id": "lead-1",
        "action_source": "website",
        "event_source_url": "https://loja.example.com.br/contato",
        "user_data": {"em": "ana@example.com", "client_user_agent": "Mozilla/5.0"},
    })
}

/// The lead with the value at a pointer set, or taken away where it is `None`.
fn lead_with(pointer: &str, value: impl Into<Option<Value>>) -> Value {
    changed(lead(), pointer, value)
}

fn purchase_with(pointer: &str, value: impl Into<Option<Value>>) -> Value {
    let purchase = changed(
        lead_with("/event_name", json!("Purchase")),
        "/custom_data",
        json!({}),
    );
    let purchase = changed(purchase, "/custom_data/value", json!(129.9));
    changed(
        changed(purchase, "/custom_data/currency", json!("BRL")),
        pointer,
        value,
    )
}

fn changed(mut event: Value, pointer: &str, value: impl Into<Option<Value>>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value.into() {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    event
}

/// Reads the text of one event: what would be sent and the warnings, or the errors.
fn read(text: &str, intake: &Intake<'_>) -> Result<(String, Vec<Finding>), Vec<Finding>> {
    let json = Json::parse(text.as_bytes()).unwrap();
    Event::read(json, intake).map(|(event, warnings)| (event.to_json(), warnings))
}

/// What is sent to Meta of an event that must be accepted.
fn sent(event: &Value) -> Value {
    sent_under(event, &intake())
}

fn sent_under(event: &Value, intake: &Intake<'_>) -> Value {
    match read(&event.to_string(), intake) {
        Ok((json, _)) => serde_json::from_str(&json).unwrap(),
        Err(errors) => panic!("refused: {errors:#?}\n{event:#}"),
    }
}

fn pairs(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings
        .iter()
        .map(|finding| (&*finding.pointer, &*finding.detail))
        .collect()
}

/// The event must be refused for exactly these reasons, in any order.
#[track_caller]
fn assert_refused(event: &Value, expected: &[(&str, &str)]) {
    assert_text_refused(&event.to_string(), expected);
}

#[track_caller]
fn assert_text_refused(text: &str, expected: &[(&str, &str)]) {
    let errors = match read(text, &intake()) {
        Ok((json, _)) => panic!("accepted as {json}"),
        Err(errors) => errors,
    };
    let (mut errors, mut expected) = (pairs(&errors), expected.to_vec());
    errors.sort_unstable();
    expected.sort_unstable();
    assert_eq!(errors, expected, "{text}");
}

/// The event must be accepted with exactly these warnings, in any order; returns what is sent.
#[track_caller]
fn assert_warned(event: &Value, expected: &[(&str, &str)]) -> Value {
    match read(&event.to_string(), &intake()) {
        Ok((json, warnings)) => {
            let (mut warnings, mut expected) = (pairs(&warnings), expected.to_vec());
            warnings.sort_unstable();
            expected.sort_unstable();
            assert_eq!(warnings, expected, "{event:#}");
            serde_json::from_str(&json).unwrap()
        }
        Err(errors) => panic!("refused: {errors:#?}"),
    }
}
