//! Each fault as a real HTTP client meets it.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use rastro_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

use crate::support::{answer, client, get, lead, request, send, start};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than any test may take, so that what waits for it never ends by itself.
const FOREVER_MS: u64 = 3_600_000;

fn fault(json: Value) -> Fault {
    serde_json::from_value(json).unwrap()
}

/// The kind of the I/O error that ended the exchange.
fn io_error(error: &reqwest::Error) -> Option<ErrorKind> {
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

/// Sends an event whose exchange must end in an error.
async fn fails(sandbox: &Sandbox, event_id: &str) -> reqwest::Error {
    request(sandbox, &[lead(event_id)])
        .timeout(PATIENCE)
        .send()
        .await
        .unwrap_err()
}

/// Sends an event that must arrive and stay unanswered; then hangs up.
async fn waits_in_vain(sandbox: &Sandbox, event_id: &str) {
    let requests = sandbox.counts().requests;
    let waiting = tokio::spawn(request(sandbox, &[lead(event_id)]).send());
    eventually(|| sandbox.counts().requests > requests).await;
    let answer = tokio::time::timeout(Duration::from_millis(200), waiting).await;
    assert!(answer.is_err(), "{answer:?}");
}

async fn eventually(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, met)
        .await
        .expect("the condition is met in time");
}

#[tokio::test]
async fn reset_before_resets_the_connection_and_loses_the_events() {
    let sandbox = start().await;
    sandbox
        .fail_with(Fault::new(FaultKind::ResetBefore).times(1))
        .unwrap();
    let error = fails(&sandbox, "1").await;
    assert_eq!(io_error(&error), Some(ErrorKind::ConnectionReset), "{error:?}");
    assert_eq!(sandbox.counts().received, 0);
    assert_eq!(send(&sandbox, &[lead("1")]).await.status, 200);
    assert_eq!((sandbox.counts().unique, sandbox.counts().repeated), (1, 0));
}

#[tokio::test]
async fn reset_after_resets_the_connection_but_the_events_count() {
    let sandbox = start().await;
    sandbox
        .fail_with(Fault::new(FaultKind::ResetAfter).times(1))
        .unwrap();
    let error = fails(&sandbox, "1").await;
    assert_eq!(io_error(&error), Some(ErrorKind::ConnectionReset), "{error:?}");
    assert_eq!(sandbox.counts().unique, 1);
    assert_eq!(send(&sandbox, &[lead("1")]).await.status, 200);
    assert_eq!((sandbox.counts().unique, sandbox.counts().repeated), (1, 1));
    let requests = sandbox.requests();
    assert_eq!(
        (requests[1].status, requests[1].fault, requests[1].processed),
        (None, Some("reset_after"), true)
    );
}

#[tokio::test]
async fn a_reset_also_strikes_a_connection_that_has_served_before() {
    let sandbox = start().await;
    let client = client();
    let url = format!("{}/v24.0/111/events", sandbox.url());
    let post = |id| {
        client
            .post(&url)
            .bearer_auth("TOK")
            .json(&json!({ "data": [lead(id)] }))
    };
    assert_eq!(answer(post("1")).await.status, 200);
    sandbox
        .fail_with(Fault::new(FaultKind::ResetBefore).times(1))
        .unwrap();
    let error = post("2").send().await.unwrap_err();
    assert_eq!(io_error(&error), Some(ErrorKind::ConnectionReset), "{error:?}");
    assert_eq!(sandbox.counts().received, 1);
}

#[tokio::test]
async fn a_timeout_never_answers_whether_or_not_it_processed() {
    let sandbox = start().await;
    sandbox
        .fail_with(Fault::new(FaultKind::Timeout { processed: false }).times(1))
        .unwrap();
    sandbox
        .fail_with(Fault::new(FaultKind::Timeout { processed: true }).times(1))
        .unwrap();
    waits_in_vain(&sandbox, "1").await;
    assert_eq!(
        (sandbox.requests()[0].status, sandbox.counts().received),
        (None, 0)
    );
    waits_in_vain(&sandbox, "1").await;
    assert_eq!(
        (sandbox.requests()[0].status, sandbox.counts().received),
        (None, 1)
    );
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let sandbox = start().await;
    let id = sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: FOREVER_MS }))
        .unwrap();
    waits_in_vain(&sandbox, "1").await;
    assert_eq!(sandbox.counts().received, 0);
    assert!(sandbox.clear_fault(id));
    sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 1 }))
        .unwrap();
    assert_eq!(send(&sandbox, &[lead("1")]).await.status, 200);
}

#[tokio::test]
async fn an_error_carries_the_code_and_headers_it_was_given() {
    let sandbox = start().await;
    let usage = r#"{"1":[{"type":"ads_management","estimated_time_to_regain_access":19}]}"#;
    let throttled = json!({ "kind": "error", "http_status": 400, "code": 80004, "subcode": 2446079, "is_transient": true,
        "retry_after": 120, "headers": { "X-Business-Use-Case-Usage": usage }, "times": 1 });
    sandbox.fail_with(fault(throttled)).unwrap();
    let response = request(&sandbox, &[lead("1")]).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["retry-after"], "120");
    assert_eq!(response.headers()["x-business-use-case-usage"], usage);
    let error = &response.json::<Value>().await.unwrap()["error"];
    assert_eq!(
        (&error["code"], &error["error_subcode"]),
        (&json!(80004), &json!(2446079))
    );
    assert_eq!(
        (&error["is_transient"], &error["type"]),
        (&json!(true), &json!("OAuthException"))
    );
    assert_eq!(sandbox.counts().received, 0);
}

#[tokio::test]
async fn an_outage_answers_with_a_page_or_with_nothing() {
    let sandbox = start().await;
    sandbox
        .fail_with(fault(json!({ "kind": "html", "http_status": 502, "times": 1 })))
        .unwrap();
    sandbox
        .fail_with(fault(
            json!({ "kind": "empty", "http_status": 503, "processed": true, "times": 1 }),
        ))
        .unwrap();
    let page = request(&sandbox, &[lead("1")]).send().await.unwrap();
    assert_eq!(
        (
            page.status().as_u16(),
            &page.headers()["content-type"] == "text/html; charset=utf-8"
        ),
        (502, true)
    );
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(sandbox.counts().received, 0);
    let nothing = request(&sandbox, &[lead("1")]).send().await.unwrap();
    assert_eq!(
        (nothing.status().as_u16(), nothing.text().await.unwrap().as_str()),
        (503, "")
    );
    assert_eq!(sandbox.counts().received, 1);
}

#[tokio::test]
async fn a_success_may_lie() {
    let sandbox = start().await;
    sandbox
        .fail_with(Fault::new(FaultKind::WrongCount).times(1))
        .unwrap();
    sandbox
        .fail_with(fault(json!({ "kind": "error_in_200", "times": 1 })))
        .unwrap();
    let short = send(&sandbox, &[lead("1"), lead("2")]).await;
    assert_eq!((short.status, &short.body["events_received"]), (200, &json!(1)));
    assert_eq!(sandbox.counts().received, 2);
    let error = send(&sandbox, &[lead("3")]).await;
    assert_eq!((error.status, error.error()), (200, Some((2, None))));
    assert_eq!(sandbox.counts().received, 2);
}

#[tokio::test]
async fn a_poisoned_event_refuses_every_request_that_holds_it() {
    let sandbox = start().await;
    let poison =
        json!({ "kind": "refuse_event", "event_id_contains": "poison", "code": 100, "subcode": 2_804_036 });
    sandbox.fail_with(fault(poison)).unwrap();
    for events in [
        vec![lead("1"), lead("a-poison"), lead("2")],
        vec![lead("a-poison")],
    ] {
        assert_eq!(
            send(&sandbox, &events).await.error(),
            Some((100, Some(2_804_036)))
        );
    }
    assert_eq!(send(&sandbox, &[lead("1"), lead("2")]).await.status, 200);
    let counts = sandbox.counts();
    assert_eq!((counts.received, counts.refused["100/2804036"]), (2, 2));
}

#[tokio::test]
async fn faults_compose_and_keep_to_their_dataset() {
    let sandbox = start().await;
    sandbox
        .fail_with(Fault::new(FaultKind::Latency { ms: 1 }))
        .unwrap();
    sandbox
        .fail_with(Fault::new(FaultKind::ResetBefore).on_dataset("222"))
        .unwrap();
    sandbox
        .fail_with(fault(
            json!({ "kind": "error", "http_status": 500, "code": 1, "times": 2 }),
        ))
        .unwrap();
    for expected in [500, 500, 200] {
        assert_eq!(send(&sandbox, &[lead("1")]).await.status, expected);
    }
    let struck: Vec<u64> = sandbox.faults().iter().map(|status| status.struck).collect();
    assert_eq!(struck, [3, 0, 2]);
    sandbox.clear_faults();
    assert!(sandbox.faults().is_empty());
}

#[tokio::test]
async fn faults_are_set_listed_and_cleared_over_http() {
    let sandbox = start().await;
    let url = format!("{}/sandbox/faults", sandbox.url());
    let set = answer(client().post(&url).body(r#"{"kind":"wrong_count","times":5}"#)).await;
    assert_eq!((set.status, &set.body), (201, &json!({ "id": 1 })));
    answer(
        client()
            .post(&url)
            .body(r#"{"kind":"reset_before","probability":0.0}"#),
    )
    .await;
    for nonsense in [
        r#"{"kind":"wrong_count","tmes":5}"#,
        r#"{"kind":"html","http_status":9}"#,
        "{",
    ] {
        let refused = answer(client().post(&url).body(nonsense)).await;
        assert_eq!(refused.status, 400, "{nonsense}");
        assert!(refused.body["error"].is_string());
    }
    assert_eq!(send(&sandbox, &[lead("1")]).await.body["events_received"], 0);
    let listed = get(&sandbox, "/sandbox/faults").await.body;
    assert_eq!(
        listed[0],
        json!({ "id": 1, "kind": "wrong_count", "times": 5, "struck": 1 })
    );
    assert_eq!(listed[1]["struck"], 0);
    for (path, expected) in [("/1", 204), ("/1", 404), ("", 204)] {
        let response = client().delete(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
    }
    assert_eq!(get(&sandbox, "/sandbox/faults").await.body, json!([]));
}

#[tokio::test]
async fn stopping_cuts_off_a_request_that_is_waiting() {
    let sandbox = start().await;
    sandbox
        .fail_with(Fault::new(FaultKind::Timeout { processed: true }))
        .unwrap();
    let waiting = tokio::spawn(request(&sandbox, &[lead("1")]).send());
    eventually(|| sandbox.counts().received == 1).await;
    let url = sandbox.url();
    sandbox.stop().await;
    assert!(waiting.await.unwrap().is_err());
    assert!(client().get(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn an_answer_of_any_shape_is_given_as_it_is_said() {
    let sandbox = start().await;
    let shape = |processed| {
        json!({"kind": "answer", "http_status": 200, "body": "{\"events_received\":\"$N\"}", "headers": {"X-A": "b"},
            "processed": processed, "times": 1})
    };
    for (processed, received) in [(false, 0), (true, 2)] {
        sandbox.fail_with(fault(shape(processed))).unwrap();
        let answer = request(&sandbox, &[lead("a"), lead("b")]).send().await.unwrap();
        assert_eq!(answer.headers()["x-a"], "b");
        assert_eq!(answer.text().await.unwrap(), r#"{"events_received":"2"}"#);
        assert_eq!(sandbox.counts().received, received);
    }
}
