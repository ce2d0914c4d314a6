//! Bodies as real clients write them: captured from the official SDKs on loopback, with the times moved to
//! `NOW`.

use rastro_sandbox::{Encoding, EventFilter, ReceivedEvent, Sandbox};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::{Answer, DATASET, NOW, answer, client, lead, send, start};

const FORM: &str = "application/x-www-form-urlencoded";
const HASH: &str = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";

async fn post(sandbox: &Sandbox, path: &str, content_type: &str, body: String) -> Answer {
    let url = format!("{}/{path}", sandbox.url());
    answer(client().post(url).header(CONTENT_TYPE, content_type).body(body)).await
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

fn only_event(sandbox: &Sandbox) -> ReceivedEvent {
    let mut events = sandbox.events(&EventFilter::default());
    assert_eq!(events.len(), 1);
    events.remove(0)
}

/// As the Python SDK writes an event: with blanks, and non-ASCII escaped.
fn python_event() -> String {
    format!(
        r#"{{"event_name": "Purchase", "event_time": {NOW}, "event_id": "py-1", "user_data": {{"em": ["{HASH}"], "fn": [null]}}, "custom_data": {{"currency": "brl", "value": 12.5, "content_name": "Caf\u00e9"}}, "opt_out": false}}"#
    )
}

#[tokio::test]
async fn python_posts_a_form_whose_data_is_an_array_of_strings() {
    let sandbox = start().await;
    let data = json!([python_event()]).to_string();
    let body = form(&[("data", &data), ("test_event_code", "TEST1")]);
    let answer = post(&sandbox, "v24.0/111/events?access_token=TOK", FORM, body).await;
    assert_eq!(answer.body["events_received"], 1, "{}", answer.body);
    let event = only_event(&sandbox);
    assert_eq!(
        (event.encoding, event.test_event_code.as_deref()),
        (Encoding::Form, Some("TEST1"))
    );
    assert_eq!(event.event.get(), python_event());
    assert_eq!(event.json()["custom_data"]["content_name"], "Café");
}

#[tokio::test]
async fn async_python_posts_objects_and_puts_its_token_in_the_body() {
    let sandbox = start().await;
    let body = form(&[
        ("data", &format!("[{}]", python_event())),
        ("access_token", "TOK"),
    ]);
    let answer = post(
        &sandbox,
        "v26.0/111/events",
        &format!("{FORM}; charset=utf-8"),
        body,
    )
    .await;
    assert_eq!(answer.body["events_received"], 1, "{}", answer.body);
    assert_eq!(only_event(&sandbox).event_id.as_deref(), Some("py-1"));
}

#[tokio::test]
async fn node_posts_json_with_nulls_its_token_twice_and_a_stray_id() {
    let sandbox = start().await;
    let event = json!({ "event_name": "Lead", "event_time": NOW, "event_id": "nd-1",
        "user_data": { "em": [HASH], "ge": [null], "zp": [null] }, "custom_data": {} });
    let body = json!({ "data": [event], "partner_agent": null, "test_event_code": null, "namespace_id": null,
        "upload_id": null, "upload_tag": null, "upload_source": null, "trace": 1, "access_token": "TOK", "id": "111" });
    let path = "v24.0/111/events?access_token=TOK";
    let answer = post(&sandbox, path, "application/json", body.to_string()).await;
    assert_eq!(answer.body["events_received"], 1, "{}", answer.body);
    let received = only_event(&sandbox);
    assert_eq!(
        (received.encoding, received.test_event_code),
        (Encoding::Json, None)
    );
    assert_eq!(received.event_id.as_deref(), Some("nd-1"));
}

#[tokio::test]
async fn php_posts_multipart_with_null_fields_and_numeric_external_ids() {
    let sandbox = start().await;
    let data = json!([{ "event_name": "Lead", "event_time": NOW, "event_id": "ph-1", "app_data": null,
        "original_event_data": null, "attribution_data": null,
        "user_data": { "em": [""], "external_id": [12345, "007"] } }]);
    let part = |name: &str, value: &str| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = [
        part("data", &data.to_string()),
        part("test_event_code", "TEST2"),
        part("access_token", "TOK"),
    ]
    .concat();
    let body = format!("{body}--XX--\r\n");
    let answer = post(
        &sandbox,
        "v25.0/111/events",
        "multipart/form-data; boundary=XX",
        body,
    )
    .await;
    assert_eq!(answer.body["events_received"], 1, "{}", answer.body);
    let event = only_event(&sandbox);
    assert_eq!(
        (event.encoding, event.test_event_code.as_deref()),
        (Encoding::Multipart, Some("TEST2"))
    );
}

#[tokio::test]
async fn a_body_that_is_not_what_it_says_is_refused() {
    let sandbox = start().await;
    let path = &format!("v24.0/{DATASET}/events?access_token=TOK");
    for (content_type, body) in [
        ("application/json", "{\"data\":["),
        ("application/json", "[]"),
        ("application/json", "{\"data\":[],\"test_event_code\":7}"),
        ("application/json", "data=%5B%5D"),
        (FORM, "{\"data\":[]}"),
        (FORM, "data=%7B%7D"),
        ("multipart/form-data; boundary=XX", "--YY\r\n"),
        ("multipart/form-data", ""),
    ] {
        let answer = post(&sandbox, path, content_type, body.to_owned()).await;
        assert_eq!(
            (answer.status, answer.error()),
            (400, Some((100, None))),
            "{content_type} {body}"
        );
    }
    // An event that is no JSON stands out by its index.
    let answer = post(
        &sandbox,
        path,
        "application/json",
        r#"{"data":["{}", "{"]}"#.to_owned(),
    )
    .await;
    assert_eq!(answer.error(), Some((100, Some(2_804_019))));
    assert_eq!(sandbox.counts().received, 0);
}

#[tokio::test]
async fn an_event_is_kept_byte_for_byte() {
    let sandbox = start().await;
    let text = lead("1")
        .to_string()
        .replace(':', " :\t")
        .replace("https :\t", "https:");
    let body = format!("{{\"access_token\":\"TOK\",\"data\":[ {text} ]}}");
    post(&sandbox, "v24.0/111/events", "application/json", body).await;
    assert_eq!(only_event(&sandbox).event.get(), text);
    let repeat: Vec<Value> = vec![lead("1")];
    send(&sandbox, &repeat).await;
    assert_eq!(sandbox.counts().repeated, 1);
}
