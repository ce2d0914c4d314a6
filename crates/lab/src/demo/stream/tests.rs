//! The stream as the gateway's own rules see it.

use std::collections::BTreeSet;

use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::event::{Event, Intake};
use rastro_core::json::Json;
use rastro_core::match_keys::CountryCode;
use rastro_core::user_data::Visitor;

use super::*;

const ORIGIN: Origin<'static> = Origin {
    seed: 1,
    run: "0a1b2c",
    now: 1_790_000_000,
};

/// What the gateway would find wrong with each event, `None` where nothing is.
fn findings(requests: &[Request]) -> Vec<(&SentEvent, Option<String>)> {
    let defaults = DatasetDefaults {
        country: CountryCode::parse("br"),
        currency: Currency::parse("BRL"),
    };
    let mut found = Vec::new();
    for request in requests {
        let visitor = match request {
            Request::Page { device, .. } => Visitor {
                ip: Some(device.ip.parse().unwrap()),
                user_agent: Some(device.user_agent),
                fbp: Some(&device.fbp),
                fbc: None,
                is_browser: true,
            },
            _ => Visitor::default(),
        };
        let intake = Intake {
            now_ms: ORIGIN.now * 1_000,
            current_year: 2026,
            defaults,
            visitor,
            ..Intake::default()
        };
        for event in request.sent() {
            let wrong = match Json::parse(event.text.as_bytes()) {
                Err(_) => Some("not JSON".to_owned()),
                Ok(json) => Event::read(json, &intake).err().map(|errors| {
                    errors
                        .iter()
                        .map(|error| error.pointer.as_str())
                        .collect::<Vec<_>>()
                        .join(" ")
                }),
            };
            found.push((event, wrong));
        }
    }
    found
}

#[test]
fn the_same_origin_gives_the_same_stream() {
    assert_eq!(stream(&ORIGIN), stream(&ORIGIN));
}

#[test]
fn what_is_due_once_is_valid_and_what_is_due_a_refusal_is_not() {
    for seed in 1..=20 {
        let requests = stream(&Origin { seed, ..ORIGIN });
        let strangers: Vec<&SentEvent> = requests
            .iter()
            .filter(|request| matches!(request, Request::Stranger(_)))
            .flat_map(Request::sent)
            .collect();
        for (event, wrong) in findings(&requests) {
            // A stranger's event is refused for its key alone.
            let has_mistake = event.due == Due::Refusal && !strangers.contains(&event);
            assert_eq!(
                wrong.is_some(),
                has_mistake,
                "seed {seed}: {wrong:?} in {}",
                event.text
            );
        }
    }
}

#[test]
fn each_mistake_is_refused_for_the_one_field_that_is_wrong() {
    let requests = stream(&ORIGIN);
    let pointers: BTreeSet<String> = findings(&requests)
        .into_iter()
        .filter_map(|(_, wrong)| wrong)
        .collect();
    let expected = [
        "/action_source",
        "/custom_data/value",
        "/customData",
        "/event_name",
        "/event_source_url",
        "/event_time",
        "/user_data",
        "not JSON",
    ];
    assert_eq!(pointers, expected.map(str::to_owned).into());
}

#[test]
fn some_four_hundred_events_hold_every_kind_and_every_step() {
    let requests = stream(&ORIGIN);
    let expected = expected(&requests);
    let sent = requests.iter().flat_map(Request::sent).count() as u64;
    assert_eq!(expected.accepted + expected.duplicate + expected.rejected, sent);
    assert!((350..=450).contains(&sent), "{sent}");
    assert_eq!(expected.rejected, 22);
    assert!(expected.duplicate > 9 * IMPATIENT_PEOPLE as u64, "{expected:?}");
    let names: BTreeSet<&str> = requests
        .iter()
        .flat_map(Request::sent)
        .filter_map(|event| match &event.due {
            Due::Once { event_name, .. } => Some(event_name.as_str()),
            Due::Refusal => None,
        })
        .collect();
    assert_eq!(
        names,
        ["Lead", "PageView", "Purchase", "Schedule", "ViewContent"].into()
    );
}

#[test]
fn two_runs_share_no_event() {
    let ids = |run| {
        let requests = stream(&Origin { run, ..ORIGIN });
        let dues: Vec<Due> = requests
            .iter()
            .flat_map(Request::sent)
            .map(|event| event.due.clone())
            .collect();
        dues
    };
    let (one, other) = (ids("aaaaaa"), ids("bbbbbb"));
    assert!(one.iter().all(|due| *due == Due::Refusal || !other.contains(due)));
}

#[test]
fn every_event_happened_before_it_is_sent() {
    for (event, _) in findings(&stream(&ORIGIN))
        .into_iter()
        .filter(|(event, _)| event.due != Due::Refusal)
    {
        let time = serde_json::from_str::<Value>(&event.text).unwrap()["event_time"]
            .as_i64()
            .unwrap();
        assert!(
            (ORIGIN.now - 6 * 3_600..ORIGIN.now).contains(&time),
            "{}",
            event.text
        );
    }
}

#[test]
fn the_personal_values_cover_every_identifier_that_the_stream_sends() {
    let values = crate::demo::people::personal_values(ORIGIN.seed);
    let mut covered = 0;
    for event in stream(&ORIGIN).iter().flat_map(Request::sent) {
        let Ok(json) = serde_json::from_str::<Value>(&event.text) else {
            continue; // cut off on purpose
        };
        for name in ["em", "ph", "fn", "ln", "ct", "st", "zp", "db", "external_id"] {
            let Some(value) = json["user_data"][name]
                .as_str()
                .or_else(|| json["user_data"][name][0].as_str())
            else {
                continue;
            };
            let value = value.trim();
            if value.chars().count() >= 5 {
                assert!(values.contains(value), "{name}: {value}");
                covered += 1;
            }
        }
    }
    assert!(covered > 500, "{covered}");
}
