//! The rules between fields: what each place of action needs, and the objects that are passed on.

use serde_json::{Value, json};

use super::*;

const KINDS: [&str; 9] = [
    "website",
    "app",
    "physical_store",
    "business_messaging",
    "email",
    "phone_call",
    "chat",
    "system_generated",
    "other",
];

#[test]
fn only_websites_apps_and_chats_need_more_than_a_person() {
    for source in KINDS {
        let event = json!({
            "event_name": "Lead", "event_time": NOW, "action_source": source, "user_data": {"em": "ana@example.com"},
        });
        match source {
            "website" => assert_refused(
                &event,
                &[
                    ("/event_source_url", "is required for website events"),
                    ("/user_data/client_user_agent", "is required for website events"),
                ],
            ),
            "app" => assert_refused(&event, &[("/app_data", "is required for app events")]),
            "business_messaging" => {
                assert_refused(
                    &event,
                    &[(
                        "/messaging_channel",
                        "must be one of whatsapp, messenger, instagram",
                    )],
                );
            }
            _ => assert_eq!(sent(&event)["action_source"], source),
        }
    }
}

#[test]
fn an_app_event_needs_the_tracking_flag_and_sixteen_facts_about_the_device() {
    let extinfo = json!([
        "i2",
        "br.com.loja",
        "1.0",
        "1.0.3",
        "17.1",
        "iPhone15,2",
        "pt_BR",
        "BRT",
        "",
        1170,
        2532,
        3,
        6,
        128,
        40,
        ""
    ]);
    let app = |app_data: Value| changed(lead_with("/action_source", json!("app")), "/app_data", app_data);
    let complete = json!({"advertiser_tracking_enabled": 1, "extinfo": extinfo, "vendor_id": null});
    assert_eq!(
        sent(&app(complete.clone()))["app_data"],
        json!({"advertiser_tracking_enabled": 1, "extinfo": extinfo})
    );
    assert_eq!(
        sent(&app(changed(
            complete.clone(),
            "/advertiser_tracking_enabled",
            json!(false)
        )))["app_data"]["advertiser_tracking_enabled"],
        false
    );

    let flag = "is required for app events: 0 or 1";
    for (pointer, value, detail) in [
        ("/advertiser_tracking_enabled", None, flag),
        ("/advertiser_tracking_enabled", Some(json!(2)), "must be 0 or 1"),
        (
            "/advertiser_tracking_enabled",
            Some(json!("yes")),
            "must be 0 or 1",
        ),
    ] {
        assert_refused(
            &app(changed(complete.clone(), pointer, value)),
            &[(&format!("/app_data{pointer}"), detail)],
        );
    }
    let wrong =
        "is required for app events: 16 strings, the first \"a2\" or \"i2\", the fifth the system's version";
    let mut short = extinfo.as_array().unwrap().clone();
    short.pop();
    let replaced = |index: usize, part: Value| {
        let mut parts = extinfo.as_array().unwrap().clone();
        parts[index] = part;
        Value::Array(parts)
    };
    for extinfo in [
        None,
        Some(json!("i2")),
        Some(json!(short)),
        Some(replaced(0, json!("w2"))),
        Some(replaced(4, json!(""))),
        Some(replaced(8, Value::Null)),
    ] {
        assert_refused(
            &app(changed(complete.clone(), "/extinfo", extinfo)),
            &[("/app_data/extinfo", wrong)],
        );
    }
    assert_refused(
        &app(json!({"url_schemes": []})),
        &[
            ("/app_data/advertiser_tracking_enabled", flag),
            ("/app_data/extinfo", wrong),
        ],
    );
}

#[test]
fn each_messaging_channel_needs_its_own_ids() {
    let required = "is required for this messaging channel";
    let account = (
        "/user_data/whatsapp_business_account_id",
        "or page_id is required for whatsapp events",
    );
    for (channel, ids, missing) in [
        (
            "messenger",
            json!({"page_id": "1", "page_scoped_user_id": 2}),
            vec![],
        ),
        (
            "messenger",
            json!({"page_id": "1"}),
            vec![("/user_data/page_scoped_user_id", required)],
        ),
        (
            "messenger",
            json!({"page_scoped_user_id": "1"}),
            vec![("/user_data/page_id", required)],
        ),
        ("instagram", json!({"ig_account_id": "1", "ig_sid": "2"}), vec![]),
        (
            "instagram",
            json!({"ig_sid": "2"}),
            vec![("/user_data/ig_account_id", required)],
        ),
        (
            "instagram",
            json!({"ig_account_id": "1"}),
            vec![("/user_data/ig_sid", required)],
        ),
        (
            "whatsapp",
            json!({"whatsapp_business_account_id": "1", "ctwa_clid": "c"}),
            vec![],
        ),
        ("whatsapp", json!({"page_id": "1", "ctwa_clid": "c"}), vec![]),
        ("whatsapp", json!({"ctwa_clid": "c"}), vec![account]),
        (
            "whatsapp",
            json!({"em": "ana@example.com"}),
            vec![account, ("/user_data/ctwa_clid", required)],
        ),
    ] {
        let event = json!({
            "event_name": "LeadSubmitted", "event_time": NOW, "action_source": "business_messaging",
            "messaging_channel": channel, "user_data": ids,
        });
        match &missing[..] {
            [] => assert_eq!(sent(&event)["messaging_channel"], channel),
            missing => assert_refused(&event, missing),
        }
    }
}

#[test]
fn limited_data_use_is_passed_on_with_a_country_and_a_state_that_meta_knows() {
    let ldu = |country: Value, state: Value| {
        let event = lead_with("/data_processing_options", json!(["LDU"]));
        changed(
            changed(event, "/data_processing_options_country", country),
            "/data_processing_options_state",
            state,
        )
    };
    for (country, state) in [
        (json!(0), json!(0)),
        (json!(1), json!(1000)),
        (json!(1), json!(1013)),
        (json!(1), Value::Null),
    ] {
        let sent = sent(&ldu(country.clone(), state.clone()));
        assert_eq!(sent["data_processing_options"], json!(["LDU"]));
        assert_eq!(
            (
                &sent["data_processing_options_country"],
                &sent["data_processing_options_state"]
            ),
            (&country, &state)
        );
    }
    assert_eq!(
        sent(&lead_with("/data_processing_options", json!([])))["data_processing_options"],
        json!([])
    );
}

#[test]
fn an_earlier_event_is_referred_to_by_four_fields() {
    let original = |data: Value| lead_with("/original_event_data", data);
    let complete = json!({"event_name": "Lead", "event_time": 1, "order_id": 7, "event_id": "x"});
    assert_eq!(sent(&original(complete.clone()))["original_event_data"], complete);
    let sent = assert_warned(
        &original(
            json!({"event_name": [], "event_time": "x", "order_id": 1.5, "event_id": false, "value": 1}),
        ),
        &[
            (
                "/original_event_data/event_name",
                "was left out: it must be a string, not a list",
            ),
            (
                "/original_event_data/event_time",
                "was left out: it must be a whole number of seconds since 1970",
            ),
            (
                "/original_event_data/order_id",
                "was left out: it must be a string, not a number",
            ),
            (
                "/original_event_data/event_id",
                "was left out: it must be a string, not a boolean",
            ),
            (
                "/original_event_data/value",
                "was left out: it is not a field of original_event_data",
            ),
        ],
    );
    assert_eq!(sent.get("original_event_data"), None);
}

#[test]
fn an_attribution_says_which_ad_when_and_for_how_much() {
    let attribution = |data: Value| {
        changed(
            lead_with("/event_name", json!("AppendAttribution")),
            "/attribution_data",
            data,
        )
    };
    for share in [json!(0), json!(0.4), json!(1), json!(1.0)] {
        let data =
            json!({"ad_id": "1", "touchpoint_ts": NOW, "attribution_share": share, "attribution_value": 4});
        assert_eq!(sent(&attribution(data.clone()))["attribution_data"], data);
    }
    let share = (
        "/attribution_data/attribution_share",
        "must be a number from 0 to 1",
    );
    for wrong in [json!(-0.1), json!(1.1), json!(2), json!("1")] {
        let data =
            json!({"ad_id": "1", "touchpoint_ts": NOW, "attribution_share": wrong, "attribution_value": 4});
        assert_refused(&attribution(data.clone()), &[share]);
        let left_out = format!("was left out: it {}", share.1);
        assert_warned(&lead_with("/attribution_data", data), &[(share.0, &left_out)]);
    }
    let required = "is required for AppendAttribution";
    assert_refused(
        &attribution(json!({"ad_id": "1"})),
        &[
            ("/attribution_data/touchpoint_ts", required),
            ("/attribution_data/attribution_share", required),
            ("/attribution_data/attribution_value", required),
        ],
    );
}
