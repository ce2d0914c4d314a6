//! Each documented rule, broken once and kept once, through the front door.

use rastro_sandbox::{EventFilter, Sandbox, SandboxConfig};
use serde_json::{Value, json};

use crate::support::{NOW, SCHEMA, check, check_against, config, lead, send, start, user, with, without};

const DAY: i64 = 86_400;
const HASH: &str = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";

fn purchase() -> Value {
    with(
        with(lead("p"), "event_name", json!("Purchase")),
        "custom_data",
        json!({ "value": 1.99, "currency": "usd" }),
    )
}

#[tokio::test]
async fn an_event_needs_a_name_and_a_recent_time_in_seconds() {
    check(vec![
        ("complete", lead("1"), None),
        ("no name", without(lead("1"), "event_name"), Some(SCHEMA)),
        (
            "null name",
            with(lead("1"), "event_name", Value::Null),
            Some(SCHEMA),
        ),
        (
            "blank name",
            with(lead("1"), "event_name", json!(" ")),
            Some(SCHEMA),
        ),
        (
            "numeric name",
            with(lead("1"), "event_name", json!(7)),
            Some(SCHEMA),
        ),
        (
            "custom name",
            with(lead("1"), "event_name", json!("Orçamento pedido")),
            None,
        ),
        ("numeric id", with(lead("1"), "event_id", json!(7)), Some(SCHEMA)),
        ("no id", without(lead("1"), "event_id"), None),
        ("no time", without(lead("1"), "event_time"), Some(SCHEMA)),
        (
            "time as text",
            with(lead("1"), "event_time", json!(NOW.to_string())),
            Some(SCHEMA),
        ),
        (
            "fractional time",
            with(lead("1"), "event_time", json!(NOW as f64 + 0.5)),
            Some(SCHEMA),
        ),
        (
            "milliseconds",
            with(lead("1"), "event_time", json!(NOW * 1000)),
            Some(SCHEMA),
        ),
        (
            "exactly 7 days",
            with(lead("1"), "event_time", json!(NOW - 7 * DAY)),
            None,
        ),
        (
            "over 7 days",
            with(lead("1"), "event_time", json!(NOW - 7 * DAY - 1)),
            Some(2_804_003),
        ),
        ("60 s ahead", with(lead("1"), "event_time", json!(NOW + 60)), None),
        (
            "61 s ahead",
            with(lead("1"), "event_time", json!(NOW + 61)),
            Some(SCHEMA),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_store_may_report_for_62_days() {
    let in_store = |age| {
        with(
            with(lead("1"), "action_source", json!("physical_store")),
            "event_time",
            json!(NOW - age),
        )
    };
    check(vec![
        ("exactly 62 days", in_store(62 * DAY), None),
        ("over 62 days", in_store(62 * DAY + 1), Some(2_804_003)),
    ])
    .await;
}

#[tokio::test]
async fn a_purchase_needs_a_value_and_a_currency() {
    let with_value = |value| with(purchase(), "custom_data.value", value);
    let with_currency = |currency| with(purchase(), "custom_data.currency", currency);
    check(vec![
        ("complete", purchase(), None),
        (
            "no custom data",
            without(purchase(), "custom_data"),
            Some(2_804_009),
        ),
        (
            "no value",
            without(purchase(), "custom_data.value"),
            Some(2_804_009),
        ),
        ("null value", with_value(Value::Null), Some(2_804_009)),
        (
            "no currency",
            without(purchase(), "custom_data.currency"),
            Some(2_804_010),
        ),
        ("empty currency", with_currency(json!("")), Some(2_804_010)),
        ("value as text", with_value(json!("142.52")), None),
        ("free", with_value(json!(0)), None),
        ("not a number", with_value(json!("NaN")), Some(SCHEMA)),
        ("infinite", with_value(json!("inf")), Some(SCHEMA)),
        ("words", with_value(json!("12abc")), Some(SCHEMA)),
        ("negative", with_value(json!(-0.01)), Some(SCHEMA)),
        ("lower case", with_currency(json!("brl")), None),
        ("symbol", with_currency(json!("R$")), Some(SCHEMA)),
        ("four letters", with_currency(json!("EURO")), Some(SCHEMA)),
        ("a lead needs neither", lead("1"), None),
        (
            "a lead's refund",
            with(lead("1"), "custom_data", json!({ "value": -5 })),
            None,
        ),
        (
            "a lead's currency",
            with(lead("1"), "custom_data", json!({ "currency": "R$" })),
            Some(SCHEMA),
        ),
        (
            "custom keys",
            with(lead("1"), "custom_data", json!({ "plan": "gold", "tags": ["a"] })),
            None,
        ),
    ])
    .await;
}

#[tokio::test]
async fn personal_data_must_be_hashed_with_sha256() {
    let keys = ["em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country"];
    let mut cases = Vec::new();
    for key in keys {
        let one = |value| user(json!({ "fbp": "fb.1.1558571054389.1098115397", key: value }));
        cases.extend([
            (key, one(json!(HASH)), None),
            (key, one(json!([HASH, null, ""])), None),
            (key, one(Value::Null), None),
            (key, one(json!(format!("{HASH}.AQQCAQMC"))), None),
            (key, one(json!(format!("{HASH}.BA"))), None),
            (key, one(json!("in the clear")), Some(2_804_016)),
            (key, one(json!([HASH, "in the clear"])), Some(2_804_016)),
            (key, one(json!(HASH.to_uppercase())), Some(2_804_016)),
            (key, one(json!(&HASH[..63])), Some(2_804_016)),
            (key, one(json!(format!("{HASH}.XX"))), Some(2_804_016)),
            (key, one(json!(15_559_876_543_i64)), Some(2_804_016)),
            (
                key,
                one(json!("5d41402abc4b2a76b9719d911017c592")),
                Some(2_804_016),
            ),
        ]);
    }
    cases.push((
        "external_id needs no hash",
        user(json!({ "external_id": [12345, "007"] })),
        None,
    ));
    check(cases).await;
}

#[tokio::test]
async fn md5_is_taken_only_where_it_is_allowed() {
    let event = user(json!({ "em": "5d41402abc4b2a76b9719d911017c592" }));
    let sandbox = Sandbox::start(SandboxConfig {
        accept_md5: true,
        ..config()
    })
    .await
    .unwrap();
    check_against(&sandbox, vec![("allowed", event.clone(), None)]).await;
    check(vec![("refused", event, Some(2_804_016))]).await;
}

#[tokio::test]
async fn there_must_be_enough_to_find_a_person() {
    let too_little = [
        json!({}),
        Value::Null,
        json!({ "em": [null], "ph": "" }),
        json!({ "client_user_agent": "ua" }),
        json!({ "ct": HASH, "country": HASH, "st": HASH, "zp": HASH, "ge": HASH, "client_user_agent": "ua" }),
        json!({ "db": HASH, "client_user_agent": "ua" }),
        json!({ "fn": HASH, "ge": HASH }),
        json!({ "ln": HASH, "ge": HASH }),
        json!({ "no_such_key": null }),
    ];
    let enough = [
        json!({ "em": HASH }),
        json!({ "ph": [HASH] }),
        json!({ "client_ip_address": "2001:db8::1" }),
        json!({ "fbp": "fb.1.1558571054389.1098115397" }),
        json!({ "fbc": "fb.1.1554763741205.AbCdEfGhIjKlMnOpQrStUvWxYz1234567890" }),
        json!({ "external_id": 12345 }),
        json!({ "fn": HASH, "ln": HASH }),
        json!({ "db": HASH, "ge": HASH }),
    ];
    let too_little = too_little
        .into_iter()
        .map(|user_data| ("too little", user(user_data), Some(2_804_050)));
    let enough = enough
        .into_iter()
        .map(|user_data| ("enough", user(user_data), None));
    let misshapen = [
        (
            "no user_data at all",
            without(user(json!({})), "user_data"),
            Some(SCHEMA),
        ),
        ("user_data as list", user(json!([])), Some(SCHEMA)),
        (
            "two addresses",
            user(json!({ "client_ip_address": ["1.2.3.4", "5.6.7.8"] })),
            Some(SCHEMA),
        ),
    ];
    check(too_little.chain(enough).chain(misshapen).collect()).await;
}

#[tokio::test]
async fn optional_fields_have_their_documented_shapes() {
    let set = |key: &str, value| with(lead("1"), key, value);
    let mut cases = vec![
        ("ldu", set("data_processing_options", json!(["LDU"])), None),
        ("no limit", set("data_processing_options", json!([])), None),
        (
            "ldu as text",
            set("data_processing_options", json!("LDU")),
            Some(SCHEMA),
        ),
        (
            "unknown option",
            set("data_processing_options", json!(["GDPR"])),
            Some(SCHEMA),
        ),
        (
            "country 1",
            set("data_processing_options_country", json!(1)),
            None,
        ),
        (
            "country 2",
            set("data_processing_options_country", json!(2)),
            Some(SCHEMA),
        ),
        (
            "state 1000",
            set("data_processing_options_state", json!(1000)),
            None,
        ),
        (
            "state 1014",
            set("data_processing_options_state", json!(1014)),
            Some(SCHEMA),
        ),
        ("opt_out", set("opt_out", json!(false)), None),
        ("opt_out as 0", set("opt_out", json!(0)), None),
        ("opt_out as text", set("opt_out", json!("false")), Some(SCHEMA)),
        (
            "segment",
            set("customer_segmentation", json!("new_customer_to_medium")),
            None,
        ),
        (
            "unknown segment",
            set("customer_segmentation", json!("vip")),
            Some(SCHEMA),
        ),
        (
            "unknown key",
            set("advertiser_tracking_enabled", json!(1)),
            Some(SCHEMA),
        ),
        ("not an object", json!(["event"]), Some(SCHEMA)),
    ];
    for key in [
        "custom_data",
        "app_data",
        "original_event_data",
        "attribution_data",
    ] {
        cases.push((key, set(key, Value::Null), None));
        cases.push((key, set(key, json!({})), None));
        cases.push((key, set(key, json!([1])), Some(SCHEMA)));
    }
    check(cases).await;
}

#[tokio::test]
async fn one_bad_event_costs_the_whole_request() {
    let sandbox = start().await;
    let answer = send(
        &sandbox,
        &[lead("1"), without(lead("2"), "event_time"), lead("3")],
    )
    .await;
    assert_eq!(answer.error(), Some((100, Some(SCHEMA))));
    assert_eq!(
        answer.body["error"]["message"],
        "Missing required key \"event_time\" on param \"$['data'][1]\""
    );
    let counts = sandbox.counts();
    assert_eq!((counts.received, counts.refused["100/2804019"]), (0, 1));
    assert!(sandbox.events(&EventFilter::default()).is_empty());
}

#[tokio::test]
async fn refusals_read_as_meta_was_seen_to_write_them() {
    let sandbox = start().await;
    // As captured by others, but for what names the event and the traceable id.
    let captured = [
        (
            without(purchase(), "custom_data.value"),
            2_804_009,
            "Missing Value for Purchase Event",
            "Your purchase event doesn’t include a value parameter. Enter a value. For example: 1.99",
        ),
        (
            with(lead("1"), "user_data.ct", json!("menlopark")),
            2_804_016,
            "User Parameter Not Hashed",
            "The ct parameter isn’t hashed. Hash all user parameters as SHA256, except for client user agent, \
             click ID, and browser ID. Any other user parameters that are not hashed are automatically \
             rejected by Facebook.",
        ),
    ];
    for (event, subcode, title, user_message) in captured {
        let mut body = send(&sandbox, &[event]).await.body;
        assert!(body["error"]["fbtrace_id"].as_str().unwrap().starts_with('A'));
        body["error"].as_object_mut().unwrap().remove("fbtrace_id");
        assert_eq!(
            body,
            json!({ "error": {
                "message": "Invalid parameter", "type": "OAuthException", "code": 100, "error_subcode": subcode,
                "is_transient": false, "error_user_title": title,
                "error_user_msg": format!("{user_message} (on param \"$['data'][0]\")"),
            }})
        );
    }
    let mut unknown_identifier = lead("1");
    unknown_identifier["user_data"]["click_id"] = json!("x");
    let answer = send(&sandbox, &[unknown_identifier]).await;
    // As captured by facebook-for-woocommerce#3668.
    let message = "Unexpected key \"click_id\" on param \"$['data'][0]['user_data']\"";
    assert_eq!(answer.body["error"]["message"], message);

    let unknown_key = with(lead("1"), "advertiser_tracking_enabled", json!(1));
    let answer = send(&sandbox, &[unknown_key]).await;
    let message = "Unexpected key \"advertiser_tracking_enabled\" on param \"$['data'][0]\"";
    assert_eq!(answer.body["error"]["message"], message);
}
