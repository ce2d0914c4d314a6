//! Who may call the edge, and with how much.

use rastro_sandbox::{Sandbox, SandboxConfig};
use serde_json::{Value, json};

use crate::support::{DATASET, TOKEN, answer, client, config, get, lead, send, start};

/// How a request shows who it is.
#[derive(Default)]
struct Credentials<'a> {
    bearer: Option<&'a str>,
    query: &'a str,
    body: Value,
}

async fn call(
    sandbox: &Sandbox,
    dataset_id: &str,
    credentials: Credentials<'_>,
) -> Option<(i64, Option<i64>)> {
    let url = format!(
        "{}/v24.0/{dataset_id}/events?{}",
        sandbox.url(),
        credentials.query
    );
    let mut body = json!({ "data": [lead("1")] });
    if let Value::Object(fields) = credentials.body {
        body.as_object_mut().unwrap().extend(fields);
    }
    let mut request = client().post(url).json(&body);
    if let Some(token) = credentials.bearer {
        request = request.bearer_auth(token);
    }
    answer(request).await.error()
}

#[tokio::test]
async fn a_token_may_come_by_header_query_or_body_but_must_be_one() {
    let sandbox = start().await;
    let by_body = || json!({ "access_token": TOKEN });
    let bearer = Credentials {
        bearer: Some(TOKEN),
        ..Credentials::default()
    };
    assert_eq!(call(&sandbox, DATASET, bearer).await, None);
    let query = Credentials {
        query: "access_token=TOK",
        ..Credentials::default()
    };
    assert_eq!(call(&sandbox, DATASET, query).await, None);
    let body = Credentials {
        body: by_body(),
        ..Credentials::default()
    };
    assert_eq!(call(&sandbox, DATASET, body).await, None);
    let all = Credentials {
        bearer: Some(TOKEN),
        query: "access_token=TOK",
        body: by_body(),
    };
    assert_eq!(call(&sandbox, DATASET, all).await, None);
    let two = Credentials {
        bearer: Some("OTHER"),
        body: by_body(),
        ..Credentials::default()
    };
    assert_eq!(call(&sandbox, DATASET, two).await, Some((190, None)));
    let unknown = Credentials {
        bearer: Some("OTHER"),
        ..Credentials::default()
    };
    assert_eq!(call(&sandbox, DATASET, unknown).await, Some((190, None)));
    assert_eq!(
        call(&sandbox, DATASET, Credentials::default()).await,
        Some((104, None))
    );
    assert_eq!(
        (sandbox.counts().received, sandbox.counts().refused["190"]),
        (4, 2)
    );
}

#[tokio::test]
async fn a_token_opens_only_its_own_datasets() {
    let config = config()
        .with_token("222", "TOK")
        .with_token("333", "OTHER")
        .with_token_for_any_dataset("ANY");
    let sandbox = Sandbox::start(config).await.unwrap();
    let by = |token| Credentials {
        bearer: Some(token),
        ..Credentials::default()
    };
    for (dataset_id, token, refused) in [
        ("111", TOKEN, None),
        ("222", TOKEN, None),
        ("333", TOKEN, Some((100, Some(33)))),
        ("444", TOKEN, Some((100, Some(33)))),
        ("333", "OTHER", None),
        ("444", "ANY", None),
    ] {
        assert_eq!(
            call(&sandbox, dataset_id, by(token)).await,
            refused,
            "{dataset_id} {token}"
        );
    }
}

#[tokio::test]
async fn with_an_app_secret_every_call_must_prove_it() {
    // The vector that three official SDKs agree on: secret SECRET, token TOK.
    let proof = "74efee799c2b41164fab3ee4c2dff980dbdb23fd0c24f71bf08be0978464b1e4";
    let sandbox = Sandbox::start(SandboxConfig {
        app_secret: Some("SECRET".into()),
        ..config()
    })
    .await
    .unwrap();
    let with_proof = |body, query| Credentials {
        bearer: Some(TOKEN),
        query,
        body,
    };
    let in_query = format!("appsecret_proof={proof}");
    assert_eq!(
        call(
            &sandbox,
            DATASET,
            with_proof(json!({ "appsecret_proof": proof }), "")
        )
        .await,
        None
    );
    assert_eq!(
        call(&sandbox, DATASET, with_proof(json!({}), &in_query)).await,
        None
    );
    assert_eq!(
        call(&sandbox, DATASET, with_proof(json!({}), "")).await,
        Some((100, None))
    );
    let wrong = json!({ "appsecret_proof": proof.replace('7', "8") });
    assert_eq!(
        call(&sandbox, DATASET, with_proof(wrong, "")).await,
        Some((100, None))
    );
}

#[tokio::test]
async fn a_request_holds_1_to_1000_events() {
    let sandbox = start().await;
    let events: Vec<Value> = (0..1001).map(|number| lead(&number.to_string())).collect();
    assert_eq!(send(&sandbox, &events).await.error(), Some((100, None)));
    assert_eq!(send(&sandbox, &[]).await.error(), Some((100, None)));
    assert_eq!(sandbox.counts().received, 0);
    let answer = send(&sandbox, &events[..1000]).await;
    assert_eq!(
        (answer.status, &answer.body["events_received"]),
        (200, &json!(1000))
    );
    assert_eq!(sandbox.counts().unique, 1000);
}

#[tokio::test]
async fn a_success_carries_all_three_fields_and_a_new_trace_id() {
    let sandbox = start().await;
    let mut trace_ids = Vec::new();
    for id in ["1", "2"] {
        let mut body = send(&sandbox, &[lead(id)]).await.body;
        let trace_id = body.as_object_mut().unwrap().remove("fbtrace_id").unwrap();
        assert_eq!(body, json!({ "events_received": 1, "messages": [] }));
        trace_ids.push(trace_id.as_str().unwrap().to_owned());
    }
    assert_ne!(trace_ids[0], trace_ids[1]);
    assert!(trace_ids.iter().all(|id| id.starts_with('A') && id.len() == 23));
}

#[tokio::test]
async fn any_version_is_served_and_nothing_else_of_the_graph() {
    let sandbox = start().await;
    for version in ["v13.0", "v24.0", "v99.1"] {
        let url = format!("{}/{version}/{DATASET}/events", sandbox.url());
        let response = client()
            .post(url)
            .bearer_auth(TOKEN)
            .json(&json!({ "data": [lead("1")] }))
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["facebook-api-version"], version);
        assert_eq!(response.status(), 200);
    }
    assert_eq!(
        get(&sandbox, "/v24.0/111/events").await.error(),
        Some((100, Some(33)))
    );
    assert_eq!(
        get(&sandbox, "/v24.0/111/stats").await.error(),
        Some((2500, None))
    );
}

#[tokio::test]
async fn a_partner_agent_is_short_and_has_letters() {
    let sandbox = start().await;
    for (agent, refused) in [
        ("stape-gtmss-2.1.3-ee", None),
        ("ab", None),
        ("a1", Some((100, None))),
        ("a-partner-name-too-long", Some((100, None))),
    ] {
        let credentials = Credentials {
            bearer: Some(TOKEN),
            body: json!({ "partner_agent": agent }),
            ..Credentials::default()
        };
        assert_eq!(call(&sandbox, DATASET, credentials).await, refused, "{agent}");
    }
}

#[tokio::test]
async fn a_dataset_is_shown_with_the_fields_that_are_asked_for_to_a_token_that_may_see_it() {
    let sandbox = start().await;
    let ask = async |dataset: &str, query: &str, token: &str| {
        let url = format!("{}/v24.0/{dataset}?{query}", sandbox.url());
        answer(client().get(url).bearer_auth(token)).await
    };
    let named = ask(DATASET, "fields=id,name", TOKEN).await;
    assert_eq!(
        (named.status, &named.body),
        (200, &json!({"id": "111", "name": "Dataset 111"}))
    );
    assert_eq!(ask(DATASET, "", TOKEN).await.body, json!({"id": "111"}));
    assert_eq!(
        ask(DATASET, "fields=colour", TOKEN).await.error(),
        Some((100, None))
    );
    assert_eq!(ask(DATASET, "", "OTHER").await.error(), Some((190, None)));
    let foreign = ask("222", "fields=name", TOKEN).await;
    assert_eq!(foreign.error(), Some((100, Some(33))));
    assert!(
        foreign.body["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("Unsupported get request")
    );
    assert_eq!(
        get(&sandbox, "/v24.0/111?fields=name").await.error(),
        Some((104, None))
    );
    let posted = answer(
        client()
            .post(format!("{}/v24.0/111", sandbox.url()))
            .bearer_auth(TOKEN),
    )
    .await;
    assert_eq!(posted.error(), Some((100, Some(33))));
}
