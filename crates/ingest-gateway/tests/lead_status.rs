//! `PATCH /api/leads/{lead_id}`, as a business's own system sees it, and what Meta then gets.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use futures_util::future::join_all;
use rastro_core::dataset::DatasetDefaults;
use rastro_core::dedup::EventKey;
use rastro_core::event::Facts;
use rastro_core::lead_status::{LeadEvents, LeadStatus};
use rastro_core::match_keys::CountryCode;
use rastro_store::{DatasetSettings, KeptAnswer, LeadStep, NewEvent, PersonSought, Stepped};
use rastro_test_support::{Answer, DATASET_ID, Key, World};
use serde_json::{Value, json};
use uuid::Uuid;

const FBC: &str = "fb.1.1790000000000.IwAR0click";
const FBP: &str = "fb.1.1596403881668.1116446470";
/// printf ana.souza@example.com | sha256sum
const EMAIL_SHA256: &str = "7fd726011aa08d90d14a923ea0e5e3edf63bfe14b51ee6f6429483118d197c9b";
/// printf visitor-1 | sha256sum
const VISITOR_SHA256: &str = "7fce38c63fcf1dbb90f809bb4ecdb1458fed45780d367f3ab4032f3c73e5f86b";

async fn world(lead_events: &[(&str, &str)]) -> World {
    let settings = DatasetSettings {
        name: "test".into(),
        defaults: DatasetDefaults {
            country: CountryCode::parse("br"),
            currency: None,
        },
        lead_events: LeadEvents::read(lead_events.iter().copied()).unwrap(),
        ..DatasetSettings::default()
    };
    World::with(settings, |_| {}).await
}

fn url(world: &World, path: &str) -> String {
    world.conversions_url().replace("/api/meta/conversions", path)
}

/// Captures a lead from a page, and returns its number.
async fn capture(world: &World, id: &str, more: Value) -> i64 {
    let mut body = json!({
        "lead": { "name": "Ana de Souza", "email": "Ana.Souza@Example.com" },
        "event": {
            "event_name": "Lead", "event_id": id, "event_time": world.now(), "action_source": "website",
            "event_source_url": "https://www.clinica.example/",
            "user_data": { "fbc": FBC, "fbp": FBP, "external_id": "visitor-1" }
        }
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let request = world
        .client
        .post(url(world, "/api/leads/capture"))
        .bearer_auth(Key::Publishable.as_str())
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")
        .json(&body);
    let answer = World::answer(request).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json["lead_id"].as_i64().unwrap()
}

fn request(world: &World, lead: i64, status: &str) -> reqwest::RequestBuilder {
    world
        .client
        .patch(url(world, &format!("/api/leads/{lead}")))
        .bearer_auth(Key::Secret.as_str())
        .json(&json!({ "status": status }))
}

async fn step(world: &World, lead: i64, status: &str) -> Answer {
    World::answer(request(world, lead, status)).await
}

fn told(answer: &Answer) -> (u16, &Value, &Value) {
    (answer.status, &answer.json["changed"], &answer.json["forwarding"])
}

/// The payloads of the events of this name.
async fn events(world: &World, name: &str) -> Vec<Value> {
    let payloads = world
        .database
        .payloads()
        .await
        .into_iter()
        .map(|(_, payload)| payload);
    let events = payloads.filter_map(|payload| serde_json::from_str::<Value>(&payload).ok());
    events.filter(|event| event["event_name"] == name).collect()
}

#[tokio::test]
async fn a_scheduled_lead_becomes_a_schedule_with_its_click_once() {
    let world = world(&[("scheduled", "Schedule"), ("customer", "Novo Cliente")]).await;
    let lead = capture(&world, "l-1", json!({})).await;
    assert_eq!(
        told(&step(&world, lead, "qualified").await),
        (200, &json!(true), &json!("none"))
    );
    assert_eq!(
        told(&step(&world, lead, "scheduled").await),
        (200, &json!(true), &json!("queued"))
    );
    assert_eq!(
        told(&step(&world, lead, "scheduled").await),
        (200, &json!(false), &json!("none"))
    );
    // Lost and found again: it was told before.
    assert_eq!(
        told(&step(&world, lead, "lost").await),
        (200, &json!(true), &json!("none"))
    );
    assert_eq!(
        told(&step(&world, lead, "scheduled").await),
        (200, &json!(true), &json!("none"))
    );
    assert_eq!(
        told(&step(&world, lead, "customer").await),
        (200, &json!(true), &json!("queued"))
    );

    let schedules = events(&world, "Schedule").await;
    let [schedule] = schedules.as_slice() else {
        panic!("{schedules:?}")
    };
    // Longer than can be guessed, and shorter than Meta takes.
    let id = schedule["event_id"].as_str().unwrap();
    let proof = id.strip_prefix(&format!("lead-{lead}-scheduled-")).unwrap();
    assert!(
        proof.len() == 32 && proof.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    let person = &schedule["user_data"];
    assert_eq!((&person["fbc"], &person["fbp"]), (&json!(FBC), &json!(FBP)));
    assert_eq!(person["em"], EMAIL_SHA256);
    assert_eq!(person["external_id"], VISITOR_SHA256, "as the page told it");
    assert_eq!(schedule["action_source"], "system_generated");
    assert_eq!(schedule["custom_data"]["event_source"], "crm");
    assert_eq!(
        schedule["event_source_url"], "https://www.clinica.example/",
        "where it was left"
    );
    assert_eq!(schedule["event_time"], world.now(), "when it was scheduled");
    assert!(person.get("client_ip_address").is_none(), "of another day");
    assert_eq!(events(&world, "Novo Cliente").await.len(), 1);
}

#[tokio::test]
async fn ten_at_once_are_one_step_and_one_event() {
    let world = world(&[("scheduled", "Schedule")]).await;
    let lead = capture(&world, "l-1", json!({})).await;
    let answers = join_all((0..10).map(|_| step(&world, lead, "scheduled"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let changed = answers.iter().filter(|answer| answer.json["changed"] == true);
    assert_eq!(changed.count(), 1);
    assert_eq!(events(&world, "Schedule").await.len(), 1);
    assert_eq!(
        world.database.value("SELECT count(*) FROM send_queue").await,
        "2",
        "the lead and its step"
    );
}

#[tokio::test]
async fn the_same_key_is_answered_the_same_and_another_body_is_refused() {
    let world = world(&[("scheduled", "Schedule")]).await;
    let lead = capture(&world, "l-1", json!({})).await;
    let keyed = async |status: &str| {
        World::answer(request(&world, lead, status).header("X-Idempotency-Key", "k-1")).await
    };
    let first = keyed("scheduled").await;
    assert_eq!(told(&first), (200, &json!(true), &json!("queued")));
    step(&world, lead, "customer").await;
    let again = keyed("scheduled").await;
    assert_eq!(
        (&again.json, again.headers["idempotency-replayed"].as_bytes()),
        (&first.json, b"true".as_slice())
    );
    assert_eq!(keyed("lost").await.status, 422);
    // What was refused keeps no key.
    let back = request(&world, lead, "qualified").header("X-Idempotency-Key", "k-2");
    assert_eq!(World::answer(back).await.status, 409);
    let same = request(&world, lead, "customer").header("X-Idempotency-Key", "k-2");
    assert_eq!(
        told(&World::answer(same).await),
        (200, &json!(false), &json!("none"))
    );
}

#[tokio::test]
async fn of_a_visitor_who_refused_the_step_is_kept_and_nothing_forwarded() {
    let world = world(&[("scheduled", "Schedule")]).await;
    let refused = json!({"consent": {"ad_storage": "denied", "ad_user_data": "denied", "source": "banner"}});
    let lead = capture(&world, "l-1", refused).await;
    assert_eq!(
        told(&step(&world, lead, "scheduled").await),
        (200, &json!(true), &json!("withheld"))
    );
    assert_eq!(world.database.value("SELECT count(*) FROM send_queue").await, "0");
    let [schedule] = events(&world, "Schedule").await.try_into().unwrap();
    assert!(
        !schedule.to_string().contains(EMAIL_SHA256) && !schedule.to_string().contains(FBC),
        "{schedule}"
    );
    let logged =
        "SELECT string_agg(outcome, ' ' ORDER BY outcome) FROM meta_events_log WHERE event_name = 'Schedule'";
    assert_eq!(world.database.value(logged).await, "accepted withheld");
}

#[tokio::test]
async fn what_is_no_step_is_refused_clearly() {
    let world = world(&[("scheduled", "Schedule")]).await;
    let lead = capture(&world, "l-1", json!({})).await;
    assert_eq!(step(&world, lead, "customer").await.status, 200);
    let back = step(&world, lead, "scheduled").await;
    assert_eq!(
        (back.status, &back.json["type"]),
        (409, &json!("urn:rastro:problem:not-a-step"))
    );
    assert!(
        back.json["detail"].as_str().unwrap().contains("customer"),
        "{back:?}"
    );
    assert!(events(&world, "Schedule").await.is_empty());
    assert_eq!(step(&world, lead + 1, "lost").await.status, 404);
    let of = |body: Value| {
        world
            .client
            .patch(url(&world, &format!("/api/leads/{lead}")))
            .json(&body)
    };
    let secret = async |body: Value| World::answer(of(body).bearer_auth(Key::Secret.as_str())).await;
    for (body, pointers) in [
        (json!({}), vec!["/status"]),
        (json!({"status": "new"}), vec!["/status"]),
        (json!({"status": "won", "note": "x"}), vec!["/status", "/note"]),
    ] {
        let wrong = secret(body.clone()).await;
        let named: Vec<&str> = wrong.json["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["pointer"].as_str().unwrap())
            .collect();
        assert_eq!((wrong.status, named), (422, pointers), "{body}");
    }
    let refused = "SELECT string_agg(error_message, ' ') FROM meta_events_log WHERE outcome = 'refused'";
    assert_eq!(world.database.value(refused).await, "/status /status /status");
    let page = of(json!({"status": "lost"})).bearer_auth(Key::Publishable.as_str());
    assert_eq!(World::answer(page).await.status, 403);
}

#[tokio::test]
async fn a_step_whose_event_cannot_be_stored_is_not_made() {
    let world = world(&[("scheduled", "Schedule")]).await;
    let lead = capture(&world, "l-1", json!({})).await;
    world
        .database
        .execute("ALTER TABLE send_queue ADD CONSTRAINT room CHECK (first_number <= 1) NOT VALID")
        .await;
    assert_eq!(step(&world, lead, "scheduled").await.status, 503);
    let row = "SELECT status || events_of::text FROM leads";
    assert_eq!(world.database.value(row).await, "new{}");
    assert!(events(&world, "Schedule").await.is_empty());
    world
        .database
        .execute("ALTER TABLE send_queue DROP CONSTRAINT room")
        .await;
    assert_eq!(
        told(&step(&world, lead, "scheduled").await),
        (200, &json!(true), &json!("queued"))
    );
}

/// A publishable key may send a Schedule: whoever guesses the id of a lead's first must not take its place.
#[tokio::test]
async fn nobody_can_send_the_event_of_a_lead_before_the_lead_becomes_it() {
    let world = world(&[("scheduled", "Schedule")]).await;
    let (lead, next) = (
        capture(&world, "l-1", json!({})).await,
        capture(&world, "l-2", json!({})).await,
    );
    for guess in [
        format!("lead-{lead}-scheduled"),
        format!("lead-{lead}-scheduled-{:032x}", 0),
    ] {
        let strangers = json!({
            "event_name": "Schedule", "event_id": guess, "event_time": world.now(), "action_source": "website",
            "event_source_url": "https://www.clinica.example/", "user_data": { "fbp": FBP }
        });
        let sent = world
            .client
            .post(world.conversions_url())
            .bearer_auth(Key::Publishable.as_str())
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")
            .json(&strangers);
        assert_eq!(World::answer(sent).await.status, 202);
    }
    assert_eq!(
        told(&step(&world, lead, "scheduled").await),
        (200, &json!(true), &json!("queued"))
    );
    assert_eq!(
        told(&step(&world, next, "scheduled").await),
        (200, &json!(true), &json!("queued"))
    );
    let (store, dataset) = (&world.store, DATASET_ID.parse().unwrap());
    let id = |lead, status| store.step_event_id(dataset, lead, status);
    assert_eq!(id(lead, LeadStatus::Scheduled), id(lead, LeadStatus::Scheduled));
    let proof = |id: String| id.rsplit('-').next().unwrap().to_owned();
    assert_ne!(
        proof(id(lead, LeadStatus::Scheduled)),
        proof(id(next, LeadStatus::Scheduled))
    );
    assert_ne!(
        proof(id(lead, LeadStatus::Scheduled)),
        proof(id(lead, LeadStatus::Customer))
    );
}

/// All that is stored and could be the person's.
async fn everything(world: &World) -> String {
    let all = "SELECT (SELECT string_agg(l::text, ' ') FROM leads l) || (SELECT string_agg(e::text, ' ') FROM events e)";
    world.database.value(all).await
}

#[tokio::test]
async fn an_erased_lead_moves_on_is_counted_and_becomes_no_event() {
    let world = world(&[("scheduled", "Schedule"), ("customer", "Novo Cliente")]).await;
    let lead = capture(&world, "l-1", json!({})).await;
    let dataset = DATASET_ID.parse().unwrap();
    step(&world, lead, "scheduled").await;
    // By its number alone: what its contact tells is found in its events, too.
    let by_number = PersonSought {
        lead_id: Some(lead),
        named_by: vec!["lead"],
        ..PersonSought::default()
    };
    let receipt = world
        .store
        .erase_person(dataset, &by_number, "bia")
        .await
        .unwrap();
    assert_eq!((receipt.leads, receipt.events), (1, 2), "the lead and its step");
    let answer = step(&world, lead, "customer").await;
    assert_eq!(told(&answer), (200, &json!(true), &json!("none")));
    let warning = answer.json["warnings"][0]["detail"].as_str().unwrap();
    assert!(warning.contains("erased"), "{answer:?}");
    assert!(events(&world, "Novo Cliente").await.is_empty());
    assert_eq!(world.database.value("SELECT status FROM leads").await, "customer");
    assert_eq!(step(&world, lead, "lost").await.status, 409);
}

#[tokio::test]
async fn whoever_moves_a_lead_while_its_person_is_erased_brings_nothing_of_the_person_back() {
    let world = world(&[("qualified", "Lead Qualificado"), ("scheduled", "Schedule")]).await;
    let lead = capture(&world, "l-1", json!({})).await;
    let dataset = DATASET_ID.parse().unwrap();
    let (store, database) = (&world.store, &world.database);
    let stored = store.lead(dataset, lead).await.unwrap().unwrap();
    assert!(stored.contact.is_some() && !stored.ads_refused);
    // An event as it is made of what was read before the erasure.
    let event = |name: &str| NewEvent {
        key: EventKey::new(dataset, name, "made before"),
        dataset_id: dataset,
        name: name.to_owned(),
        id: "made before".to_owned(),
        event_time: world.now(),
        send_by: world.now() + 86_400,
        dedup_window_seconds: 8 * 86_400,
        action_source: "system_generated",
        facts: Facts::default(),
        test_event_code: String::new(),
        key_id: None,
        request_id: Uuid::now_v7(),
        traceparent: None,
        withheld: false,
        recall: None,
        payload: format!(r#"{{"event_name":"{name}","user_data":{{"em":"{EMAIL_SHA256}"}}}}"#),
    };
    let late = LeadStep {
        dataset_id: dataset,
        lead_id: lead,
        status: LeadStatus::Qualified,
        event: Some(event("Lead Qualificado")),
        idempotency: None,
    };
    // Erasures are interrupted where they first look for events: what was done before that has been
    // committed.
    database
        .execute("ALTER TABLE event_outcomes RENAME TO hidden_outcomes")
        .await;
    let person = PersonSought {
        lead_id: Some(lead),
        named_by: vec!["lead"],
        ..PersonSought::default()
    };
    store.erase_person(dataset, &person, "bia").await.unwrap_err();
    database
        .execute("ALTER TABLE hidden_outcomes RENAME TO event_outcomes")
        .await;
    let nothing_kept = |_: &Stepped| KeptAnswer {
        status: 200,
        body: String::new(),
    };
    let stepped = store.move_lead(&late, nothing_kept).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Now {
            changed: true,
            acceptance: None
        }
    );
    assert!(events(&world, "Lead Qualificado").await.is_empty());

    // Asked for again it goes on, and finds what it would have found.
    let receipt = store.erase_person(dataset, &person, "bia").await.unwrap();
    assert_eq!((receipt.leads, receipt.events), (1, 1));
    let after = LeadStep {
        status: LeadStatus::Scheduled,
        event: Some(event("Schedule")),
        ..late
    };
    let stepped = store.move_lead(&after, nothing_kept).await.unwrap();
    assert_eq!(
        stepped,
        Stepped::Now {
            changed: true,
            acceptance: None
        }
    );
    let all = everything(&world).await;
    assert!(!all.contains(EMAIL_SHA256) && !all.contains(FBC), "{all}");
}
