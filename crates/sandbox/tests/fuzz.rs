//! Events as clients might send them: what the gateway's rules accept the sandbox's take, too, and reading
//! what was written changes nothing any more.
#![expect(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::collections::BTreeSet;

use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::event::{Event, Intake};
use rastro_core::json::Json;
use rastro_core::match_keys::CountryCode;
use rastro_core::user_data::Visitor;
use rastro_fuzz::fuzz;
use rastro_sandbox::verdict;

const NOW: i64 = 1_700_000_000;

const SEEDS: [&[u8]; 6] = [
    br#"{"event_name":"Purchase","event_time":1700000000,"event_id":"order-1","action_source":"website",
        "event_source_url":"https://www.loja.example/obrigado?utm_source=meta&fbclid=IwAR0","referrer_url":"https://l.instagram.com/",
        "user_data":{"em":["Ana@Example.com","8e43ca37701228e74983efdbd0cff5c16b3b1e5d4e29a7c05626d4d25a018e11"],
            "ph":"+55 (11) 91234-5678","fn":"Ana","ln":"de Souza","ct":"S\u00e3o Paulo","st":"SP","zp":"01310-100","country":"br",
            "db":"1990-02-28","ge":"f","external_id":["7","8"],"client_ip_address":"203.0.113.9","client_user_agent":"Mozilla/5.0",
            "fbp":"fb.1.1596403881668.1116446470","fbc":"fb.1.1596403881668.IwAR0-x_Y"},
        "custom_data":{"value":129.9,"currency":"BRL","content_ids":["7"],"contents":[{"id":"7","quantity":1,"item_price":129.9}],
            "num_items":1,"content_type":"product","order_id":"order-1","status":"paid","delivery_category":"home_delivery"}}"#,
    br#"{"event_name":"Lead","event_time":1699999000,"action_source":"chat","user_data":{"em":"ana@example.com"},"opt_out":true,
        "data_processing_options":["LDU"],"data_processing_options_country":1,"data_processing_options_state":1000}"#,
    br#"{"event_name":"LeadSubmitted","event_time":1700000000,"action_source":"business_messaging","messaging_channel":"whatsapp",
        "user_data":{"page_id":"1","ctwa_clid":"ARAk"}}"#,
    br#"{"event_name":"CompleteRegistration","event_time":1700000000,"action_source":"app","user_data":{"madid":"38400000-8cf0-11bd"},
        "app_data":{"advertiser_tracking_enabled":1,"application_tracking_enabled":0,
            "extinfo":["a2","","","","14","","","","","","","","","","",""]}}"#,
    br#"{"event_name":"AppendAttribution","event_time":1700000000,"action_source":"system_generated","user_data":{"lead_id":"123"},
        "original_event_data":{"event_name":"Purchase","event_time":1699990000,"order_id":"9"},
        "attribution_data":{"attribution_share":"0.3","attribution_value":1}}"#,
    br#"{"event_name":"Store","event_time":1696000000,"action_source":"physical_store","user_data":{"dobd":"28","dobm":"02",
        "doby":"1990","fi":"a","f5first":"anali","f5last":"souza","zp":"94035","st":"ca","country":"us"}}"#,
];

const WORDS: [&str; 60] = [
    "event_name",
    "event_time",
    "event_id",
    "action_source",
    "event_source_url",
    "referrer_url",
    "user_data",
    "custom_data",
    "app_data",
    "opt_out",
    "messaging_channel",
    "customer_segmentation",
    "original_event_data",
    "attribution_data",
    "em",
    "ph",
    "fn",
    "ln",
    "ge",
    "db",
    "ct",
    "st",
    "zp",
    "country",
    "external_id",
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "lead_id",
    "madid",
    "ctwa_clid",
    "subscription_id",
    "fb_login_id",
    "anon_id",
    "page_id",
    "value",
    "currency",
    "contents",
    "content_ids",
    "num_items",
    "predicted_ltv",
    "search_string",
    "website",
    "app",
    "email",
    "physical_store",
    "business_messaging",
    "BRL",
    "JPY",
    "+5511912345678",
    "0055 11 91234-5678",
    "fb.1.1700000000000.IwAR0",
    "fb.1.1700000000.x",
    "203.0.113.9, 10.0.0.1",
    "::ffff:203.0.113.9",
    "https://x.br/?email=ana%40example.com",
    "1990-02-30",
    "12/31/1990",
    "Rua X, 1",
];

/// As a page of a Brazilian shop sends them, and as a server without any default does.
fn intakes() -> [Intake<'static>; 2] {
    let bare = Intake {
        now_ms: NOW * 1_000,
        current_year: 2023,
        ..Intake::default()
    };
    let page = Intake {
        defaults: DatasetDefaults {
            country: CountryCode::parse("br"),
            currency: Currency::parse("BRL"),
        },
        visitor: Visitor {
            ip: Some("203.0.113.7".parse().unwrap()),
            user_agent: Some("Mozilla/5.0"),
            fbp: Some("fb.1.1596403881668.1116446470"),
            fbc: None,
            is_browser: true,
        },
        clock_shift_seconds: 3,
        ..bare
    };
    [bare, page]
}

/// Which rules spoke, without what they quote.
fn rules<'f>(findings: impl IntoIterator<Item = (&'f str, &'f str)>) -> String {
    let rules: BTreeSet<String> = findings
        .into_iter()
        .map(|(pointer, detail)| {
            let place: String = pointer.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
            let said: String = detail
                .chars()
                .filter(|c| c.is_ascii_alphabetic())
                .take(20)
                .collect();
            format!("{place} {said}")
        })
        .collect();
    rules.into_iter().take(3).collect::<Vec<_>>().join("; ")
}

#[test]
fn fuzzed_events_that_are_accepted_are_accepted_by_the_sandbox_and_read_the_same_again() {
    fuzz(&SEEDS, &WORDS, |input| {
        let mut said = String::new();
        for intake in intakes() {
            let Ok(json) = Json::parse(input) else {
                return "no JSON".to_owned();
            };
            match Event::read(json, &intake) {
                Err(errors) => {
                    assert!(!errors.is_empty(), "refused for nothing");
                    said += &rules(
                        errors
                            .iter()
                            .map(|error| (error.pointer.as_str(), &*error.detail)),
                    );
                }
                Ok((event, warnings)) => {
                    let written = event.to_json();
                    assert_eq!(verdict(&written, NOW), Ok(()), "{written}");
                    // A slow clock moves the time once; and a currency that was left out is not replaced by
                    // the usual one, of which what is written knows nothing any more.
                    let again = Intake {
                        clock_shift_seconds: 0,
                        defaults: DatasetDefaults::default(),
                        ..intake
                    };
                    let json = Json::parse(written.as_bytes()).unwrap();
                    let (read, _) =
                        Event::read(json, &again).unwrap_or_else(|errors| panic!("{errors:?} of {written}"));
                    assert_eq!(read.to_json(), written);
                    said += "accepted ";
                    said += &rules(
                        warnings
                            .iter()
                            .map(|warning| (warning.pointer.as_str(), &*warning.detail)),
                    );
                }
            }
        }
        said
    });
}
