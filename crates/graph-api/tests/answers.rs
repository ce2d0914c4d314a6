//! Answers as they were seen in the wild, over a real connection: none of them costs an event.

#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::collections::BTreeMap;

use rastro_graph_api::{Answer, EventsRequest, FailureClass, GraphApi, GraphApiConfig};
use rastro_sandbox::{Fault, FaultKind, Sandbox, SandboxConfig};

const EVENT: &str = r#"{"event_name":"Lead","event_id":"a","event_time":1,"action_source":"website"}"#;

async fn sandbox() -> (Sandbox, GraphApi) {
    let sandbox = Sandbox::start(SandboxConfig::default().with_token("111", "TOKEN"))
        .await
        .unwrap();
    let graph_api = GraphApi::new(&GraphApiConfig {
        url: sandbox.url(),
        allow_insecure_http: false,
        version: "v24.0".into(),
        connect_timeout_seconds: 5,
        request_timeout_seconds: 5,
        partner_agent: String::new(),
    });
    (sandbox, graph_api.unwrap())
}

async fn send(graph_api: &GraphApi) -> Answer {
    let request = EventsRequest {
        events: &[EVENT, EVENT],
        test_event_code: "",
    };
    let token = "TOKEN".to_owned().into();
    graph_api
        .send_events(111.try_into().unwrap(), &token, &request)
        .await
}

fn answer(http_status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Fault::new(FaultKind::Answer {
        http_status,
        body: body.to_owned(),
        headers: headers.collect(),
        processed: false,
    })
}

#[tokio::test]
async fn successes_of_every_shape_are_successes() {
    let (sandbox, graph_api) = sandbox().await;
    for body in [
        r#"{"events_received":$N,"messages":[],"fbtrace_id":"A"}"#,
        r#"{"events_received":$N,"messages":null,"fbtrace_id":"A"}"#,
        r#"{"events_received":"$N"}"#,
        "\u{feff}{\"events_received\":$N,\"fbtrace_id\":\"A\"}",
    ] {
        sandbox.fail_with(answer(200, &[], body).times(1)).unwrap();
        let answer = send(&graph_api).await;
        assert_eq!(
            (answer.result, answer.events_received),
            (Ok(()), Some(2)),
            "{body}"
        );
    }
    sandbox
        .fail_with(answer(200, &[], r#"{"events_received":1}"#).times(1))
        .unwrap();
    let answer = send(&graph_api).await;
    assert_eq!((answer.result, answer.events_received), (Ok(()), Some(1)));
}

#[tokio::test]
async fn a_redirect_or_a_page_of_a_firewall_waits_and_a_request_too_large_is_cut() {
    let (sandbox, graph_api) = sandbox().await;
    for (status, headers, body, class) in [
        (
            302,
            [("Location", "/login")].as_slice(),
            "",
            FailureClass::Transient,
        ),
        (403, &[], "<html>Access denied</html>", FailureClass::Transient),
        (
            413,
            &[],
            "<html>Request Entity Too Large</html>",
            FailureClass::TooLarge,
        ),
    ] {
        sandbox.fail_with(answer(status, headers, body).times(1)).unwrap();
        assert_eq!(
            send(&graph_api).await.result.unwrap_err().class,
            class,
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_throttle_until_a_date_waits_until_then() {
    let (sandbox, graph_api) = sandbox().await;
    // The Date header of the sandbox is today's; this is long after it.
    let date = [("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")];
    let body = r#"{"error":{"message":"m","code":4}}"#;
    sandbox.fail_with(answer(429, &date, body)).unwrap();
    let failure = send(&graph_api).await.result.unwrap_err();
    assert_eq!(failure.class, FailureClass::Throttled);
    assert_eq!(
        failure.wait.map(|wait| wait.as_secs()),
        Some(86_400),
        "the longest"
    );
}

#[tokio::test]
async fn a_path_that_meta_does_not_know_blocks_the_dataset_and_names_the_setting() {
    let (sandbox, _) = sandbox().await;
    let graph_api = GraphApi::new(&GraphApiConfig {
        url: format!("{}/graph", sandbox.url()),
        allow_insecure_http: false,
        version: "v24.0".into(),
        connect_timeout_seconds: 5,
        request_timeout_seconds: 5,
        partner_agent: String::new(),
    });
    let failure = send(&graph_api.unwrap()).await.result.unwrap_err();
    assert_eq!(failure.class, FailureClass::Blocked, "{failure:?}");
    assert!(failure.message.contains("graph_api.url"), "{}", failure.message);
}

#[tokio::test]
async fn a_required_app_secret_proof_blocks_the_dataset() {
    let config = SandboxConfig {
        app_secret: Some("SECRET".into()),
        ..SandboxConfig::default().with_token("111", "TOKEN")
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let graph_api = GraphApi::new(&GraphApiConfig {
        url: sandbox.url(),
        allow_insecure_http: false,
        version: "v24.0".into(),
        connect_timeout_seconds: 5,
        request_timeout_seconds: 5,
        partner_agent: String::new(),
    });
    let failure = send(&graph_api.unwrap()).await.result.unwrap_err();
    assert_eq!(failure.class, FailureClass::Blocked, "{failure:?}");
    let codes: BTreeMap<_, _> = sandbox.counts().refused.into_iter().collect();
    assert_eq!(codes.len(), 1, "{codes:?}");
}

#[tokio::test]
async fn a_token_shows_the_datasets_name_or_what_meta_has_against_it() {
    let (sandbox, graph_api) = sandbox().await;
    let asked = async |dataset: i64, token: &str| {
        let token = token.to_owned().into();
        graph_api.dataset_name(dataset.try_into().unwrap(), &token).await
    };
    assert_eq!(asked(111, "TOKEN").await.unwrap(), "Dataset 111");
    let unknown = asked(111, "OTHER").await.unwrap_err();
    assert!(unknown.is_about_the_token(), "{unknown:?}");
    // Of another dataset, or one that is not there: code 100/33, as Meta answers.
    let foreign = asked(222, "TOKEN").await.unwrap_err();
    assert!(
        !foreign.is_about_the_token() && foreign.message.contains("100/33"),
        "{foreign:?}"
    );
    assert_eq!(foreign.class, FailureClass::Blocked);
    drop(sandbox);
    let away = asked(111, "TOKEN").await.unwrap_err();
    assert!(!away.is_about_the_token() && away.error.is_none(), "{away:?}");
}
