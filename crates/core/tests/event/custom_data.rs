//! What was bought, asked for or looked at.

use serde_json::{Value, json};

use super::*;

fn with(name: &str, value: Value) -> Value {
    lead_with("/custom_data", json!({name: value}))
}

const AMOUNT: &str = "must be a number with a decimal point, such as 129.90";
const COUNT: &str = "must be a whole number of items";
const CURRENCY: &str = "must be an ISO 4217 code, such as \"BRL\"";
const PERSONAL: &str =
    "was left out: it looks like personal data, which belongs in user_data, where it is hashed";

#[test]
fn every_detail_that_cannot_be_read_is_left_out_and_named_with_its_pointer_and_a_sentence() {
    let delivery = "must be one of in_store, curbside, home_delivery";
    for (name, value, pointer, detail) in [
        ("net_revenue", json!("x"), "", AMOUNT),
        ("predicted_ltv", json!([1]), "", AMOUNT),
        ("currency", json!("R$"), "", CURRENCY),
        ("currency", json!("XXX"), "", CURRENCY),
        ("currency", json!(986), "", CURRENCY),
        ("num_items", json!(-1), "", COUNT),
        ("num_items", json!("two"), "", COUNT),
        ("num_items", json!("+1"), "", COUNT),
        ("num_items", json!(true), "", COUNT),
        (
            "content_ids",
            json!(true),
            "",
            "must be a list of strings, not a boolean",
        ),
        (
            "content_ids",
            json!(["a", 1.5]),
            "/1",
            "must be a string, not a number",
        ),
        ("content_type", json!(true), "", "must be a string, not a boolean"),
        ("delivery_category", json!("drone"), "", delivery),
        ("delivery_category", json!(1), "", delivery),
        ("customer_segmentation", json!("vip"), "", SEGMENTATIONS),
        ("content_name", json!([1]), "", "must be a string, not a list"),
        ("order_id", json!(1.5), "", "must be a string, not a number"),
        ("item_number", json!({}), "", "must be a string, not an object"),
        (
            "search_string",
            json!(false),
            "",
            "must be a string, not a boolean",
        ),
        ("status", json!([{}]), "", "must be a string, not a list"),
        ("store_data", json!("1"), "", "must be an object, not a string"),
        (
            "contents",
            json!({"name": "x"}),
            "",
            "must be a list of objects, not an object",
        ),
        (
            "contents",
            json!([true]),
            "/0",
            "must be an object, not a boolean",
        ),
        (
            "contents",
            json!([{"id": "1"}, {}]),
            "/1",
            "has no id, which is the product's id in the catalogue",
        ),
        (
            "contents",
            json!([{"id": null}]),
            "/0",
            "has no id, which is the product's id in the catalogue",
        ),
        (
            "contents",
            json!([{"id": "1", "quantity": "x"}]),
            "/0/quantity",
            COUNT,
        ),
        (
            "contents",
            json!([{"id": "1", "item_price": "R$ 1"}]),
            "/0/item_price",
            AMOUNT,
        ),
        (
            "contents",
            json!([{"id": "1", "delivery_category": "x"}]),
            "/0/delivery_category",
            delivery,
        ),
        (
            "contents",
            json!([{"id": "1", "title": {}}]),
            "/0/title",
            "must be a string, not an object",
        ),
    ] {
        let left_out = format!("was left out: it {detail}");
        assert_warned(
            &with(name, value),
            &[(&format!("/custom_data/{name}{pointer}"), &left_out)],
        );
    }
}

const SEGMENTATIONS: &str = "must be one of new_customer_to_business, new_customer_to_business_line, \
    new_customer_to_product_area, new_customer_to_medium, existing_customer_to_business, \
    existing_customer_to_business_line, existing_customer_to_product_area, existing_customer_to_medium, \
    customer_in_loyalty_program";

#[test]
fn known_fields_are_sent_in_the_form_meta_takes() {
    for (name, value, sent_as) in [
        ("net_revenue", json!("5"), json!(5.0)),
        ("predicted_ltv", json!(-3), json!(-3)),
        ("currency", json!("usd"), json!("USD")),
        ("currency", json!(" brl "), json!("BRL")),
        ("num_items", json!(2.0), json!(2)),
        ("num_items", json!(" 3 "), json!(3)),
        ("num_items", json!(0), json!(0)),
        ("content_ids", json!(["a", 7, null]), json!(["a", "7"])),
        ("content_ids", json!([]), json!([])),
        ("content_type", json!("product_group"), json!("product_group")),
        (
            "delivery_category",
            json!("home_delivery"),
            json!("home_delivery"),
        ),
        ("order_id", json!(12_345), json!("12345")),
        ("status", json!(true), json!("true")),
        ("status", json!("registered"), json!("registered")),
        (
            "content_category",
            json!(["Casa", null, "Sala"]),
            json!("Casa, Sala"),
        ),
        ("order_id", json!(1_042.0), json!("1042")),
        (
            "content_name",
            json!("Camiseta \"São João\"\u{0}"),
            json!("Camiseta \"São João\"\u{0}"),
        ),
        (
            "store_data",
            json!({"store_code": "12"}),
            json!({"store_code": "12"}),
        ),
        (
            "contents",
            json!([null, {"id": 7, "quantity": "2", "item_price": "9.90", "brand": null, "mine": [1]}]),
            json!([{"id": "7", "quantity": 2, "item_price": 9.9, "mine": [1]}]),
        ),
        ("city", json!("São Paulo"), json!("São Paulo")),
        ("my_property", json!([1, null, "a"]), json!([1, "a"])),
        (
            "my_object",
            json!({"a": {"b": [true]}}),
            json!({"a": {"b": [true]}}),
        ),
    ] {
        assert_eq!(
            sent(&with(name, value))["custom_data"],
            json!({name: sent_as}),
            "{name}"
        );
    }
    for nothing in [
        Value::Null,
        json!({}),
        json!([]),
        json!({"order_id": null, "mine": null}),
    ] {
        assert_eq!(sent(&lead_with("/custom_data", nothing)).get("custom_data"), None);
    }
    let segmented = sent(&lead_with(
        "/customer_segmentation",
        json!("customer_in_loyalty_program"),
    ));
    assert_eq!(
        segmented["custom_data"],
        json!({"customer_segmentation": "customer_in_loyalty_program"})
    );
    assert_eq!(segmented.get("customer_segmentation"), None);
}

/// The texts of JSON numbers and strings, and the text of the number that is sent.
#[test]
fn an_amount_is_a_number_or_a_plain_decimal_and_keeps_every_cent() {
    for (text, sent_as) in [
        ("129.9", "129.9"),
        ("129", "129"),
        ("0", "0"),
        ("0.1", "0.1"),
        ("99999999999.99", "99999999999.99"),
        ("-0", "0.0"),
        ("1e3", "1000.0"),
        (r#""142.52""#, "142.52"),
        (r#"" 12.90 ""#, "12.9"),
        (r#""0.00""#, "0.0"),
        (r#""-0""#, "0.0"),
        (r#""129""#, "129.0"),
    ] {
        let text = purchase_with("/custom_data/value", json!("?"))
            .to_string()
            .replace(r#""?""#, text);
        let (json, _) = read(&text, &intake()).unwrap();
        assert!(
            json.contains(&format!(r#""value":{sent_as}"#)),
            "{text} became {json}"
        );
    }
    for wrong in [
        "12,90",
        "1.234,56",
        "1e3",
        "R$ 12.90",
        "12.90 BRL",
        ".",
        "-",
        "--1",
        "1-2",
        "1.2.3",
        "+1",
        "NaN",
        "inf",
        "-inf",
        "infinity",
        "0x10",
        "1_000",
        "１２",
        &"9".repeat(400),
    ] {
        assert_refused(
            &purchase_with("/custom_data/value", json!(wrong)),
            &[("/custom_data/value", AMOUNT)],
        );
    }
    for wrong in [json!(true), json!([1]), json!({"amount": 1})] {
        assert_refused(
            &purchase_with("/custom_data/value", wrong),
            &[("/custom_data/value", AMOUNT)],
        );
    }
}

#[test]
fn a_purchase_needs_a_value_that_is_not_negative_and_a_currency() {
    let value = ("/custom_data/value", "is required for a Purchase");
    let currency = (
        "/custom_data/currency",
        "is required for a Purchase, such as \"BRL\"",
    );
    assert_eq!(
        sent(&purchase_with("/opt_out", None))["custom_data"],
        json!({"value": 129.9, "currency": "BRL"})
    );
    assert_refused(&purchase_with("/custom_data/value", None), &[value]);
    assert_refused(&purchase_with("/custom_data/value", Value::Null), &[value]);
    assert_refused(&purchase_with("/custom_data/currency", None), &[currency]);
    assert_refused(&purchase_with("/custom_data", None), &[value, currency]);
    assert_refused(
        &purchase_with("/custom_data", json!("x")),
        &[
            ("/custom_data", "must be an object, not a string"),
            value,
            currency,
        ],
    );
    for negative in [json!(-1), json!(-0.01), json!("-5.00")] {
        let event = purchase_with("/custom_data/value", negative);
        assert_refused(
            &event,
            &[("/custom_data/value", "must not be negative for a Purchase")],
        );
        // Elsewhere Meta says nothing against it: a refund, a lead that costs.
        sent(&changed(event, "/event_name", json!("Refund")));
    }
    // Names are case-sensitive: this is an event of the business's own.
    sent(&changed(
        purchase_with("/custom_data", None),
        "/event_name",
        json!("purchase"),
    ));
}

#[test]
fn a_value_without_a_currency_is_warned_of_elsewhere() {
    let warning = (
        "/custom_data/currency",
        "is missing: Meta cannot use the value without it",
    );
    assert_warned(&with("value", json!(10)), &[warning]);
    assert_warned(
        &lead_with("/custom_data", json!({"value": 10, "currency": "brl"})),
        &[],
    );
}

#[test]
fn personal_data_is_left_out_wherever_it_stands_and_the_event_is_kept() {
    for (custom_data, left, pointers) in [
        (
            json!({"email": "x", "content_name": "Curso"}),
            json!({"content_name": "Curso"}),
            vec!["/email"],
        ),
        (
            json!({"Customer-Phone": 11_912_345_678_u64, "a": 1}),
            json!({"a": 1}),
            vec!["/Customer-Phone"],
        ),
        (
            json!({"cpf": ["1"], "nome_completo": "Ana", "a": 1}),
            json!({"a": 1}),
            vec!["/cpf", "/nome_completo"],
        ),
        (
            json!({"contact": "fale com ana@example.com", "a": 1}),
            json!({"a": 1}),
            vec!["/contact"],
        ),
        (
            json!({"search_string": "ana@example.com", "a": 1}),
            json!({"a": 1}),
            vec!["/search_string"],
        ),
        (
            json!({"ana@example.com": 1, "a": 1}),
            json!({"a": 1}),
            vec!["/[personal data]"],
        ),
        (
            json!({"form": {"step": 2, "fields": [{"email": "x"}, "ana%40example.com"]}}),
            json!({"form": {"step": 2, "fields": [{}, null]}}),
            vec!["/form/fields/0/email", "/form/fields/1"],
        ),
        (
            json!({"content_ids": ["a", "ana@example.com", "b"]}),
            json!({"content_ids": ["a", "b"]}),
            vec!["/content_ids/1"],
        ),
        (
            json!({"contents": [{"id": "1", "buyer_email": "x"}]}),
            json!({"contents": [{"id": "1"}]}),
            vec!["/contents/0/buyer_email"],
        ),
        (
            json!({"store_data": {"store_code": "1", "phone": "x"}}),
            json!({"store_data": {"store_code": "1"}}),
            vec!["/store_data/phone"],
        ),
        (
            json!({"whatsapp": true, "email": "", "phone": {"model": "x"}}),
            json!({"whatsapp": true, "phone": {"model": "x"}}),
            vec![],
        ),
    ] {
        let pointers: Vec<String> = pointers
            .iter()
            .map(|pointer| format!("/custom_data{pointer}"))
            .collect();
        let warnings: Vec<(&str, &str)> = pointers.iter().map(|pointer| (&**pointer, PERSONAL)).collect();
        assert_eq!(
            assert_warned(&lead_with("/custom_data", custom_data), &warnings)["custom_data"],
            left
        );
    }
    let app_data = assert_warned(
        &lead_with(
            "/app_data",
            json!({"vendor_id": "1", "install_referrer": "ana@example.com"}),
        ),
        &[("/app_data/install_referrer", PERSONAL)],
    );
    assert_eq!(app_data["app_data"], json!({"vendor_id": "1"}));
}
