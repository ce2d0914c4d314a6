//! Meta's own published sample requests must pass, whatever the rules say.
//!
//! Copied from developers.facebook.com, documentation/ads-commerce/conversions-api: using-the-api (1 to 6),
//! app-events (7, 8), business-messaging (9 to 11) and offline-events (12). Placeholders such as `<EMAIL>`
//! are filled in.

use rastro_sandbox::{Sandbox, SandboxClock, SandboxConfig};
use serde_json::{Value, json};

use crate::support::{answer, client};

const EM: &str = "309a0a5c3e211326ae75ca18196d301a9bdbd1a882a4d2569511033da23f0abd";
const PH: [&str; 2] = [
    "254aa248acb47dd654ca3ea53f48c2c26d641d23d7e2e93a1ec56258df7674c4",
    "6f4fcb9deaeadc8f9746ae76d97ce1239e98b404efe5da3ee0b7149740f89ad6",
];
const EXTINFO: [&str; 16] = [
    "a2",
    "com.some.app",
    "771",
    "Version 7.7.1",
    "10.1.1",
    "OnePlus6",
    "en_US",
    "GMT-1",
    "TMobile",
    "1920",
    "1080",
    "2.00",
    "2",
    "128",
    "8",
    "USA/New York",
];

/// Each with the time it says it happened.
fn samples() -> Vec<(i64, Value)> {
    let limited_data_use = |options: Value| {
        let mut event = json!({
            "event_name": "Purchase", "event_time": 1_762_902_353,
            "user_data": { "em": EM, "client_ip_address": "256.256.256.256" },
            "custom_data": { "currency": "USD", "value": "12.00" },
        });
        event
            .as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        json!({ "data": [event] })
    };
    let message = |channel: &str, user_data: Value| {
        json!({
            "data": [{
                "event_name": "Purchase", "event_time": 1_675_999_999, "action_source": "business_messaging",
                "messaging_channel": channel, "user_data": user_data, "custom_data": { "currency": "USD", "value": 123 },
            }],
            "partner_agent": "PARTNER_NAME",
        })
    };
    let app_data = json!({
        "advertiser_tracking_enabled": 1, "application_tracking_enabled": 1, "campaign_ids": "abcd1234", "extinfo": EXTINFO,
    });
    vec![
        (
            1_762_902_353,
            json!({ "data": [{
                "event_name": "Purchase", "event_time": 1_762_902_353,
                "user_data": {
                    "em": [EM], "ph": PH, "client_ip_address": "123.123.123.123", "client_user_agent": "$CLIENT_USER_AGENT",
                    "fbc": "fb.1.1554763741205.AbCdEfGhIjKlMnOpQrStUvWxYz1234567890", "fbp": "fb.1.1558571054389.1098115397",
                },
                "custom_data": {
                    "currency": "usd", "value": 123.45,
                    "contents": [{ "id": "product123", "quantity": 1, "delivery_category": "home_delivery" }],
                },
                "event_source_url": "http://jaspers-market.com/product/123", "action_source": "website",
            }]}),
        ),
        (
            1_633_552_688,
            json!({ "data": [
                {
                    "event_name": "Purchase", "event_time": 1_633_552_688, "event_id": "event.id.123",
                    "event_source_url": "http://jaspers-market.com/product/123", "action_source": "website",
                    "user_data": {
                        "client_ip_address": "192.19.9.9", "client_user_agent": "test ua", "em": [EM], "ph": PH,
                        "fbc": "fb.1.1554763741205.AbCdEfGhIjKlMnOpQrStUvWxYz1234567890", "fbp": "fb.1.1558571054389.1098115397",
                    },
                    "custom_data": { "value": 100.2, "currency": "USD", "content_ids": ["product.id.123"], "content_type": "product" },
                    "opt_out": false,
                },
                {
                    "event_name": "Purchase", "event_time": 1_633_552_688,
                    "user_data": { "client_ip_address": "192.88.9.9", "client_user_agent": "test ua2" },
                    "custom_data": { "value": 50.5, "currency": "USD" }, "opt_out": false,
                },
            ]}),
        ),
        (
            1_764_975_551,
            json!({
                "data": [{
                    "event_name": "ViewContent", "event_time": 1_764_975_551, "event_id": "event.id.123",
                    "event_source_url": "http://jaspers-market.com",
                    "user_data": { "client_ip_address": "1.2.3.4", "client_user_agent": "test user agent" },
                }],
                "test_event_code": "TEST123",
            }),
        ),
        (
            1_762_902_353,
            limited_data_use(json!({ "data_processing_options": [] })),
        ),
        (
            1_762_902_353,
            limited_data_use(json!({
                "data_processing_options": ["LDU"], "data_processing_options_country": 0, "data_processing_options_state": 0,
            })),
        ),
        (
            1_762_902_353,
            limited_data_use(json!({
                "data_processing_options": ["LDU"], "data_processing_options_country": 1, "data_processing_options_state": 1000,
            })),
        ),
        (
            1_684_389_752,
            json!({ "data": [{
                "event_name": "Purchase", "event_time": 1_684_389_752, "action_source": "app",
                "user_data": {
                    "client_ip_address": "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
                    "em": ["30a79640dfd8293d4f4965ec11821f640ca77979ca0a6b365f06372f81a3f602"],
                    "ph": [
                        "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
                        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    ],
                    "madid": "38400000-8cf0-11bd-b23e-10b96e40000d", "anon_id": "12345340-1234-3456-1234-123456789012",
                },
                "custom_data": { "currency": "USD", "value": "142.52" }, "app_data": app_data,
            }]}),
        ),
        (
            1_684_389_252,
            json!({ "data": [{
                "event_name": "MobileAppInstall", "event_time": 1_684_389_252, "action_source": "app",
                "user_data": {
                    "client_ip_address": "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
                    "madid": "38400000-8cf0-11bd-b23e-10b96e40000d", "anon_id": "12345340-1234-3456-1234-123456789012",
                },
                "app_data": { "advertiser_tracking_enabled": 1, "application_tracking_enabled": 1, "extinfo": EXTINFO },
            }]}),
        ),
        (
            1_675_999_999,
            message(
                "messenger",
                json!({ "page_id": 1_234, "page_scoped_user_id": 5_678 }),
            ),
        ),
        (
            1_675_999_999,
            message(
                "whatsapp",
                json!({
                    "whatsapp_business_account_id": 1_234,
                    "ctwa_clid": "ARAkLkA8rmlFeiCktEJQ-QTwRiyYHAFDLMNDBH0CD3qpjd0HR4irJ6LEkR7JwFF4XvnO2E4Nx0-eM-GABDLOPaOdRMv-_zfUQ2a",
                }),
            ),
        ),
        (
            1_675_999_999,
            message(
                "instagram",
                json!({ "instagram_business_account_id": 1_234, "ig_sid": 5_678 }),
            ),
        ),
        (
            1_674_000_041,
            json!({ "data": [{
                "event_name": "Purchase", "event_time": 1_674_000_041, "user_data": { "em": [EM], "ph": PH },
                "custom_data": { "currency": "usd", "value": 123.45, "contents": [{ "id": "product123", "quantity": 1 }] },
                "action_source": "physical_store",
            }]}),
        ),
    ]
}

#[tokio::test]
async fn every_published_sample_request_is_accepted() {
    // The offset is the whole time: each sample is sent an hour after it happened.
    let config = SandboxConfig {
        clock: SandboxClock::from_fn(|| 0),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config.with_token("111", "TOK")).await.unwrap();
    let url = format!("{}/v25.0/111/events?access_token=TOK", sandbox.url());
    for (number, (event_time, body)) in (1..).zip(samples()) {
        sandbox.clock().set_offset_seconds(event_time + 3_600);
        let answer = answer(client().post(&url).json(&body)).await;
        assert_eq!(
            answer.body["events_received"],
            body["data"].as_array().unwrap().len(),
            "{number}: {}",
            answer.body
        );
    }
    assert_eq!(sandbox.counts().received, 13);
}
