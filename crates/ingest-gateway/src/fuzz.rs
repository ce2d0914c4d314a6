//! Bodies, queries and headers as strangers might send them.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use rastro_core::json::{Json, without_half_characters};
use rastro_fuzz::fuzz;
use rastro_store::ApiKeyKind;
use secrecy::SecretString;
use sha2::Sha256;

use crate::webhook_signature::{Signed, verify};
use crate::wire::graph::{Encoding, Parameters, event};
use crate::wire::webhook::{Notification, WebhookQuery};
use crate::wire::{Body, Submission};

const EVENT: &str = r#"{"event_name":"Lead","event_time":1700000000,"action_source":"chat","user_data":{"em":"ana@example.com"}}"#;

/// How an answer of Meta's edge is told from another, without what it quotes.
fn taken(parameters: &mut Parameters<'_>) -> String {
    let mut text = Cow::Borrowed("");
    match parameters.elements(&mut text) {
        Err(_) => "no list".to_owned(),
        Ok(mut elements) => {
            assert!((1..=1_000).contains(&elements.len()));
            let events = elements.iter_mut().map(|element| event(element).is_ok());
            let good = events.filter(|is_event| *is_event).count();
            format!("{} of {}", good.min(3), elements.len().min(3))
        }
    }
}

#[test]
fn fuzzed_bodies_of_metas_edge_are_read_alike_in_each_encoding() {
    let objects = format!(
        r#"{{"data":[{EVENT},{EVENT}],"access_token":"sk_1","test_event_code":"TEST1","partner_agent":null}}"#
    );
    let texts = serde_json::json!({ "data": [EVENT], "access_token": "sk_1" }).to_string();
    let one = serde_json::json!({ "data": format!("[{EVENT}]"), "upload_id": 7 }).to_string();
    let seeds = [objects.as_bytes(), texts.as_bytes(), one.as_bytes()];
    let words = [
        "data",
        "access_token",
        "accessKey",
        "test_event_code",
        "\\ud800",
        "2026-11-28T10:00:00-03:00",
        "event_time",
    ];
    fuzz(&seeds, &words, |input| {
        let mended = without_half_characters(input);
        let mut parameters = Parameters::default();
        if parameters
            .add_body(Encoding::Json, "application/json", &mended)
            .is_err()
        {
            return "no object".to_owned();
        }
        let (keys, code) = (parameters.keys.clone(), parameters.test_event_code.clone());
        let said = taken(&mut parameters);

        // The same as a form and in parts, where each value is a text.
        let Ok(Json::Object(fields)) = Json::parse(&mended) else {
            return said;
        };
        let is_text = |value: &Json<'_>| matches!(value, Json::String(_) | Json::Array(_) | Json::Object(_));
        if !fields.iter().all(|(_, value)| is_text(value)) {
            return said;
        }
        let written = |value: &Json<'_>| match value {
            Json::String(text) => text.to_string(),
            value => serde_json::to_string(value).expect("JSON can be written"),
        };
        let pairs: Vec<(String, String)> = fields
            .iter()
            .map(|(name, value)| (name.to_string(), written(value)))
            .collect();
        // Only texts are the same in all three: a key that is a list opens nothing as JSON, and is a text in
        // a form.
        let plain = |name: &str| {
            fields
                .iter()
                .filter(|(known, _)| known == name)
                .all(|(_, value)| matches!(value, Json::String(_)))
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&pairs)
            .finish();
        let mut by_form = Parameters::default();
        by_form
            .add_body(
                Encoding::Form,
                "application/x-www-form-urlencoded",
                form.as_bytes(),
            )
            .expect("a form is read");
        if plain("access_token") && plain("accessKey") {
            assert_eq!(by_form.keys, keys);
        }
        if plain("test_event_code") {
            assert_eq!(by_form.test_event_code, code);
        }
        assert_eq!(taken(&mut by_form), said, "{form}");
        said
    });
}

#[test]
fn fuzzed_parts_and_forms_are_read_or_refused() {
    let parts = format!(
        "--b\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n[{EVENT}]\r\n--b\r\nContent-Disposition: form-data; \
         name=\"access_token\"\r\nContent-Type: text/plain\r\n\r\nsk_1\r\n--b--\r\n"
    );
    let form = "data=%5B%7B%22event_name%22%3A%22Lead%22%7D%5D&access_token=sk_1&test_event_code=T";
    let words = [
        "--b",
        "--b--",
        "\r\n",
        "name=\"",
        "Content-Disposition: form-data; ",
        "data",
        "access_token",
        "\"",
        ";",
        "%5B",
        "=",
    ];
    fuzz(&[parts.as_bytes(), form.as_bytes()], &words, |input| {
        let mut by_form = Parameters::default();
        assert!(
            by_form.add_body(Encoding::Form, "", input).is_ok(),
            "any bytes are a form"
        );
        let mut said = taken(&mut by_form);
        for content_type in [
            "multipart/form-data; boundary=b",
            "multipart/form-data; boundary=\"b\"",
            "multipart/form-data",
        ] {
            let mut by_parts = Parameters::default();
            said += match by_parts.add_body(Encoding::Multipart, content_type, input) {
                Ok(()) => "; parts ",
                Err(_) => "; no parts ",
            };
            said += &taken(&mut by_parts);
        }
        said
    });
}

#[test]
fn fuzzed_submissions_keep_their_order_and_their_number() {
    let one = EVENT.to_owned();
    let batch = format!(
        r#"{{"sent_at":1700000000000,"sdk":"browser/0.1.0","consent":{{"ad_storage":"granted","ad_user_data":"denied","at":1}},
        "attribution":{{"first":{{"utm_source":"ig","landing":"/","at":1}}}},"idempotency_key":"k","test_event_code":"T",
        "events":[{EVENT},{{"event":{EVENT}}},7,null]}}"#
    );
    let words = [
        "events",
        "sent_at",
        "consent",
        "ad_storage",
        "granted",
        "denied",
        "attribution",
        "first",
        "last",
        "idempotency_key",
    ];
    fuzz(&[one.as_bytes(), batch.as_bytes()], &words, |input| {
        let text = without_half_characters(input);
        let other: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
        let mut said = String::new();
        for kind in [ApiKeyKind::Secret, ApiKeyKind::Publishable] {
            match Body::parse(&text, kind, 1_700_000_000_000) {
                Err(_) => said += "refused ",
                Ok(body) => match body.submission {
                    Submission::One(_) => said += "one ",
                    Submission::Batch(items) => {
                        assert!(items.len() <= 1_000);
                        if let Some(list) = other.as_ref().and_then(|other| other["events"].as_array()) {
                            assert_eq!(items.len(), list.len());
                        }
                        let good = items.iter().filter(|item| item.event.is_ok()).count();
                        said += &format!("{} of {} ", good.min(3), items.len().min(3));
                    }
                },
            }
        }
        said
    });
}

#[test]
fn fuzzed_notifications_point_at_what_can_be_stored_and_only_the_secret_signs_them() {
    let seeds: [&[u8]; 5] = [
        br#"{"action":"payment.updated","api_version":"v1","data":{"id":"123456"},"date_created":"2026-11-01T02:02:02Z","id":7,
            "live_mode":true,"type":"payment","user_id":1}"#,
        br#"{"resource":"https://api.mercadolibre.com/merchant_orders/99","topic":"merchant_order"}"#,
        br#"{"type":"stop_delivery_op_wh","data":{"payment_id":5},"actions":["a"],"id":"x"}"#,
        b"data.id=123456&type=payment",
        b"ts=1700000000,v1=0000000000000000000000000000000000000000000000000000000000000000",
    ];
    let words = [
        "data",
        "data.id",
        "id",
        "type",
        "topic",
        "resource",
        "payment",
        "chargebacks",
        "ORD01JQ4S4KY8HWQ6NA5PXB65B3D3",
        "ts=",
        "v1=",
        "&",
    ];
    let secrets = [SecretString::from("a secret of the account")];
    fuzz(&seeds, &words, |input| {
        let text = String::from_utf8_lossy(input);
        let query = WebhookQuery::read(&text);
        let mut said = String::new();
        for query in [&query, &WebhookQuery::default()] {
            let read = Notification::read(query, input, Some("rid"));
            assert_eq!(
                read,
                Notification::read(query, input, Some("rid")),
                "the same twice is the same delivery"
            );
            assert!(read.resource_id.len() <= 100);
            if read.is_plausible() {
                assert!(read.resource_id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            }
            said += &format!(
                "{:?} {} {}; ",
                read.topic,
                read.resource_id.is_empty(),
                read.is_plausible()
            );
        }
        // Nobody makes a signature up; the secret's own is one, whatever the id.
        let made_up = Signed {
            header: Some(&text),
            request_id: Some("rid"),
            data_id: query.data_id.as_deref(),
        };
        let refused = verify(&made_up, &secrets, 1_700_000_000_000, None).expect_err("no secret signed this");
        said += refused.reason();
        let id = text.trim().to_ascii_lowercase();
        let manifest = match id.is_empty() {
            true => "request-id:rid;ts:1700000000;".to_owned(),
            false => format!("id:{id};request-id:rid;ts:1700000000;"),
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a secret of the account").expect("any length");
        mac.update(manifest.as_bytes());
        let hash: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let header = format!("ts=1700000000,v1={hash}");
        let signed = Signed {
            header: Some(&header),
            request_id: Some("rid"),
            data_id: Some(&text),
        };
        assert_eq!(
            verify(&signed, &secrets, 1_700_000_000_000, None),
            Ok(()),
            "{manifest:?}"
        );
        said
    });
}
