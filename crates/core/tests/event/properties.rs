//! What holds for every event, not only for those somebody thought of.

use proptest::prelude::*;
use rastro_core::match_keys::CountryCode;
use serde_json::{Map, Value, json};

use super::*;

/// Names that the rules look for, at any level: what a random string would never hit.
const NAMES: &[&str] = &[
    "event_name",
    "event_time",
    "event_id",
    "event_source_url",
    "referrer_url",
    "action_source",
    "user_data",
    "custom_data",
    "app_data",
    "opt_out",
    "data_processing_options",
    "data_processing_options_country",
    "data_processing_options_state",
    "original_event_data",
    "attribution_data",
    "messaging_channel",
    "customer_segmentation",
    "advanced_measurement_table",
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
    "f5first",
    "dobd",
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "lead_id",
    "madid",
    "page_id",
    "ctwa_clid",
    "value",
    "currency",
    "contents",
    "content_ids",
    "num_items",
    "id",
    "quantity",
    "item_price",
    "status",
    "store_data",
    "extinfo",
    "advertiser_tracking_enabled",
    "attribution_share",
    "email",
];

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (NOW - 900_000..NOW + 100).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z.]{1,8}@[a-z]{1,6}\\.(com|br)".prop_map(Value::from),
        "[-+]?[0-9]{0,4}[.,e]?[0-9]{0,3}".prop_map(Value::from),
        "https://x\\.br/[a-z?=&#%@.0-9]{0,30}".prop_map(Value::from),
        "fb\\.1\\.[0-9]{12,13}\\.[A-Za-z]{1,4}(\\.AQ)?".prop_map(Value::from),
        prop::sample::select(
            &[
                "Purchase",
                "website",
                "app",
                "email",
                "business_messaging",
                "whatsapp",
                "LDU",
                "BRL",
                "203.0.113.9"
            ][..]
        )
        .prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            any_object(inner).prop_map(Value::from),
        ]
    })
}

fn any_object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![4 => prop::sample::select(NAMES).prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec((name, value), 0..8).prop_map(|fields| fields.into_iter().collect())
}

/// An event that is complete, over which anything is laid: most of these are accepted or nearly so.
fn nearly_valid() -> impl Strategy<Value = Value> {
    let custom = prop::collection::vec(("[a-z_]{1,12}", any_value()), 0..5);
    let amount = prop_oneof![
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from)
    ];
    let person = any_object(any_value());
    (custom, amount, person, any::<bool>()).prop_map(|(custom, amount, person, wild)| {
        let mut event = lead_with("/user_data/external_id", json!("c-1"));
        if wild {
            event["user_data"].as_object_mut().unwrap().extend(person);
        }
        event["custom_data"] = custom.into_iter().collect::<Map<_, _>>().into();
        event["custom_data"]["value"] = amount;
        event
    })
}

fn any_intake() -> impl Strategy<Value = Intake<'static>> {
    let visitor = Visitor {
        ip: Some("203.0.113.9".parse().unwrap()),
        user_agent: Some("Mozilla/5.0"),
        fbp: Some("fb.1.1596403881668.1116446470"),
        fbc: Some("fb.1.1600000000000.Old"),
        is_browser: false,
    };
    let country = prop::sample::select(&["", "br", "us"][..]);
    (country, prop::sample::select(vec![Visitor::default(), visitor])).prop_map(|(country, visitor)| Intake {
        defaults: DatasetDefaults {
            country: CountryCode::parse(country),
            currency: None,
        },
        visitor,
        ..intake()
    })
}

proptest! {
    #[test]
    fn no_json_makes_the_reader_panic_and_a_refusal_has_a_reason(event in any_value(), intake in any_intake()) {
        if let Err(errors) = read(&event.to_string(), &intake) {
            prop_assert!(!errors.is_empty());
        }
    }

    #[test]
    fn no_object_of_known_names_makes_the_reader_panic(event in any_object(any_value()), intake in any_intake()) {
        let _ = read(&Value::from(event).to_string(), &intake);
    }

    #[test]
    fn what_is_sent_is_accepted_again_as_it_is(event in nearly_valid(), intake in any_intake()) {
        if let Ok((json, _)) = read(&event.to_string(), &intake) {
            let again = read(&json, &intake);
            prop_assert!(again.is_ok(), "{:?}\n{}", again, json);
            prop_assert_eq!(&again.unwrap().0, &json);
        }
    }

    #[test]
    fn no_raw_email_phone_or_name_is_sent(
        user in "[a-z]{6,12}", digits in "9[0-9]{7}", first in "[A-Z][a-z]{7,12}", last in "[A-Z][a-z]{7,12}",
        intake in any_intake(), wrong in any::<bool>(),
    ) {
        let email = format!("{user}@example.com.br");
        let phone = format!("+55 11 9{digits}");
        let mut event = lead();
        event["user_data"] = json!({
            "em": [email, email.to_uppercase()], "ph": phone, "fn": first, "ln": last, "external_id": email,
            "client_user_agent": "Mozilla/5.0", "subscription_id": email,
        });
        event["event_source_url"] = json!(format!("https://x.br/{email}?a=1&u={user}%40example.com.br&celular={digits}"));
        event["referrer_url"] = json!(format!("https://{email}/?first_name={first}#{email}"));
        event["custom_data"] = json!({
            "customer_email": user, "telefone": digits, "contact": {"firstName": first, "last_name": [last]},
            "note": format!("ligar para {email} hoje"), "list": [email], email.clone(): 1,
            "contents": [{"id": "1", "title": email}],
        });
        if wrong {
            // Refused: then nothing of it may stand in the answer either.
            event["event_id"] = json!(email);
            event[&email] = json!(phone);
        }
        let (text, is_sent) = match read(&event.to_string(), &intake) {
            Ok((json, warnings)) => (format!("{json}{}", serde_json::to_string(&warnings).unwrap()), true),
            Err(errors) => (serde_json::to_string(&errors).unwrap(), false),
        };
        prop_assert_eq!(is_sent, !wrong);
        let text = text.to_lowercase();
        for raw in [&user, &digits, &first.to_lowercase(), &last.to_lowercase()] {
            prop_assert!(!text.contains(raw.as_str()), "{} in {}", raw, text);
        }
    }
}
