//! The name of an event: required, part of its key, and only a standard event when it is written as Meta
//! writes it.

use serde_json::json;

use super::*;

#[test]
fn a_near_miss_of_a_standard_event_is_warned_of_and_sent_as_it_is() {
    for (name, standard) in [
        ("purchase", "Purchase"),
        ("PURCHASE", "Purchase"),
        ("AddToWishList", "AddToWishlist"),
        ("add_to_cart", "AddToCart"),
        ("Add To Cart", "AddToCart"),
        ("page_view", "PageView"),
        ("pageview", "PageView"),
        ("Leads", "Lead"),
        ("Purchse", "Purchase"),
        ("ViewContents", "ViewContent"),
        ("InitiateChekout", "InitiateCheckout"),
        ("sign_up", "CompleteRegistration"),
        ("begin_checkout", "InitiateCheckout"),
        ("generate_lead", "Lead"),
        ("view_item", "ViewContent"),
    ] {
        let warning = format!("is not the standard event {standard}: Meta takes it for one of your own");
        let sent = assert_warned(
            &lead_with("/event_name", json!(name)),
            &[("/event_name", &warning)],
        );
        assert_eq!(sent["event_name"], name);
    }
    for own in [
        "Lead",
        "Reunião agendada",
        "Contract",
        "Leap",
        "Refund",
        "Compra",
        "QualifiedLead",
    ] {
        assert_warned(&lead_with("/event_name", json!(own)), &[]);
    }
}

#[test]
fn blanks_around_a_name_and_what_cannot_be_seen_in_it_are_taken_away() {
    let trimmed = "was sent without the blanks around it and what cannot be seen in it";
    for name in [
        " Lead",
        "Lead\u{200b}",
        "\u{feff}Lead ",
        "Le\u{ad}ad",
        "\u{202a}Lead\u{202c}",
    ] {
        let sent = assert_warned(
            &lead_with("/event_name", json!(name)),
            &[("/event_name", trimmed)],
        );
        assert_eq!(sent["event_name"], "Lead");
    }
    let purchase = changed(
        purchase_with("/custom_data", None),
        "/event_name",
        json!("Purchase "),
    );
    assert_refused(
        &purchase,
        &[
            ("/custom_data/value", "is required for a Purchase"),
            (
                "/custom_data/currency",
                "is required for a Purchase, such as \"BRL\"",
            ),
        ],
    );
}

#[test]
fn an_event_needs_a_name_and_a_placeholder_is_none() {
    for nothing in [json!(null), json!(""), json!(" "), json!("\u{200b}")] {
        let event = lead_with("/event_name", nothing);
        assert_refused(
            &event,
            &[("/event_name", "is required, such as \"Lead\" or \"Purchase\"")],
        );
    }
    for word in ["undefined", "null", "{{Event Name}}", "[object Object]"] {
        assert_refused(
            &lead_with("/event_name", json!(word)),
            &[("/event_name", "is a placeholder that nobody filled in")],
        );
    }
}

#[test]
fn a_chat_takes_only_the_names_that_meta_takes_there() {
    let chat = |name: &str| {
        json!({
            "event_name": name, "event_time": NOW, "event_id": "1", "action_source": "business_messaging",
            "messaging_channel": "whatsapp", "user_data": {"page_id": "1", "ctwa_clid": "c"},
        })
    };
    for name in ["LeadSubmitted", "ViewContent", "OrderShipped"] {
        assert_warned(&chat(name), &[]);
    }
    let not_taken = "is not taken from business_messaging; Meta takes Purchase, LeadSubmitted, \
                     InitiateCheckout, AddToCart, ViewContent, OrderCreated, OrderShipped, OrderDelivered, OrderCanceled, \
                     OrderReturned, CartAbandoned, QualifiedLead, RatingProvided, ReviewProvided";
    assert_refused(&chat("Lead"), &[("/event_name", not_taken)]);
    assert_refused(&chat("Reunião"), &[("/event_name", not_taken)]);
}
