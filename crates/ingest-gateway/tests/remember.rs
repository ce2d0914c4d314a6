//! Plain events that come days later without any browser: they carry the click that is remembered of their
//! person.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::time::Duration;

use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::match_keys::{CountryCode, MatchKey, Reading};
use rastro_core::person::PersonKeys;
use rastro_store::{DatasetSettings, PersonSought};
use rastro_test_support::{Answer, DATASET_ID, Key, World};
use serde_json::{Value, json};

const CONVERSIONS: &str = "/api/meta/conversions";
const LEADS: &str = "/api/leads/capture";
const FBP: &str = "fb.1.1596403881668.1116446470";

/// printf ana1@example.com | sha256sum
const EMAIL_SHA256: &str = "6d979e852dbf7747be489f036416cb192944914b5a5f1a466d0a2e9a8c64b68b";

async fn world(remember_clicks: bool) -> World {
    let settings = DatasetSettings {
        name: "test".into(),
        defaults: DatasetDefaults {
            country: CountryCode::parse("br"),
            currency: Currency::parse("BRL"),
        },
        remember_clicks,
        ..DatasetSettings::default()
    };
    World::with(settings, |_| {}).await
}

async fn post(world: &World, path: &str, key: Key, body: &Value) -> Answer {
    let url = world.conversions_url().replace(CONVERSIONS, path);
    let request = world.client.post(url).bearer_auth(key.as_str());
    World::answer(request.header("user-agent", "Mozilla/5.0").json(body)).await
}

/// Someone came by an ad a minute ago, and writes into a form on another page. `id` tells people apart.
async fn captured(world: &World, id: u32, more: &Value) -> i64 {
    let clicked_at = world.now() * 1_000 - 60_000;
    let mut body = json!({
        "lead": { "name": "Ana", "email": format!("ana{id}@example.com"), "phone": format!("(11) 91234-50{id:02}") },
        "event": {
            "event_name": "Lead", "event_id": format!("lead-{id}"), "event_time": world.now(), "action_source": "website",
            "event_source_url": "https://www.clinica.example/",
            "user_data": { "external_id": format!("visitor-{id}"), "fbp": FBP }
        },
        "attribution": { "last": { "fbclid": format!("IwAR0{id}"), "gclid": "Cj0K", "landing": "/", "at": clicked_at } }
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = post(world, LEADS, Key::Publishable, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    clicked_at
}

fn purchase(world: &World, id: &str, user_data: Value) -> Value {
    json!({ "event_name": "Purchase", "event_id": id, "event_time": world.now(), "action_source": "system_generated",
        "user_data": user_data, "custom_data": { "value": 250, "currency": "BRL" } })
}

/// `fbc` and `fbp` of a stored event, as it goes to Meta.
async fn browser_of(world: &World, id: &str) -> (Value, Value) {
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads.iter().find(|(known, _)| known == id).unwrap();
    let payload: Value = serde_json::from_str(payload).unwrap();
    let user_data = &payload["user_data"];
    (user_data["fbc"].clone(), user_data["fbp"].clone())
}

const NOTHING: (Value, Value) = (Value::Null, Value::Null);

#[tokio::test]
async fn a_plain_purchase_of_day_four_has_the_click_of_day_one_with_its_time() {
    let world = world(true).await;
    let clicked_at = captured(&world, 1, &json!({})).await;
    let of_another = captured(&world, 2, &json!({})).await;
    assert_eq!(clicked_at, of_another, "the clock is moved by nothing else");
    world.advance(Duration::from_secs(3 * 86_400)).await;

    let fbc = |id: u32| json!(format!("fb.1.{clicked_at}.IwAR0{id}"));
    // Each in its way, as it is typed or hashed already, alone and beside others.
    let alone = purchase(&world, "by e-mail", json!({ "em": EMAIL_SHA256 }));
    assert_eq!(post(&world, CONVERSIONS, Key::Secret, &alone).await.status, 202);
    let batch = json!({ "events": [
        purchase(&world, "by phone", json!({ "ph": "+55 11 91234-5002" })),
        purchase(&world, "by visitor", json!({ "external_id": "visitor-1" })),
        purchase(&world, "nobody", json!({ "em": "zoe@example.com", "ph": "+55 11 91234-5099", "external_id": "visitor-9" })),
        purchase(&world, "with its own", json!({ "em": "ana1@example.com", "fbc": "fb.1.1790000000000.IwARown" })),
    ] });
    assert_eq!(
        post(&world, CONVERSIONS, Key::Secret, &batch).await.json["accepted"],
        4
    );
    let edge = format!("/v24.0/{DATASET_ID}/events");
    let graph = json!({ "data": [purchase(&world, "by Meta's edge", json!({ "em": ["ana2@example.com"], "fbp": "fb.1.1700000000000.7" }))] });
    assert_eq!(post(&world, &edge, Key::Secret, &graph).await.status, 200);
    let mut page = purchase(&world, "by page", json!({ "external_id": "visitor-2" }));
    page["action_source"] = json!("website");
    page["event_source_url"] = json!("https://www.clinica.example/obrigado");
    page["event_name"] = json!("PageView");
    assert_eq!(
        post(&world, CONVERSIONS, Key::Publishable, &page).await.status,
        202
    );

    for (id, person) in [
        ("by e-mail", 1),
        ("by phone", 2),
        ("by visitor", 1),
        ("by page", 2),
    ] {
        assert_eq!(browser_of(&world, id).await, (fbc(person), json!(FBP)), "{id}");
    }
    let edge = browser_of(&world, "by Meta's edge").await;
    assert_eq!(
        edge,
        (fbc(2), json!("fb.1.1700000000000.7")),
        "what the event says stays"
    );
    assert_eq!(browser_of(&world, "nobody").await, NOTHING);
    assert_eq!(
        browser_of(&world, "with its own").await.0,
        "fb.1.1790000000000.IwARown"
    );
    let clicks = "SELECT concat_ws(' ', fbclid, gclid) FROM events WHERE event_id = 'by e-mail'";
    assert_eq!(world.database.value(clicks).await, "IwAR01 Cj0K");
}

#[tokio::test]
async fn a_click_is_not_older_than_the_event_that_it_led_to() {
    let world = world(true).await;
    captured(&world, 1, &json!({})).await;
    let mut late = purchase(&world, "before the click", json!({ "em": "ana1@example.com" }));
    late["event_time"] = json!(world.now() - 3_600);
    assert_eq!(post(&world, CONVERSIONS, Key::Secret, &late).await.status, 202);
    assert_eq!(browser_of(&world, "before the click").await.0, Value::Null);
}

#[tokio::test]
async fn who_refused_ads_or_asked_to_be_forgotten_is_not_remembered() {
    let world = world(true).await;
    captured(&world, 1, &json!({})).await;
    let denied = json!({ "consent": { "ad_storage": "denied", "ad_user_data": "denied" } });
    captured(&world, 2, &denied).await;
    // The same person once refused and once did not.
    captured(&world, 3, &json!({})).await;
    let again = json!({ "lead": { "name": "Ana", "email": "ana3@example.com" }, "consent": denied["consent"],
        "event": { "event_name": "Lead", "event_id": "again", "event_time": world.now(), "action_source": "website",
            "event_source_url": "https://www.clinica.example/" } });
    assert_eq!(post(&world, LEADS, Key::Publishable, &again).await.status, 202);
    captured(&world, 4, &json!({})).await;
    let dataset = DATASET_ID.parse().unwrap();
    let mut email = PersonKeys::default();
    let reading = Reading {
        country: None,
        current_year: 2026,
        variants: true,
    };
    email.add(MatchKey::Email, "ana4@example.com", &reading);
    let sought = PersonSought {
        lookups: world.store.lookups(dataset, &email),
        named_by: vec!["email"],
        ..PersonSought::default()
    };
    assert_eq!(
        world
            .store
            .erase_person(dataset, &sought, "bia")
            .await
            .unwrap()
            .leads,
        1
    );
    world.advance(Duration::from_secs(3 * 86_400)).await;

    let person =
        |id: u32| json!({ "em": format!("ana{id}@example.com"), "external_id": format!("visitor-{id}") });
    let mut opted_out = purchase(&world, "opted out", person(1));
    opted_out["opt_out"] = json!(true);
    for (id, event) in [
        ("refused", purchase(&world, "refused", person(2))),
        ("refused once", purchase(&world, "refused once", person(3))),
        ("forgotten", purchase(&world, "forgotten", person(4))),
        ("opted out", opted_out),
    ] {
        assert_eq!(
            post(&world, CONVERSIONS, Key::Secret, &event).await.status,
            202,
            "{id}"
        );
        assert_eq!(browser_of(&world, id).await, NOTHING, "{id}");
    }
    let refusing =
        json!({ "events": [purchase(&world, "refusing", person(1))], "consent": denied["consent"] });
    let answer = post(&world, CONVERSIONS, Key::Secret, &refusing).await;
    assert_eq!(answer.json["forwarding"], "withheld", "{answer:?}");
    assert_eq!(browser_of(&world, "refusing").await, NOTHING);
}

#[tokio::test]
async fn a_dataset_may_have_its_events_stay_as_they_came() {
    let world = world(false).await;
    captured(&world, 1, &json!({})).await;
    let event = purchase(
        &world,
        "as it came",
        json!({ "em": "ana1@example.com", "external_id": "visitor-1" }),
    );
    assert_eq!(post(&world, CONVERSIONS, Key::Secret, &event).await.status, 202);
    assert_eq!(browser_of(&world, "as it came").await, NOTHING);
}
