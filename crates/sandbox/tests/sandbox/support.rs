//! A sandbox with a clock the test holds, a client, and events to send.

use rastro_sandbox::{Sandbox, SandboxClock, SandboxConfig};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

pub(crate) const DATASET: &str = "111";
pub(crate) const TOKEN: &str = "TOK";
/// 2025-11-12 23:05:53 UTC, in seconds.
pub(crate) const NOW: i64 = 1_762_988_753;

/// The subcode of an event of the wrong shape.
pub(crate) const SCHEMA: i64 = 2_804_019;

/// A configuration in which it is `NOW` and [`TOKEN`] may write to [`DATASET`].
pub(crate) fn config() -> SandboxConfig {
    SandboxConfig {
        clock: SandboxClock::from_fn(|| NOW * 1000),
        ..SandboxConfig::default()
    }
    .with_token(DATASET, TOKEN)
}

pub(crate) async fn start() -> Sandbox {
    Sandbox::start(config()).await.unwrap()
}

pub(crate) fn client() -> Client {
    // Whoever comes second finds it installed, which is just as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// What came back: the status and the body as JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The error's code and subcode, or `None` for a success.
    pub(crate) fn error(&self) -> Option<(i64, Option<i64>)> {
        let error = self.body.get("error")?;
        Some((error["code"].as_i64().unwrap(), error["error_subcode"].as_i64()))
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    Answer {
        status,
        body: response.json().await.unwrap(),
    }
}

/// A request with the given events, as a plain JSON client makes it.
pub(crate) fn request(sandbox: &Sandbox, events: &[Value]) -> RequestBuilder {
    let url = format!("{}/v24.0/{DATASET}/events", sandbox.url());
    client()
        .post(url)
        .bearer_auth(TOKEN)
        .json(&json!({ "data": events }))
}

pub(crate) async fn send(sandbox: &Sandbox, events: &[Value]) -> Answer {
    answer(request(sandbox, events)).await
}

pub(crate) async fn get(sandbox: &Sandbox, path: &str) -> Answer {
    answer(client().get(format!("{}{path}", sandbox.url()))).await
}

/// An event that breaks no rule. `printf john@example.com | sha256sum`
pub(crate) fn lead(event_id: &str) -> Value {
    json!({
        "event_name": "Lead",
        "event_time": NOW - 60,
        "event_id": event_id,
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks",
        "user_data": {
            "em": ["855f96e983f1f8e8be944692b6f719fd54329826cb62e98015efee8e2e071dd4"],
            "client_user_agent": "test ua",
        },
    })
}

/// The event with the value at this path (`user_data.em`) replaced or added.
pub(crate) fn with(mut event: Value, path: &str, value: Value) -> Value {
    let mut place = &mut event;
    for key in path.split('.') {
        place = place
            .as_object_mut()
            .unwrap()
            .entry(key)
            .or_insert_with(|| json!({}));
    }
    *place = value;
    event
}

/// The event without the key at this path.
pub(crate) fn without(mut event: Value, path: &str) -> Value {
    let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = parents
        .split('.')
        .filter(|key| !key.is_empty())
        .fold(&mut event, |place, key| &mut place[key]);
    parent.as_object_mut().unwrap().remove(key).unwrap();
    event
}

/// An event of no named source about this person.
pub(crate) fn user(user_data: Value) -> Value {
    let event = without(without(lead("u"), "action_source"), "event_source_url");
    with(event, "user_data", user_data)
}

/// Sends each event alone; `None` means it must be accepted, a number that it must be refused with 100 and
/// that subcode.
pub(crate) async fn check(cases: Vec<(&str, Value, Option<i64>)>) {
    check_against(&start().await, cases).await;
}

pub(crate) async fn check_against(sandbox: &Sandbox, cases: Vec<(&str, Value, Option<i64>)>) {
    let mut wrong = Vec::new();
    for (what, event, subcode) in cases {
        let answer = send(sandbox, &[event]).await;
        let expected = subcode.map(|subcode| (100, Some(subcode)));
        let expected_status = if subcode.is_some() { 400 } else { 200 };
        if answer.error() != expected || answer.status != expected_status {
            wrong.push(format!("{what}: {} {}", answer.status, answer.body));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
