//! What makes two events one: the id that came, or the one that is made of what came and of who sent it.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::*;

const LEFT_OUT: &str =
    "was left out: it is a placeholder that nobody filled in; the event got an id made of its content";

#[track_caller]
fn id_of(event: &Value, visitor: Visitor<'static>) -> String {
    let by = Intake { visitor, ..intake() };
    sent_under(event, &by)["event_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_placeholder_is_no_id_and_two_buyers_with_the_same_one_are_two() {
    for word in [
        "undefined",
        "null",
        "NULL",
        "None",
        "nan",
        "NaN",
        "n/a",
        "(not set)",
        "not_set",
        "(null)",
        "nil",
        "unknown",
        "true",
        "false",
        "0",
        "[object Object]",
        "[object HTMLInputElement]",
        "{{Event ID}}",
        "{{ order.id }}",
        "pedido-{{order_id}}",
        "${id}",
        "order-${order.id}",
        "<%= order.id %>",
        "%%order_id%%",
        "%ORDER_ID%",
        "{order_id}",
        "[order_id]",
        "<event_id>",
        "*|ORDER_ID|*",
        "order-undefined",
        "purchase_null",
        "undefined_undefined",
        "lead.NaN",
        " undefined ",
        "#N/A",
        "00000000-0000-0000-0000-000000000000",
    ] {
        let event = lead_with("/event_id", json!(word));
        let sent = assert_warned(&event, &[("/event_id", LEFT_OUT)]);
        let other = changed(event, "/user_data/em", json!("bia@example.com"));
        let other = assert_warned(&other, &[("/event_id", LEFT_OUT)]);
        assert!(sent["event_id"].as_str().unwrap().starts_with("auto-"), "{word}");
        assert_ne!(sent["event_id"], other["event_id"], "{word}");
    }
}

#[test]
fn what_only_resembles_a_placeholder_is_an_id() {
    for id in [
        "undefined-1700000000123",
        "null1",
        "order_null_77",
        "NaN-42",
        "nullable",
        "10",
        "-",
        "{3F2504E0-4F89-41D3-9A0C-0305E82C3301}",
        "[7]",
        "50%",
        "$1042",
        "00000000-0000-0000-0000-000000000001",
        "true-blue",
        "unknown-caller",
    ] {
        assert_eq!(
            assert_warned(&lead_with("/event_id", json!(id)), &[])["event_id"],
            id
        );
    }
}

#[test]
fn an_id_that_cannot_be_one_is_left_out_and_the_event_is_kept() {
    for (id, why) in [
        (json!(true), "it must be a string, not a boolean"),
        (json!(-1), "it must be a string, not a number"),
        (json!(1.5), "it must be a string, not a number"),
        (json!([1]), "it must be a string, not a list"),
        (json!("a".repeat(256)), "it is longer than 255 bytes"),
        (json!("a\nb"), "it has control characters"),
        (
            json!("lead-ana@example.com"),
            "it holds personal data, and would be stored and sent as it is",
        ),
        (
            json!("123.456.789-09"),
            "it holds personal data, and would be stored and sent as it is",
        ),
        (
            json!("caf\u{fffd}-1"),
            "it has characters that were lost (U+FFFD)",
        ),
    ] {
        let why = format!("was left out: {why}; the event got an id made of its content");
        let sent = assert_warned(&lead_with("/event_id", id), &[("/event_id", &why)]);
        assert!(sent["event_id"].as_str().unwrap().starts_with("auto-"));
    }
    for nothing in [json!(null), json!(""), json!("  ")] {
        let sent = assert_warned(&lead_with("/event_id", nothing), &[]);
        assert!(sent["event_id"].as_str().unwrap().starts_with("auto-"));
    }
}

#[test]
fn two_visitors_who_do_the_same_in_one_second_are_two_events() {
    let page_view = json!({
        "event_name": "PageView", "event_time": NOW, "action_source": "website",
        "event_source_url": "https://loja.example/black-friday", "user_data": {},
    });
    let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let someone = Visitor {
        ip: ip("203.0.113.9"),
        user_agent: Some("Mozilla/5.0 (Android 14)"),
        ..Visitor::default()
    };
    let cookie = |fbp| Visitor {
        fbp: Some(fbp),
        ..someone
    };
    let first = cookie("fb.1.1596403881668.1111111111");
    let second = cookie("fb.1.1596403881668.2222222222");
    assert_ne!(id_of(&page_view, first), id_of(&page_view, second));
    assert_ne!(id_of(&page_view, first), id_of(&page_view, someone));
    // The same browser is the same one wherever it is: a phone changes its address between two tries.
    let moved = Visitor {
        ip: ip("198.51.100.7"),
        ..first
    };
    assert_eq!(id_of(&page_view, first), id_of(&page_view, moved));
    // Without cookies the address and the browser are all that is known.
    for other in [
        Visitor {
            ip: ip("198.51.100.7"),
            ..someone
        },
        Visitor {
            user_agent: Some("Mozilla/5.0 (iPhone)"),
            ..someone
        },
        Visitor {
            fbc: Some("fb.1.1596403881668.Click"),
            ..someone
        },
    ] {
        assert_ne!(id_of(&page_view, someone), id_of(&page_view, other));
    }
    // A cookie that holds nothing tells nobody apart.
    let broken = cookie("fb.1.1596403881668.undefined");
    assert_eq!(id_of(&page_view, broken), id_of(&page_view, someone));
    assert_eq!(id_of(&page_view, first), id_of(&page_view, first));
}
