//! What each `action_source` demands.

use serde_json::{Value, json};

use crate::support::{SCHEMA, check, lead, user, with, without};

fn app() -> Value {
    let extinfo = [
        "i2", "", "", "", "13.4.1", "", "", "", "", "", "", "", "", "", "", "",
    ];
    let app_data = json!({ "advertiser_tracking_enabled": 1, "extinfo": extinfo });
    with(
        with(lead("a"), "action_source", json!("app")),
        "app_data",
        app_data,
    )
}

fn message(channel: &str, user_data: Value) -> Value {
    let event = with(user(user_data), "action_source", json!("business_messaging"));
    with(
        with(event, "event_name", json!("LeadSubmitted")),
        "messaging_channel",
        json!(channel),
    )
}

#[tokio::test]
async fn a_website_event_says_where_and_with_what_it_happened() {
    let without_agent = without(lead("1"), "user_data.client_user_agent");
    let with_url = |url: &str| with(lead("1"), "event_source_url", json!(url));
    check(vec![
        ("no url", without(lead("1"), "event_source_url"), Some(SCHEMA)),
        ("no user agent", without_agent.clone(), Some(SCHEMA)),
        ("relative url", with_url("/thanks"), Some(SCHEMA)),
        ("http", with_url("http://shop.example/"), None),
        (
            "no source named",
            without(without_agent.clone(), "action_source"),
            None,
        ),
        (
            "by e-mail",
            with(without_agent.clone(), "action_source", json!("email")),
            None,
        ),
        (
            "unknown source",
            with(lead("1"), "action_source", json!("web")),
            Some(SCHEMA),
        ),
        (
            "source in capitals",
            with(lead("1"), "action_source", json!("Website")),
            Some(SCHEMA),
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_app_event_describes_the_device() {
    let with_extinfo = |extinfo| with(app(), "app_data.extinfo", extinfo);
    check(vec![
        ("complete", app(), None),
        ("no app data", without(app(), "app_data"), Some(SCHEMA)),
        (
            "no tracking flag",
            without(app(), "app_data.advertiser_tracking_enabled"),
            Some(SCHEMA),
        ),
        (
            "tracking flag 2",
            with(app(), "app_data.advertiser_tracking_enabled", json!(2)),
            Some(SCHEMA),
        ),
        (
            "tracking flag false",
            with(app(), "app_data.advertiser_tracking_enabled", json!(false)),
            None,
        ),
        ("no extinfo", without(app(), "app_data.extinfo"), Some(SCHEMA)),
        (
            "short extinfo",
            with_extinfo(json!(["i2", "", "", "", "13"])),
            Some(SCHEMA),
        ),
        (
            "extinfo of neither system",
            with(app(), "app_data.extinfo", json!(vec!["x9"; 16])),
            Some(SCHEMA),
        ),
        (
            "extinfo without OS version",
            with_extinfo(json!([
                "i2", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""
            ])),
            Some(SCHEMA),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_message_event_names_its_channel_and_the_people_in_it() {
    let whatsapp = || {
        message(
            "whatsapp",
            json!({ "whatsapp_business_account_id": "1", "ctwa_clid": "c" }),
        )
    };
    check(vec![
        (
            "messenger",
            message("messenger", json!({ "page_id": 1, "page_scoped_user_id": 2 })),
            None,
        ),
        (
            "messenger without page",
            message("messenger", json!({ "page_scoped_user_id": 2 })),
            Some(SCHEMA),
        ),
        (
            "messenger without person",
            message("messenger", json!({ "page_id": 1 })),
            Some(SCHEMA),
        ),
        ("whatsapp", whatsapp(), None),
        (
            "whatsapp by page",
            message("whatsapp", json!({ "page_id": "1", "ctwa_clid": "c" })),
            None,
        ),
        (
            "whatsapp without account",
            message("whatsapp", json!({ "ctwa_clid": "c" })),
            Some(2_804_116),
        ),
        (
            "whatsapp without click",
            message("whatsapp", json!({ "page_id": "1" })),
            Some(SCHEMA),
        ),
        (
            "instagram",
            message("instagram", json!({ "ig_account_id": "1", "ig_sid": "2" })),
            None,
        ),
        (
            "instagram without account",
            message("instagram", json!({ "ig_sid": "2" })),
            Some(SCHEMA),
        ),
        (
            "no channel",
            without(whatsapp(), "messaging_channel"),
            Some(SCHEMA),
        ),
        (
            "unknown channel",
            with(whatsapp(), "messaging_channel", json!("telegram")),
            Some(SCHEMA),
        ),
        (
            "Lead is not for messages",
            with(whatsapp(), "event_name", json!("Lead")),
            Some(2_804_066),
        ),
    ])
    .await;
}
