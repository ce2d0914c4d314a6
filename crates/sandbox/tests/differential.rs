//! The gateway's rules against the sandbox's, which were written from the same documents by other hands.
//!
//! Whatever the gateway accepts the sandbox takes: a 202 that becomes a dead letter is a lost sale. The other
//! way round the gateway is stricter in a few rules, and each of them stands in [`ONLY_THE_GATEWAY`]; no rule
//! is only the sandbox's.
#![expect(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use proptest::prelude::*;
use proptest::sample::select;
use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::event::{Event, Intake};
use rastro_core::finding::Finding;
use rastro_core::json::Json;
use rastro_core::match_keys::CountryCode;
use rastro_core::user_data::Visitor;
use rastro_sandbox::verdict;
use serde_json::{Value, json};

const NOW: i64 = 1_700_000_000;

/// `printf ana@example.com | sha256sum`
const HASH: &str = "8e43ca37701228e74983efdbd0cff5c16b3b1e5d4e29a7c05626d4d25a018e11";

/// The rules that only the gateway has: what it says, and an event that breaks nothing else. `<x>` stands for
/// a long text.
const ONLY_THE_GATEWAY: [(&str, &str); 17] = [
    // Meta documents it as required, and its samples and SDKs leave it out. Without it no other rule can be
    // chosen.
    (
        "is required: where it happened",
        r#"{"event_name":"Lead","event_time":1700000000,"user_data":{"em":"HASH"}}"#,
    ),
    // The name is stored in a column, is part of a key, and stands in logs.
    (
        "is longer than 100 bytes",
        r#"{"event_name":"<x>","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH"}}"#,
    ),
    (
        "must not contain control characters",
        r#"{"event_name":"a\u0007b","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH"}}"#,
    ),
    (
        "is a placeholder that nobody filled in",
        r#"{"event_name":"undefined","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH"}}"#,
    ),
    (
        "must not hold personal data",
        r#"{"event_name":"ana@example.com","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH"}}"#,
    ),
    // Readers disagree on which of the two counts; PHP's takes the last.
    (
        "stands twice",
        r#"{"event_name":"Lead","event_name":"Lead","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH"}}"#,
    ),
    // Money: the sandbox takes any three letters and any number.
    (
        "must be an ISO 4217 code",
        r#"{"event_name":"Purchase","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH"},"custom_data":{"value":1,"currency":"ABC"}}"#,
    ),
    (
        "must be a number with a decimal point",
        r#"{"event_name":"Purchase","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH"},"custom_data":{"value":"1e3","currency":"BRL"}}"#,
    ),
    // Meta documents sixteen strings; the sandbox looks at the first and the fifth.
    (
        "is required for app events: 16 strings",
        r#"{"event_name":"Lead","event_time":1700000000,"action_source":"app","user_data":{"em":"HASH"},"app_data":{"advertiser_tracking_enabled":1,"extinfo":["a2",[],"","","14","","","","","","","","","","",""]}}"#,
    ),
    // A beta of which the sandbox knows nothing.
    (
        "is required for AppendAttribution",
        r#"{"event_name":"AppendAttribution","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH"}}"#,
    ),
    // Meta's parameter page says ig_account_id, one of its samples this.
    (
        "is not a customer information parameter",
        r#"{"event_name":"Lead","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH","instagram_business_account_id":"1"}}"#,
    ),
    // An identifier that Meta's servers may take, but that finds nobody, is left out; then too little may
    // remain.
    (
        "holds too little to find a person by",
        r#"{"event_name":"Lead","event_time":1700000000,"action_source":"chat","user_data":{"fbp":"garbage"}}"#,
    ),
    // A plain identifier that its channel needs; the sandbox looks whether anything is there.
    (
        "must be a string, not",
        r#"{"event_name":"LeadSubmitted","event_time":1700000000,"action_source":"business_messaging","messaging_channel":"whatsapp","user_data":{"page_id":"1","ctwa_clid":-1}}"#,
    ),
    (
        "is longer than 2,000 bytes",
        r#"{"event_name":"LeadSubmitted","event_time":1700000000,"action_source":"business_messaging","messaging_channel":"whatsapp","user_data":{"page_id":"1","ctwa_clid":"<x>"}}"#,
    ),
    (
        "holds personal data",
        r#"{"event_name":"LeadSubmitted","event_time":1700000000,"action_source":"business_messaging","messaging_channel":"whatsapp","user_data":{"page_id":"1","ctwa_clid":"ana@example.com"}}"#,
    ),
    (
        "is longer than 8,000 bytes",
        r#"{"event_name":"Lead","event_time":1700000000,"action_source":"website","event_source_url":"https://x.br/<x>","user_data":{"em":"HASH","client_user_agent":"Mozilla/5.0"}}"#,
    ),
    // Meta documents no limit; a request carries up to a thousand events.
    (
        "is longer than 64 KiB",
        r#"{"event_name":"Lead","event_time":1700000000,"action_source":"chat","user_data":{"em":"HASH"},"custom_data":{"a":"<x>"}}"#,
    ),
];

/// Said beside one of the above, of a field that was left out and without which the event cannot be.
const CONSEQUENCES: [&str; 4] = [
    "was left out:",
    "is required for website events",
    "is required for this messaging channel",
    "or page_id is required for whatsapp events",
];

fn read(event: &str, intake: &Intake<'_>) -> Result<String, Vec<Finding>> {
    let json = Json::parse(event.as_bytes()).unwrap();
    Event::read(json, intake).map(|(event, _)| event.to_json())
}

fn intake() -> Intake<'static> {
    Intake {
        now_ms: NOW * 1_000,
        current_year: 2023,
        ..Intake::default()
    }
}

#[test]
fn each_rule_that_only_the_gateway_has_is_one_that_the_sandbox_has_not() {
    for (rule, event) in ONLY_THE_GATEWAY {
        let event = event.replace("HASH", HASH).replace("<x>", &"x".repeat(70_000));
        assert_eq!(verdict(&event, NOW), Ok(()), "{rule}");
        let errors = read(&event, &intake()).unwrap_err();
        assert!(
            errors.iter().any(|error| error.detail.starts_with(rule)),
            "{rule}: {errors:?}"
        );
    }
}

/// What any field may hold by mistake.
fn odd() -> Vec<Value> {
    vec![
        json!(null),
        json!(""),
        json!(" "),
        json!("undefined"),
        json!("x"),
        json!("1"),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(true),
        json!([]),
        json!([null]),
        json!(["a", 7]),
        json!({}),
        json!({"a": {"b": 1}}),
        json!("Sofá \u{1f6cb}\u{200d}\u{fffd}"),
        json!("a\u{0}b"),
        json!("x".repeat(5_001)),
    ]
}

/// A field's name, and what it holds where it is right.
fn event_fields() -> Vec<(&'static str, Vec<Value>)> {
    let extinfo = json!([
        "a2",
        "br.com.loja",
        "1",
        "1",
        "14",
        "",
        "",
        "",
        "",
        1080,
        2340,
        2.8,
        8,
        128,
        64,
        ""
    ]);
    vec![
        (
            "event_name",
            vec![
                json!("Lead"),
                json!("Purchase"),
                json!("LeadSubmitted"),
                json!(" lead "),
            ],
        ),
        (
            "event_time",
            vec![
                json!(NOW),
                json!(NOW - 600_000),
                json!("1700000000"),
                json!(NOW + 60),
                json!(NOW + 61),
            ],
        ),
        ("event_id", vec![json!("order-1"), json!(7), json!("{{id}}")]),
        (
            "action_source",
            [
                "website",
                "app",
                "business_messaging",
                "physical_store",
                "email",
                "chat",
                "system_generated",
                "other",
            ]
            .map(Value::from)
            .to_vec(),
        ),
        (
            "event_source_url",
            vec![
                json!("https://x.br/?fbclid=AbC"),
                json!("http://x.br"),
                json!("x.br"),
            ],
        ),
        (
            "referrer_url",
            vec![
                json!("android-app://com.google.android.gm"),
                json!("https://x.br"),
            ],
        ),
        ("opt_out", vec![json!(true), json!(0), json!("false")]),
        (
            "data_processing_options",
            vec![json!(["LDU"]), json!([]), json!("LDU")],
        ),
        (
            "data_processing_options_country",
            vec![json!(0), json!(1), json!("1"), json!(55)],
        ),
        (
            "data_processing_options_state",
            vec![json!(0), json!(1_000), json!(1_018), json!("1013")],
        ),
        (
            "app_data",
            vec![
                json!({"advertiser_tracking_enabled": 1, "extinfo": extinfo}),
                json!({"advertiser_tracking_enabled": "true", "extinfo": extinfo, "vendor_id": null}),
                json!({"advertiser_tracking_enabled": 2}),
            ],
        ),
        (
            "original_event_data",
            vec![json!({"event_name": "Lead", "event_time": "1"}), json!({"x": 1})],
        ),
        (
            "attribution_data",
            vec![json!({"attribution_share": 0.5}), json!({"attribution_share": 2})],
        ),
        (
            "messaging_channel",
            vec![json!("whatsapp"), json!("messenger"), json!("instagram")],
        ),
        (
            "customer_segmentation",
            vec![json!("new_customer_to_business"), json!("vip")],
        ),
        ("advanced_measurement_table", vec![json!("t")]),
    ]
}

fn user_fields() -> Vec<(&'static str, Vec<Value>)> {
    let hashed = |raw: Value| {
        vec![
            raw,
            json!(HASH),
            json!([HASH, null]),
            json!(format!("{HASH}.AQQCAQMC")),
        ]
    };
    vec![
        ("em", hashed(json!(["Ana@Example.com", "x"]))),
        ("ph", hashed(json!("(11) 3222-1234 ramal 45"))),
        ("fn", hashed(json!("Ana \u{1f338}"))),
        ("ln", hashed(json!("\u{2068}da Conceição\u{2069}"))),
        ("ge", hashed(json!("F"))),
        ("db", hashed(json!("07/03/1991"))),
        ("ct", hashed(json!("São Paulo"))),
        ("st", hashed(json!("SP"))),
        ("zp", hashed(json!(1_310_100))),
        ("country", hashed(json!("Brasil"))),
        ("external_id", hashed(json!(["c-1", 7]))),
        ("f5first", hashed(json!("Mariana"))),
        ("dobm", hashed(json!("3"))),
        (
            "client_ip_address",
            vec![
                json!("203.0.113.9"),
                json!("203.0.113.9, 10.0.0.1"),
                json!("10.0.0.1"),
            ],
        ),
        (
            "client_user_agent",
            vec![json!("Mozilla/5.0"), json!("Lua 7–Edição")],
        ),
        (
            "fbc",
            vec![json!("fb.1.1596403881668.AbC"), json!("fb.1.1596403881668.null")],
        ),
        (
            "fbp",
            vec![json!("fb.1.1596403881668.1"), json!(["fb.1.1596403881668.1"])],
        ),
        ("lead_id", vec![json!(1_234_567_890_123_456_u64), json!("12a")]),
        ("page_id", vec![json!("1"), json!(1)]),
        ("page_scoped_user_id", vec![json!("1")]),
        ("ctwa_clid", vec![json!("c")]),
        ("ig_account_id", vec![json!("1")]),
        ("ig_sid", vec![json!("1")]),
        ("whatsapp_business_account_id", vec![json!("1")]),
        ("madid", vec![json!("5A1E0000-77AA-41BB-9C0D-0B1C2D3E4F50")]),
        ("click_id", vec![json!("x"), json!(null)]),
    ]
}

fn custom_fields() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        (
            "value",
            vec![
                json!(129.9),
                json!("63.90"),
                json!(0),
                json!(-1),
                json!("1e3"),
                json!("12,90"),
            ],
        ),
        (
            "currency",
            vec![json!("BRL"), json!("usd"), json!("XYZ"), json!("R$")],
        ),
        ("content_type", vec![json!("product"), json!("hotel")]),
        (
            "contents",
            vec![
                json!([{"id": 1, "quantity": 0.5}]),
                json!("[{\"id\":\"a\"}]"),
                json!([{"quantity": 1}]),
            ],
        ),
        (
            "content_ids",
            vec![json!(["a", 7]), json!("a,b"), json!("[\"a\"]")],
        ),
        ("num_items", vec![json!(1.5), json!("2")]),
        ("order_id", vec![json!(1_042), json!("12345678909")]),
        ("delivery_category", vec![json!("home_delivery"), json!("drone")]),
        ("cpf_cliente", vec![json!("123.456.789-09")]),
        ("mine", vec![json!({"a": [1, null, "x"]})]),
    ]
}

/// Events that are complete, one for each place where something happens.
fn complete() -> Vec<Value> {
    let event = |source: &str, name: &str| {
        json!({
            "event_name": name, "event_time": NOW - 60, "event_id": "1", "action_source": source,
            "user_data": {"em": HASH, "client_user_agent": "Mozilla/5.0"},
            "custom_data": {"value": 129.9, "currency": "BRL"},
        })
    };
    let mut page = event("website", "Lead");
    page["event_source_url"] = json!("https://x.br/");
    let mut sale = page.clone();
    sale["event_name"] = json!("Purchase");
    let mut app = event("app", "Purchase");
    app["app_data"] = event_fields()
        .into_iter()
        .find_map(|(name, values)| (name == "app_data").then(|| values[0].clone()))
        .unwrap();
    let mut chat = event("business_messaging", "LeadSubmitted");
    chat["messaging_channel"] = json!("whatsapp");
    chat["user_data"] = json!({"page_id": "1", "ctwa_clid": "c"});
    vec![
        page,
        sale,
        app,
        chat,
        event("physical_store", "Purchase"),
        event("email", "Lead"),
    ]
}

/// A place in an event and something that may stand there: what is right, or what is odd.
fn any_change() -> impl Strategy<Value = (String, Option<Value>)> {
    let named = |at: &str, fields: Vec<(&'static str, Vec<Value>)>| {
        let fields = fields
            .into_iter()
            .map(|(name, values)| (format!("{at}/{name}"), values));
        fields.collect::<Vec<_>>()
    };
    let mut places = named("", event_fields());
    places.extend(named("/user_data", user_fields()));
    places.extend(named("/custom_data", custom_fields()));
    places.extend(["/user_data", "/custom_data"].map(|place| (place.to_owned(), odd())));
    select(places).prop_flat_map(|(place, values)| {
        let value = prop_oneof![
            4 => select(values).prop_map(Some),
            2 => select(odd()).prop_map(Some),
            1 => Just(None),
        ];
        (Just(place), value)
    })
}

/// A complete event in which a few places were changed: most are accepted or nearly so.
fn any_event() -> impl Strategy<Value = Value> {
    (select(complete()), prop::collection::vec(any_change(), 0..6)).prop_map(|(mut event, changes)| {
        for (place, value) in changes {
            let (parent, name) = place.rsplit_once('/').unwrap();
            if let Some(parent) = event.pointer_mut(parent).and_then(Value::as_object_mut) {
                match value {
                    Some(value) => parent.insert(name.to_owned(), value),
                    None => parent.remove(name),
                };
            }
        }
        event
    })
}

fn any_intake() -> impl Strategy<Value = Intake<'static>> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(is_browser, has_cookies, has_defaults)| Intake {
        visitor: Visitor {
            ip: is_browser.then(|| "203.0.113.9".parse().unwrap()),
            user_agent: is_browser.then_some("Mozilla/5.0"),
            fbp: has_cookies.then_some("fb.1.1596403881668.1116446470"),
            fbc: has_cookies.then_some("fb.1.1600000000000.Old"),
            is_browser,
        },
        defaults: DatasetDefaults {
            country: CountryCode::parse("br").filter(|_| has_defaults),
            currency: Currency::parse("BRL").filter(|_| has_defaults),
        },
        ..intake()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_the_gateway_accepts_the_sandbox_takes(event in any_event(), intake in any_intake()) {
        if let Ok(sent) = read(&event.to_string(), &intake) {
            prop_assert_eq!(verdict(&sent, NOW), Ok(()), "{}", sent);
        }
    }

    #[test]
    fn what_the_sandbox_takes_the_gateway_refuses_for_listed_reasons_only(event in any_event()) {
        let event = event.to_string();
        if verdict(&event, NOW).is_ok() && let Err(errors) = read(&event, &intake()) {
            for error in errors {
                let listed = ONLY_THE_GATEWAY.iter().map(|(rule, _)| rule).chain(&CONSEQUENCES);
                let mut listed = listed.copied();
                prop_assert!(listed.any(|rule| error.detail.starts_with(rule)), "{:?}\n{}", error, event);
            }
        }
    }
}

/// Generated events must reach both answers, or the comparison proves nothing.
#[test]
fn generated_events_are_accepted_and_refused() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut accepted, mut taken, mut apart) = (0, 0, 0);
    for _ in 0..4_000 {
        let event = any_event().new_tree(&mut runner).unwrap().current().to_string();
        let (ours, theirs) = (read(&event, &intake()).is_ok(), verdict(&event, NOW).is_ok());
        accepted += u32::from(ours);
        taken += u32::from(theirs);
        apart += u32::from(theirs && !ours);
    }
    assert!(
        accepted > 100 && taken > 3 && apart > 0,
        "{accepted} {taken} {apart}"
    );
}
