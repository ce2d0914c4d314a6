//! What is required refuses the event. All else is left out of it, or rounded, with a warning: an odd detail
//! never costs a sale.

use serde_json::{Value, json};

use super::*;

#[test]
fn empty_text_is_null_everywhere() {
    let event = json!({
        "event_name": "Lead", "event_time": NOW, "event_id": "1", "action_source": "system_generated",
        "event_source_url": "", "referrer_url": "", "opt_out": "", "app_data": "", "original_event_data": "",
        "attribution_data": " ", "data_processing_options": "", "data_processing_options_country": "",
        "data_processing_options_state": "", "messaging_channel": "", "customer_segmentation": "",
        "advanced_measurement_table": "",
        "user_data": {"em": "ana@example.com", "ph": "", "fbc": "", "lead_id": "", "db": [""]},
        "custom_data": {
            "value": "", "currency": "", "content_type": "", "num_items": "", "predicted_ltv": "",
            "delivery_category": "", "content_name": "", "order_id": " ", "content_ids": "", "contents": "",
            "status": "", "store_data": "", "mine": "", "email": "",
        },
    });
    let sent = assert_warned(&event, &[]);
    assert_eq!(
        sent,
        json!({
            "event_name": "Lead", "event_time": NOW, "event_id": "1", "action_source": "system_generated",
            "user_data": {"em": ANA},
        })
    );
    let contents =
        json!([{"id": "1", "quantity": "", "item_price": "", "brand": "", "delivery_category": ""}]);
    let sent = assert_warned(&lead_with("/custom_data", json!({"contents": contents})), &[]);
    assert_eq!(sent["custom_data"], json!({"contents": [{"id": "1"}]}));
}

#[test]
fn numbers_and_flags_written_as_text_are_read() {
    let event = lead_with("/event_time", json!(" 1700000000 "));
    let event = changed(event, "/opt_out", json!("true"));
    let event = changed(event, "/data_processing_options", json!("LDU"));
    let event = changed(event, "/data_processing_options_country", json!("1"));
    let event = changed(event, "/data_processing_options_state", json!("1000"));
    let event = changed(
        event,
        "/original_event_data",
        json!({"event_time": "1699999000", "event_id": 7}),
    );
    let sent = assert_warned(&event, &[]);
    assert_eq!(sent["event_time"], 1_700_000_000);
    assert_eq!(sent["opt_out"], true);
    assert_eq!(sent["data_processing_options"], json!(["LDU"]));
    assert_eq!(sent["data_processing_options_country"], 1);
    assert_eq!(sent["data_processing_options_state"], 1_000);
    assert_eq!(
        sent["original_event_data"],
        json!({"event_time": 1_699_999_000, "event_id": 7})
    );
    for (text, expected) in [("1", true), ("0", false), ("False", false), ("TRUE", true)] {
        let sent = assert_warned(&lead_with("/opt_out", json!(text)), &[]);
        assert_eq!(sent["opt_out"], expected, "{text}");
    }
}

#[test]
fn a_time_in_another_shape_is_refused_by_its_name() {
    for (time, detail) in [
        (json!(1.5), "must be a whole number of seconds since 1970"),
        (
            json!("2023-11-14T19:00:00-03:00"),
            "is a date; Meta wants seconds since 1970, such as 1700000000",
        ),
        (
            json!("14/11/2023 19:00"),
            "is a date; Meta wants seconds since 1970, such as 1700000000",
        ),
        (json!("1700000000123"), "is in milliseconds; Meta wants seconds"),
        (json!("agora"), "must be a whole number of seconds since 1970"),
        (json!("-1"), "is older than the 7 days that Meta accepts"),
        (json!(""), "is required: when it happened, in seconds since 1970"),
    ] {
        assert_refused(&lead_with("/event_time", time), &[("/event_time", detail)]);
    }
}

#[test]
fn a_browsers_clock_that_is_ahead_or_years_behind_costs_no_lead() {
    const DAY: i64 = 86_400;
    let browser = Intake {
        visitor: Visitor {
            is_browser: true,
            ip: Some("203.0.113.9".parse().unwrap()),
            ..Visitor::default()
        },
        ..intake()
    };
    let ahead = "was ahead of our clock: the event is taken to have happened now";
    let behind = "was more than a year behind our clock: the event is taken to have happened now";
    for (time, warning) in [
        (NOW + 300, ahead),
        (NOW + 40 * 365 * DAY, ahead),
        (NOW - 400 * DAY, behind),
        (0, behind),
    ] {
        let (json, warnings) = read(&lead_with("/event_time", json!(time)).to_string(), &browser).unwrap();
        assert!(json.contains(&format!(r#""event_time":{NOW},"#)), "{json}");
        assert_eq!(pairs(&warnings), [("/event_time", warning)]);
    }
    // A minute is nobody's fault, and what waited in a queue too long is what it says.
    assert!(
        read(&lead_with("/event_time", json!(NOW + 60)).to_string(), &browser)
            .is_ok_and(|(_, w)| w.is_empty())
    );
    let errors = read(
        &lead_with("/event_time", json!(NOW - 8 * DAY)).to_string(),
        &browser,
    )
    .unwrap_err();
    assert_eq!(
        pairs(&errors),
        [("/event_time", "is older than the 7 days that Meta accepts")]
    );
    // A server's clock is its owner's to set.
    assert_refused(
        &lead_with("/event_time", json!(NOW + 300)),
        &[("/event_time", "is in the future")],
    );
}

#[test]
fn half_a_kilo_of_cheese_does_not_cost_the_sale() {
    let event = purchase_with(
        "/custom_data/contents",
        json!([
            {"id": "QJ-CANASTRA", "quantity": 0.5, "item_price": 89.8},
            {"id": "PAO-1", "quantity": "1.0", "item_price": 19.0},
            {"id": "OVO", "quantity": 2.5},
            {"id": "X", "quantity": -1, "item_price": "R$ 1", "delivery_category": "drone", "title": {}},
            {"quantity": 1},
            "SKU-7",
            7,
            [],
        ]),
    );
    let event = changed(event, "/custom_data/num_items", json!(1.5));
    let event = changed(event, "/custom_data/delivery_category", json!("drone"));
    let delivery = "was left out: it must be one of in_store, curbside, home_delivery";
    let sent = assert_warned(
        &event,
        &[
            (
                "/custom_data/contents/0/quantity",
                "was rounded to 1: it must be a whole number of items",
            ),
            (
                "/custom_data/contents/2/quantity",
                "was rounded to 3: it must be a whole number of items",
            ),
            (
                "/custom_data/contents/3/quantity",
                "was left out: it must be a whole number of items",
            ),
            (
                "/custom_data/contents/3/item_price",
                "was left out: it must be a number with a decimal point, such as 129.90",
            ),
            ("/custom_data/contents/3/delivery_category", delivery),
            (
                "/custom_data/contents/3/title",
                "was left out: it must be a string, not an object",
            ),
            (
                "/custom_data/contents/4",
                "was left out: it has no id, which is the product's id in the catalogue",
            ),
            (
                "/custom_data/contents/7",
                "was left out: it must be an object, not a list",
            ),
            (
                "/custom_data/num_items",
                "was rounded to 2: it must be a whole number of items",
            ),
            ("/custom_data/delivery_category", delivery),
        ],
    );
    assert_eq!(
        sent["custom_data"],
        json!({
            "value": 129.9, "currency": "BRL", "num_items": 2,
            "contents": [
                {"id": "QJ-CANASTRA", "quantity": 1, "item_price": 89.8},
                {"id": "PAO-1", "quantity": 1, "item_price": 19.0},
                {"id": "OVO", "quantity": 3},
                {"id": "X"},
                {"id": "SKU-7"},
                {"id": "7"},
            ],
        })
    );
}

#[test]
fn lists_are_read_however_shops_write_them() {
    for (ids, expected) in [
        (
            json!("[\"ab101_101\",\"ab202_202\"]"),
            json!(["ab101_101", "ab202_202"]),
        ),
        (json!("ab101_101, ab202_202"), json!(["ab101_101", "ab202_202"])),
        (json!("SKU1"), json!(["SKU1"])),
        (json!(7), json!(["7"])),
        (json!(["a", 7.0, "", null]), json!(["a", "7"])),
        (json!({"0": "a", "2": "b"}), json!(["a", "b"])), // PHP's list with a gap
    ] {
        let sent = assert_warned(&lead_with("/custom_data", json!({"content_ids": ids})), &[]);
        assert_eq!(sent["custom_data"]["content_ids"], expected, "{ids}");
    }
    for contents in [
        json!("[{\"id\":\"a\",\"quantity\":1}]"),
        json!({"id": "a", "quantity": 1}),
        json!({"3": {"id": "a", "quantity": 1}}),
        json!([[{"id": "a", "quantity": 1}]]),
    ] {
        let event = lead_with("/custom_data", json!({"contents": contents}));
        if contents[0].is_array() {
            let warning = "was left out: it must be an object, not a list";
            assert_warned(&event, &[("/custom_data/contents/0", warning)]);
            continue;
        }
        assert_eq!(
            assert_warned(&event, &[])["custom_data"]["contents"],
            json!([{"id": "a", "quantity": 1}]),
            "{contents}"
        );
    }
    let broken = lead_with(
        "/custom_data",
        json!({"contents": "[{\"id\":", "content_ids": "[1,"}),
    );
    assert_warned(
        &broken,
        &[
            (
                "/custom_data/contents",
                "was left out: it must be a list of objects, not a string",
            ),
            (
                "/custom_data/content_ids",
                "was left out: it must be a list of strings, not a string",
            ),
        ],
    );
    // What is inside the text is looked at as closely as what stands beside it.
    let hidden = lead_with(
        "/custom_data",
        json!({"contents": "[{\"id\":\"a\",\"buyer_email\":\"x\"}]", "content_ids": "a,ana@example.com"}),
    );
    let sent = assert_warned(
        &hidden,
        &[
            ("/custom_data/content_ids", PERSONAL),
            ("/custom_data/contents/0/buyer_email", PERSONAL),
        ],
    );
    assert_eq!(sent["custom_data"], json!({"contents": [{"id": "a"}]}));
}

const PERSONAL: &str =
    "was left out: it looks like personal data, which belongs in user_data, where it is hashed";

#[test]
fn every_kind_of_content_that_meta_sells_is_taken() {
    for kind in [
        "product",
        "hotel",
        "flight",
        "destination",
        "vehicle",
        "home_listing",
        "service",
    ] {
        let sent = assert_warned(&lead_with("/custom_data", json!({"content_type": kind})), &[]);
        assert_eq!(sent["custom_data"]["content_type"], kind);
    }
}

#[test]
fn what_is_not_required_is_left_out_where_it_cannot_be_read() {
    let long = "é".repeat(2_501);
    for (pointer, value, detail) in [
        (
            "/referrer_url",
            json!(["https://x.br"]),
            "was left out: it must be a string, not a list",
        ),
        ("/customer_segmentation", json!("vip"), SEGMENTATION),
        (
            "/advanced_measurement_table",
            json!({}),
            "was left out: it must be a string, not an object",
        ),
        (
            "/messaging_channel",
            json!("telegram"),
            "was left out: it must be one of whatsapp, messenger, instagram",
        ),
        (
            "/app_data",
            json!(1),
            "was left out: it must be an object, not a number",
        ),
        (
            "/original_event_data",
            json!("x"),
            "was left out: it must be an object, not a string",
        ),
        (
            "/attribution_data",
            json!(false),
            "was left out: it must be an object, not a boolean",
        ),
        (
            "/custom_data",
            json!([1]),
            "was left out: it must be an object, not a list",
        ),
        (
            "/custom_data/currency",
            json!("R$"),
            "was left out: it must be an ISO 4217 code, such as \"BRL\"",
        ),
        (
            "/custom_data/value",
            json!("12,90"),
            "was left out: it must be a number with a decimal point, such as 129.90",
        ),
        (
            "/custom_data/order_id",
            json!(1.5),
            "was left out: it must be a string, not a number",
        ),
        (
            "/custom_data/order_id",
            json!("x".repeat(5_001)),
            "was left out: it is longer than 5,000 bytes",
        ),
        ("/custom_data/content_name", json!(long), "was cut to 5,000 bytes"),
        (
            "/custom_data/store_data",
            json!("1"),
            "was left out: it must be an object, not a string",
        ),
        ("/custom_data/", json!(1), "was left out: it has no name"),
        (
            "/custom_data/note",
            json!("Sof\u{fffd}"),
            "has characters that were lost on the way here (U+FFFD)",
        ),
    ] {
        let mut event = lead_with("/custom_data", json!({}));
        event = changed(event, pointer, value.clone());
        let sent = assert_warned(&event, &[(pointer, detail)]);
        let kept = sent.pointer(pointer);
        match detail.starts_with("was left out") {
            true => assert_eq!(kept, None, "{pointer}"),
            false => assert!(kept.is_some(), "{pointer}"),
        }
    }
    let cut = lead_with("/custom_data", json!({"content_name": format!("a{long}")}));
    let sent = sent(&cut);
    assert_eq!(sent["custom_data"]["content_name"].as_str().unwrap().len(), 4_999);
    let tracking = json!({"application_tracking_enabled": "yes", "advertiser_tracking_enabled": "1"});
    let sent = assert_warned(
        &lead_with("/app_data", tracking),
        &[(
            "/app_data/application_tracking_enabled",
            "was left out: it must be 0 or 1",
        )],
    );
    assert_eq!(sent["app_data"], json!({"advertiser_tracking_enabled": 1}));
}

const SEGMENTATION: &str = "was left out: it must be one of new_customer_to_business, \
    new_customer_to_business_line, new_customer_to_product_area, new_customer_to_medium, existing_customer_to_business, \
    existing_customer_to_business_line, existing_customer_to_product_area, existing_customer_to_medium, \
    customer_in_loyalty_program";

#[test]
fn a_state_that_meta_does_not_know_is_left_to_meta_to_find() {
    let ldu = |country: Value, state: Value| {
        let event = lead_with("/data_processing_options", json!(["LDU"]));
        let event = changed(event, "/data_processing_options_country", country);
        changed(event, "/data_processing_options_state", state)
    };
    for state in [json!(1_018), json!(999), json!("CA"), json!(1_000.5)] {
        let sent = assert_warned(
            &ldu(json!(1), state),
            &[(
                "/data_processing_options_state",
                "was left out: it must be the number of a state that Meta knows, 1000 to 1013, or 0; \
                 Meta finds it itself",
            )],
        );
        assert_eq!(sent["data_processing_options_country"], 1);
        assert_eq!(sent.get("data_processing_options_state"), None);
    }
    let sent = assert_warned(
        &ldu(json!(55), json!(0)),
        &[(
            "/data_processing_options_country",
            "was left out: it must be 1 (USA) or 0; Meta finds it itself",
        )],
    );
    assert_eq!(sent["data_processing_options"], json!(["LDU"]));
    let alone = "was left out: it is only taken together with data_processing_options";
    for name in [
        "/data_processing_options_country",
        "/data_processing_options_state",
    ] {
        assert_warned(&lead_with(name, json!(0)), &[(name, alone)]);
    }
    // What somebody said of how their data may be used is never dropped in silence.
    for wrong in [json!("ccpa"), json!(["ldu", "x"]), json!([null]), json!(1)] {
        let event = lead_with("/data_processing_options", wrong);
        assert_refused(&event, &[("/data_processing_options", "must be [\"LDU\"] or []")]);
    }
    assert_refused(
        &lead_with("/opt_out", json!("maybe")),
        &[("/opt_out", "must be true or false, not a string")],
    );
}

#[test]
fn what_is_required_says_why_it_could_not_be_read() {
    let amount = "must be a number with a decimal point, such as 129.90";
    assert_refused(
        &purchase_with("/custom_data/value", json!("12,90")),
        &[("/custom_data/value", amount)],
    );
    assert_refused(
        &purchase_with("/custom_data/currency", json!("R$")),
        &[(
            "/custom_data/currency",
            "must be an ISO 4217 code, such as \"BRL\"",
        )],
    );
    assert_refused(
        &lead_with("/event_source_url", json!("loja.example.com.br")),
        &[("/event_source_url", "must start with http:// or https://")],
    );
    assert_refused(
        &lead_with("/user_data/client_user_agent", json!(7.5)),
        &[("/user_data/client_user_agent", "must be a string, not a number")],
    );
}

#[test]
fn an_amount_never_gets_another_currency_than_the_one_that_came() {
    let defaults = DatasetDefaults {
        country: None,
        currency: rastro_core::dataset::Currency::parse("BRL"),
    };
    let configured = Intake { defaults, ..intake() };
    let event = lead_with("/custom_data", json!({"value": 10, "currency": "US$"}));
    let sent = sent_under(&event, &configured);
    assert_eq!(sent["custom_data"], json!({"value": 10}));
}

#[test]
fn control_characters_are_taken_out_of_what_is_stored_in_columns() {
    let event = lead_with("/event_source_url", json!("https://x.br/a\u{0}b\n?c=d"));
    let event = changed(
        event,
        "/custom_data",
        json!({"order_id": "a\u{0}1\u{200b}", "content_name": "a\u{0}b"}),
    );
    let sent = sent(&event);
    assert_eq!(sent["event_source_url"], "https://x.br/ab?c=d");
    assert_eq!(sent["custom_data"]["order_id"], "a1");
    assert_eq!(sent["custom_data"]["content_name"], "a\u{0}b");
}

#[test]
fn a_page_address_that_is_too_long_loses_its_query_and_not_the_event() {
    let url = format!("https://x.br/produto?{}#x", "a".repeat(8_000));
    let sent = assert_warned(
        &lead_with("/event_source_url", json!(url)),
        &[(
            "/event_source_url",
            "was cut at its query: it was longer than 8,000 bytes",
        )],
    );
    assert_eq!(sent["event_source_url"], "https://x.br/produto");
    let path = format!("https://x.br/{}", "a".repeat(8_000));
    assert_refused(
        &lead_with("/event_source_url", json!(path)),
        &[("/event_source_url", "is longer than 8,000 bytes")],
    );
}
