//! Meta's score, and what is said about it.

use rastro_sandbox::{Sandbox, SandboxConfig};
use rastro_store::DatasetSettings;
use serde_json::json;

use crate::support::{Scene, TOKEN};

async fn send(scene: &Scene, events: &[serde_json::Value]) {
    // An error means that an earlier test of this process did so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::Client::new()
        .post(format!("{}/v24.0/1/events", scene.sandbox.url()))
        .bearer_auth(TOKEN)
        .json(&json!({ "data": events }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{}", answer.text().await.unwrap());
}

/// In the sandbox an e-mail is 3 points of 10, and an address 1.
#[tokio::test]
async fn the_score_is_fetched_once_a_day_with_the_coverage_of_each_key() {
    let mut scene = Scene::start().await;
    let now: i64 = scene
        .value("SELECT extract(epoch FROM now())::bigint")
        .await
        .parse()
        .unwrap();
    let event = json!({ "event_name": "Lead", "event_time": now, "event_id": "1", "action_source": "website",
        "event_source_url": "https://shop.example/",
        "user_data": { "em": ["855f96e983f1f8e8be944692b6f719fd54329826cb62e98015efee8e2e071dd4"],
            "client_ip_address": "203.0.113.7", "client_user_agent": "ua" } });
    send(&scene, &[event]).await;
    scene.run().await;
    assert_eq!(
        scene
            .value("SELECT score FROM dataset_quality WHERE event_name = 'Lead'")
            .await,
        "4.5"
    );
    assert_eq!(
        scene
            .value("SELECT coverage_percent FROM dataset_quality_keys WHERE identifier = 'email'")
            .await,
        "100.0"
    );
    let next =
        "SELECT to_char(next_at AT TIME ZONE 'America/Sao_Paulo', 'HH24:MI') FROM dataset_quality_fetches";
    assert_eq!(
        scene.value(next).await,
        "06:11",
        "dataset 1: a minute after ten past six"
    );
    scene.minutes(3).await;
    let asked =
        "SELECT count(*) FROM dataset_quality_fetches WHERE asked_at < rastro_now() - interval '2 minutes'";
    assert_eq!(scene.value(asked).await, "1", "not again today");
    // No entry of an event name is no score.
    assert_eq!(scene.value("SELECT count(*) FROM dataset_quality").await, "1");
}

#[tokio::test]
async fn a_token_that_only_sends_is_a_state_of_its_own_and_no_matter_of_the_breaker() {
    let mut scene = Scene::start().await;
    let sandbox = SandboxConfig {
        send_only_tokens: vec![TOKEN.into()],
        ..SandboxConfig::default().with_token_for_any_dataset(TOKEN)
    };
    let sandbox = Sandbox::start(sandbox).await.unwrap();
    scene.config.graph_api.url = sandbox.url();
    scene.run().await;
    assert_eq!(
        scene
            .value("SELECT state || ' ' || error_code FROM dataset_quality_fetches")
            .await,
        "unreadable 10"
    );
    assert_eq!(scene.value("SELECT count(*) FROM circuit_breakers").await, "0");
    scene.advance(4 * 86_400).await;
    scene.run().await;
    assert_eq!(
        scene
            .value("SELECT severity || ' ' || state FROM alerts WHERE rule = 'emq_unreadable'")
            .await,
        "info firing",
        "for the mail of the morning"
    );
    assert!(scene.said().is_empty());
}

#[tokio::test]
async fn meta_away_is_asked_three_times_and_then_tomorrow() {
    let mut scene = Scene::start().await;
    scene.config.graph_api.url = "http://127.0.0.1:1".into();
    for failures in 1..=3 {
        scene.run().await;
        assert_eq!(
            scene.value("SELECT failures FROM dataset_quality_fetches").await,
            failures.to_string()
        );
        scene.advance(60).await;
    }
    scene.run().await;
    assert_eq!(
        scene.value("SELECT failures FROM dataset_quality_fetches").await,
        "3"
    );
}

/// Row R30: a test event in real time, EMQ, test event code, fbtrace mapping.
#[tokio::test]
async fn verify_sends_one_test_event_and_says_what_meta_answered() {
    let scene = Scene::start().await;
    let graph_api = rastro_graph_api::GraphApi::new(&scene.config.graph_api).unwrap();
    let dataset = 1_i64.try_into().unwrap();
    let error = monitor::commands::verify_with(&scene.store, &graph_api, dataset)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("test event code"), "{error}");
    // The sandbox's clock is the machine's; the event must not lie in its future.
    scene
        .execute(
            "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT now()'",
        )
        .await;
    let until = scene.store.now().await.unwrap() + std::time::Duration::from_secs(3_600);
    let settings = DatasetSettings {
        name: "Loja Aurora".into(),
        test_event_code: Some(("TEST1".into(), until)),
        ..Default::default()
    };
    let known = rastro_store::Dataset {
        id: dataset,
        settings,
        access_token: TOKEN.to_owned().into(),
    };
    scene.store.put_dataset(&known).await.unwrap();
    let verified = monitor::commands::verify_with(&scene.store, &graph_api, dataset)
        .await
        .unwrap();
    assert!(verified.went_well, "{}", verified.text);
    let [event] = scene.sandbox.events(&Default::default()).try_into().unwrap();
    assert_eq!(event.test_event_code.as_deref(), Some("TEST1"));
    let [request] = scene.sandbox.requests().try_into().unwrap();
    assert!(verified.text.contains(&request.fbtrace_id), "{}", verified.text);
    assert!(
        verified.text.contains("EMQ of PageView") && !verified.text.contains(TOKEN),
        "{}",
        verified.text
    );
}
