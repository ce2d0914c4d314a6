//! The fields of the event itself: what is required, of which kind, and how much.

use serde_json::{Value, json};

use super::*;

#[test]
fn every_wrong_field_is_named_with_its_pointer_and_a_sentence() {
    let one_of = "must be one of website, app, physical_store, business_messaging, email, phone_call, chat, \
                  system_generated, other";
    let long_url = format!("https://x.br/{}", "a".repeat(8_000));
    for (pointer, value, detail) in [
        (
            "/event_name",
            None,
            "is required, such as \"Lead\" or \"Purchase\"",
        ),
        (
            "/event_name",
            Some(Value::Null),
            "is required, such as \"Lead\" or \"Purchase\"",
        ),
        (
            "/event_name",
            Some(json!(" ")),
            "is required, such as \"Lead\" or \"Purchase\"",
        ),
        ("/event_name", Some(json!(5)), "must be a string, not a number"),
        (
            "/event_name",
            Some(json!("a".repeat(101))),
            "is longer than 100 bytes",
        ),
        (
            "/event_name",
            Some(json!("Le\u{0}ad")),
            "must not contain control characters",
        ),
        (
            "/event_name",
            Some(json!("ana@example.com")),
            "must not hold personal data: it is stored and sent as it is",
        ),
        (
            "/event_time",
            None,
            "is required: when it happened, in seconds since 1970",
        ),
        (
            "/event_time",
            Some(Value::Null),
            "is required: when it happened, in seconds since 1970",
        ),
        (
            "/event_time",
            Some(json!("1700000000.5")),
            "must be a whole number of seconds since 1970",
        ),
        (
            "/event_time",
            Some(json!(1_700_000_000.5)),
            "must be a whole number of seconds since 1970",
        ),
        (
            "/event_time",
            Some(json!(u64::MAX)),
            "must be a whole number of seconds since 1970",
        ),
        (
            "/event_time",
            Some(json!(NOW * 1_000)),
            "is in milliseconds; Meta wants seconds",
        ),
        (
            "/event_time",
            Some(json!(i64::MIN)),
            "is older than the 7 days that Meta accepts",
        ),
        (
            "/action_source",
            None,
            "is required: where it happened, such as \"website\"",
        ),
        ("/action_source", Some(json!("Website")), one_of),
        ("/action_source", Some(json!(1)), one_of),
        ("/event_source_url", None, "is required for website events"),
        (
            "/event_source_url",
            Some(Value::Null),
            "is required for website events",
        ),
        (
            "/event_source_url",
            Some(json!("")),
            "is required for website events",
        ),
        (
            "/event_source_url",
            Some(json!("loja.example.com.br")),
            "must start with http:// or https://",
        ),
        (
            "/event_source_url",
            Some(json!(1)),
            "must be a string, not a number",
        ),
        (
            "/event_source_url",
            Some(json!(long_url)),
            "is longer than 8,000 bytes",
        ),
        ("/user_data", Some(json!("x")), "must be an object, not a string"),
        ("/opt_out", Some(json!(2)), "must be true or false, not a number"),
        (
            "/data_processing_options",
            Some(json!(["ldu"])),
            "must be [\"LDU\"] or []",
        ),
        (
            "/data_processing_options",
            Some(json!([null])),
            "must be [\"LDU\"] or []",
        ),
        ("/advertiser_tracking_enabled", Some(json!(1)), UNKNOWN),
        ("/Event_Name", Some(Value::Null), UNKNOWN),
    ] {
        let mut expected = vec![(pointer, detail)];
        if pointer == "/user_data" {
            expected.push(("/user_data/client_user_agent", "is required for website events"));
        }
        assert_refused(&lead_with(pointer, value), &expected);
    }
}

const UNKNOWN: &str = "is not a field of a server event; details of your own go into custom_data";
#[test]
fn what_is_not_an_object_is_no_event() {
    for (text, detail) in [
        ("[]", "must be an object, not a list"),
        ("\"x\"", "must be an object, not a string"),
        ("null", "must be an object, not null"),
        ("1", "must be an object, not a number"),
    ] {
        assert_text_refused(text, &[("", detail)]);
    }
}

#[test]
fn all_errors_of_an_event_are_listed_at_once_also_those_between_fields_that_are_there() {
    let event = json!({
        "event_time": NOW * 1_000,
        "action_source": "website",
        "utm_source": "ig",
        "user_data": {"email": "ana@example.com", "fbc": "x"},
        // It is no Purchase: nothing of this is required.
        "custom_data": {"value": "12,90", "contents": [{"quantity": -1}, 7]},
        "opt_out": "no",
    });
    assert_refused(
        &event,
        &[
            ("/event_name", "is required, such as \"Lead\" or \"Purchase\""),
            ("/event_time", "is in milliseconds; Meta wants seconds"),
            ("/event_source_url", "is required for website events"),
            ("/utm_source", UNKNOWN),
            ("/user_data", TOO_LITTLE),
            (
                "/user_data/email",
                "is not a customer information parameter of the Conversions API",
            ),
            (
                "/user_data/fbc",
                "was left out: it is not of the form fb.<index>.<milliseconds>.<id>",
            ),
            ("/user_data/client_user_agent", "is required for website events"),
            ("/opt_out", "must be true or false, not a string"),
        ],
    );
    assert_refused(
        &json!({}),
        &[
            ("/event_name", "is required, such as \"Lead\" or \"Purchase\""),
            (
                "/event_time",
                "is required: when it happened, in seconds since 1970",
            ),
            (
                "/action_source",
                "is required: where it happened, such as \"website\"",
            ),
            ("/user_data", "is required: who the event is about"),
        ],
    );
}

const TOO_LITTLE: &str = "holds too little to find a person by: send an e-mail, a phone, a name, fbp, fbc, an external_id or the visitor's address";

#[test]
fn a_field_that_stands_twice_is_named_at_every_level_even_where_one_of_the_two_is_null() {
    let lead = lead().to_string();
    let with = |more: &str| format!("{}{more}}}", &lead[..lead.len() - 1]);
    for (more, pointer) in [
        (r#","event_id":"lead-2""#, "/event_id"),
        (r#","event_name":null"#, "/event_name"),
        (r#","opt_out":null,"opt_out":true"#, "/opt_out"),
        (
            r#","custom_data":{"status":"a","status":"a"}"#,
            "/custom_data/status",
        ),
        (
            r#","custom_data":{"mine":{"a":{"b":1,"b":2}}}"#,
            "/custom_data/mine/a/b",
        ),
        (
            r#","custom_data":{"contents":[{"id":"1"},{"id":"1","id":"2"}]}"#,
            "/custom_data/contents/1/id",
        ),
        (
            r#","app_data":{"vendor_id":"a","vendor_id":"b"}"#,
            "/app_data/vendor_id",
        ),
    ] {
        assert_text_refused(&with(more), &[(pointer, "stands twice")]);
    }
    let twice = lead.replace(r#""user_data":{"#, r#""user_data":{"em":"b@example.com","#);
    assert_text_refused(&twice, &[("/user_data/em", "stands twice")]);
    let both = changed(
        lead_with("/customer_segmentation", json!("new_customer_to_medium")),
        "/custom_data",
        json!({"customer_segmentation": "new_customer_to_medium"}),
    );
    assert_warned(
        &both,
        &[(
            "/customer_segmentation",
            "was left out: it stands in custom_data as well",
        )],
    );
}

#[test]
fn pointers_are_escaped_and_never_carry_back_an_address() {
    let event = changed(lead_with("/ação~1", json!(1)), "/ana@example.com", json!(1));
    assert_refused(&event, &[("/ação~01", UNKNOWN), ("/[personal data]", UNKNOWN)]);
}

#[test]
fn an_event_is_taken_up_to_7_days_late_from_a_shop_62_and_up_to_a_minute_early() {
    const DAY: i64 = 86_400;
    for (source, time, expected) in [
        ("email", NOW, Ok(NOW)),
        ("email", NOW - 7 * DAY, Ok(NOW - 7 * DAY)),
        (
            "email",
            NOW - 7 * DAY - 1,
            Err("is older than the 7 days that Meta accepts"),
        ),
        ("physical_store", NOW - 7 * DAY - 1, Ok(NOW - 7 * DAY - 1)),
        ("physical_store", NOW - 62 * DAY, Ok(NOW - 62 * DAY)),
        (
            "physical_store",
            NOW - 62 * DAY - 1,
            Err("is older than the 62 days that Meta accepts"),
        ),
        ("email", NOW + 1, Ok(NOW)),
        ("email", NOW + 60, Ok(NOW)),
        ("email", NOW + 61, Err("is in the future")),
        ("email", 100_000_000_000, Err("is in the future")),
        (
            "email",
            100_000_000_001,
            Err("is in milliseconds; Meta wants seconds"),
        ),
        ("email", 0, Err("is older than the 7 days that Meta accepts")),
        ("email", -1, Err("is older than the 7 days that Meta accepts")),
    ] {
        let event = changed(
            lead_with("/action_source", json!(source)),
            "/event_time",
            json!(time),
        );
        match expected {
            Ok(time) => assert_eq!(sent(&event)["event_time"], time),
            Err(detail) => assert_refused(&event, &[("/event_time", detail)]),
        }
    }
    assert_eq!(
        sent(&lead_with("/event_time", json!(1_700_000_000.0)))["event_time"].to_string(),
        "1700000000"
    );
}

#[test]
fn a_key_is_remembered_a_day_longer_than_meta_takes_the_event() {
    for (source, days) in [("email", 8), ("physical_store", 63)] {
        let text = lead_with("/action_source", json!(source)).to_string();
        let intake = intake();
        let (event, _) = Event::read(Json::parse(text.as_bytes()).unwrap(), &intake).unwrap();
        assert_eq!(event.dedup_window_seconds(), days * 86_400);
    }
}

#[test]
fn an_event_of_more_than_64_kib_is_refused_as_a_whole() {
    // 13 properties of 5,000 bytes, and one that fills the rest up to the last byte.
    let filled = |last: usize| {
        let mut event = changed(lead(), "/custom_data", json!({}));
        for n in 0..13 {
            event = changed(event, &format!("/custom_data/a{n}"), json!("x".repeat(4_990)));
        }
        changed(event, "/custom_data/last", json!("x".repeat(last)))
    };
    let rest = 65_536 - sent(&filled(1)).to_string().len() + 1;
    assert_eq!(sent(&filled(rest)).to_string().len(), 65_536);
    assert_refused(
        &filled(rest + 1),
        &[("", "is longer than 64 KiB, as JSON, with its identifiers hashed")],
    );
}

#[test]
fn huge_objects_are_read_in_linear_time_and_answered_briefly() {
    let custom_data: Value = (0..50_000)
        .map(|n| (format!("k{n}"), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_refused(
        &lead_with("/custom_data", custom_data.clone()),
        &[("", "is longer than 64 KiB, as JSON, with its identifiers hashed")],
    );
    let mut user_data = custom_data;
    user_data
        .as_object_mut()
        .unwrap()
        .insert("em".into(), json!("ana@example.com"));
    for event in [lead_with("/user_data", user_data.clone()), user_data] {
        let errors = read(&event.to_string(), &intake()).unwrap_err();
        assert!((101..110).contains(&errors.len()), "{}", errors.len());
        assert_eq!(errors[100].detail, "has more than can be listed");
    }
}
