//! What Meta's deduplication would keep of what arrived.

use rastro_sandbox::{EventFilter, SandboxConfig};
use serde_json::json;

use crate::support::{NOW, config, lead, send, start, with, without};

const HOUR: i64 = 3_600;

#[tokio::test]
async fn the_same_name_and_id_count_once() {
    let sandbox = start().await;
    let purchase = with(lead("1"), "event_name", json!("Purchase"));
    let purchase = with(purchase, "custom_data", json!({ "value": 1, "currency": "BRL" }));
    // Other content under the same name and id is still a repeat; another name is not.
    let changed = with(lead("1"), "event_time", json!(NOW - 5));
    send(&sandbox, &[lead("1"), lead("2"), purchase, changed]).await;
    send(&sandbox, &[lead("2")]).await;
    let counts = sandbox.counts();
    assert_eq!((counts.received, counts.unique, counts.repeated), (5, 3, 2));
    let dataset = &counts.datasets["111"];
    assert_eq!(
        (dataset.events["Lead"].received, dataset.events["Lead"].unique),
        (4, 2)
    );
    assert_eq!(dataset.events["Purchase"].unique, 1);
    let repeats = sandbox
        .events(&EventFilter::default())
        .into_iter()
        .filter(|event| event.repeated)
        .count();
    assert_eq!(repeats, 2);
}

#[tokio::test]
async fn an_event_is_remembered_for_48_hours_from_its_first_arrival() {
    let sandbox = start().await;
    let arrives_after = async |seconds: i64| {
        sandbox.clock().set_offset_seconds(seconds);
        send(&sandbox, &[with(lead("1"), "event_time", json!(NOW + seconds))]).await;
        sandbox.counts().unique
    };
    assert_eq!(arrives_after(0).await, 1);
    // A repeat does not prolong the memory.
    assert_eq!(arrives_after(24 * HOUR).await, 1);
    assert_eq!(arrives_after(48 * HOUR - 1).await, 1);
    assert_eq!(arrives_after(48 * HOUR).await, 2);
    assert_eq!(arrives_after(96 * HOUR - 1).await, 2);
    assert_eq!(arrives_after(96 * HOUR).await, 3);
}

#[tokio::test]
async fn events_without_an_id_are_never_repeats() {
    let sandbox = start().await;
    let event = without(lead("1"), "event_id");
    let empty = with(lead("1"), "event_id", json!(""));
    send(&sandbox, &[event.clone(), event, empty.clone(), empty]).await;
    assert_eq!((sandbox.counts().unique, sandbox.counts().repeated), (4, 0));
}

#[tokio::test]
async fn datasets_do_not_share_their_memory() {
    let sandbox = rastro_sandbox::Sandbox::start(config().with_token("222", "TOK"))
        .await
        .unwrap();
    send(&sandbox, &[lead("1")]).await;
    let url = format!("{}/v24.0/222/events", sandbox.url());
    let request = crate::support::client()
        .post(url)
        .bearer_auth("TOK")
        .json(&json!({ "data": [lead("1")] }));
    crate::support::answer(request).await;
    let counts = sandbox.counts();
    assert_eq!(
        (
            counts.unique,
            counts.datasets["111"].unique,
            counts.datasets["222"].unique
        ),
        (2, 1, 1)
    );
}

#[tokio::test]
async fn only_the_newest_events_are_kept_and_all_are_counted() {
    let sandbox = rastro_sandbox::Sandbox::start(SandboxConfig {
        keep_events: 2,
        ..config()
    })
    .await
    .unwrap();
    send(&sandbox, &[lead("1"), lead("2"), lead("3")]).await;
    let ids = |sandbox: &rastro_sandbox::Sandbox| {
        let events = sandbox.events(&EventFilter::default());
        events
            .into_iter()
            .map(|event| event.event_id.unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&sandbox), ["3", "2"]);
    assert_eq!(sandbox.counts().received, 3);

    let counting = rastro_sandbox::Sandbox::start(SandboxConfig {
        keep_events: 0,
        ..config()
    })
    .await
    .unwrap();
    send(&counting, &[lead("1")]).await;
    assert!(ids(&counting).is_empty());
    assert_eq!(counting.counts().unique, 1);
}
