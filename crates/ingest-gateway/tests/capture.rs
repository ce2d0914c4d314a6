//! `POST /api/leads/capture` and `POST /api/purchases/record`, as a client sees them, and what is stored.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::time::Duration;

use futures_util::future::join_all;
use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::lead_value::LeadValue;
use rastro_core::match_keys::CountryCode;
use rastro_core::purchase::PurchaseSource;
use rastro_store::{DatasetSettings, Store};
use rastro_test_support::{Answer, DATASET_ID, Key, World};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const LEADS: &str = "/api/leads/capture";
const PURCHASES: &str = "/api/purchases/record";
/// printf ana.souza@example.com | sha256sum
const EMAIL_SHA256: &str = "7fd726011aa08d90d14a923ea0e5e3edf63bfe14b51ee6f6429483118d197c9b";
const FBC: &str = "fb.1.1790000000000.IwAR0click";

async fn world(purchase_source: PurchaseSource) -> World {
    let settings = DatasetSettings {
        name: "test".into(),
        defaults: DatasetDefaults {
            country: CountryCode::parse("br"),
            currency: Currency::parse("BRL"),
        },
        purchase_source,
        ..DatasetSettings::default()
    };
    World::with(settings, |_| {}).await
}

async fn post(world: &World, path: &str, key: Key, body: &Value) -> Answer {
    post_with(world, path, key, body, None).await
}

async fn post_with(world: &World, path: &str, key: Key, body: &Value, idempotency: Option<&str>) -> Answer {
    let url = world.conversions_url().replace("/api/meta/conversions", path);
    let mut request = world
        .client
        .post(url)
        .bearer_auth(key.as_str())
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")
        .json(body);
    if let Some(key) = idempotency {
        request = request.header("X-Idempotency-Key", key);
    }
    World::answer(request).await
}

fn page_event(world: &World, id: &str) -> Value {
    json!({
        "event_name": "Lead", "event_id": id, "event_time": world.now(), "action_source": "website",
        "event_source_url": "https://www.clinica.example/",
        "user_data": { "fbc": FBC, "fbp": "fb.1.1596403881668.1116446470", "external_id": "visitor-1" }
    })
}

fn lead(world: &World, id: &str) -> Value {
    json!({
        "lead": { "name": "Ana de Souza", "email": "Ana.Souza@Example.com", "phone": "(11) 91234-5678",
            "message": "Quero agendar", "plano": "ouro" },
        "event": page_event(world, id)
    })
}

fn order(id: &str, status: &str) -> Value {
    json!({ "purchase": { "order_id": id, "value": 129.9, "status": status, "email": "ana.souza@example.com",
        "service_type": "clareamento" } })
}

async fn count(world: &World, table: &str) -> String {
    world
        .database
        .value(&format!("SELECT count(*) FROM {table}"))
        .await
}

#[tokio::test]
async fn a_lead_is_sealed_found_again_and_its_event_has_the_pixels_id() {
    let world = world(PurchaseSource::Recorded).await;
    let answer = post(&world, LEADS, Key::Publishable, &lead(&world, "pixel-1")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(
        (&answer.json["event_id"], &answer.json["forwarding"]),
        (&json!("pixel-1"), &json!("queued"))
    );

    let payload: Value = {
        let payloads = world.database.payloads().await;
        serde_json::from_str(&payloads[0].1).unwrap()
    };
    assert_eq!(
        (&payload["event_id"], &payload["event_name"]),
        (&json!("pixel-1"), &json!("Lead"))
    );
    assert_eq!(payload["user_data"]["em"], EMAIL_SHA256);
    assert_eq!(payload["user_data"]["fbc"], FBC);

    // The lead is its event, and no word of the form is in the clear.
    let id = answer.json["lead_id"].as_i64().unwrap();
    assert_eq!(
        world
            .database
            .value("SELECT event_number::text FROM events")
            .await,
        id.to_string()
    );
    let row = world.database.value("SELECT leads::text FROM leads").await;
    for word in ["Ana", "ana.souza", "91234", "agendar", "ouro", EMAIL_SHA256] {
        assert!(!row.contains(word), "{word}");
        let hex = word.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert!(!row.contains(&hex), "{word} in hex");
    }
    let dataset = DATASET_ID.parse().unwrap();
    let contact = world.store.lead_contact(dataset, id).await.unwrap().unwrap();
    let contact: Value = serde_json::from_str(contact.expose_secret()).unwrap();
    assert_eq!(
        (&contact["message"], &contact["plano"]),
        (&json!("Quero agendar"), &json!("ouro"))
    );

    // Again is a duplicate, and no second lead.
    assert_eq!(
        post(&world, LEADS, Key::Publishable, &lead(&world, "pixel-1"))
            .await
            .status,
        409
    );
    assert_eq!(count(&world, "leads").await, "1");
}

#[tokio::test]
async fn a_servers_lead_with_a_mistyped_phone_beside_a_good_address_is_taken() {
    let world = world(PurchaseSource::Recorded).await;
    let mut body = lead(&world, "l-1");
    body["lead"]["phone"] = json!("99999-9999");
    body["lead"]["cpf"] = json!("529.982.247-26");
    // Where the visitor can be asked again, the visitor is.
    body["asks"] = json!(true);
    let answer = post(&world, LEADS, Key::Publishable, &body).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    body["asks"] = json!("yes");
    let answer = post(&world, LEADS, Key::Publishable, &body).await;
    assert_eq!(
        (answer.status, &answer.json["errors"][0]["pointer"]),
        (422, &json!("/asks"))
    );
    body.as_object_mut().unwrap().remove("asks");
    body["event"]["action_source"] = json!("system_generated");
    let answer = post(&world, LEADS, Key::Secret, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let warnings = answer.json["warnings"].as_array().unwrap();
    let mut named: Vec<&str> = warnings
        .iter()
        .map(|warning| warning["pointer"].as_str().unwrap())
        .filter(|pointer| pointer.starts_with("/lead"))
        .collect();
    named.sort_unstable();
    assert_eq!(named, ["/lead/cpf", "/lead/phone"]);
    let id = answer.json["lead_id"].as_i64().unwrap();
    let contact = world.store.lead_contact(DATASET_ID.parse().unwrap(), id).await;
    assert!(contact.unwrap().unwrap().expose_secret().contains("99999-9999"));
    let event = "events WHERE payload LIKE '%\"em\"%' AND payload NOT LIKE '%\"ph\"%'";
    assert_eq!(count(&world, event).await, "1");
    // It moves on as any other.
    let url = world
        .conversions_url()
        .replace("meta/conversions", &format!("leads/{id}"));
    let step = world.client.patch(url).bearer_auth(Key::Secret.as_str());
    let stepped = World::answer(step.json(&json!({ "status": "scheduled" }))).await;
    assert_eq!(stepped.status, 200, "{stepped:?}");
}

#[tokio::test]
async fn a_plain_form_of_a_page_is_a_lead_whatever_else_is_in_it() {
    let world = world(PurchaseSource::Recorded).await;
    let mut body = lead(&world, "form-1");
    body["lead"] = json!({ "name": "Ana", "email": "ana.souza@example.com", "phone": "99999-9999", "anexo": {},
        "g-recaptcha-response": "x".repeat(1_500), "mensagem": "z".repeat(2_000), "dias": ["seg", "ter"] });
    let answer = post(&world, LEADS, Key::Publishable, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let warnings = answer.json["warnings"].as_array().unwrap().iter();
    let mut named: Vec<&str> = warnings
        .map(|warning| warning["pointer"].as_str().unwrap())
        .filter(|pointer| pointer.starts_with("/lead"))
        .collect();
    named.sort_unstable();
    assert_eq!(
        named,
        ["/lead/anexo", "/lead/g-recaptcha-response", "/lead/phone"]
    );
    let id = answer.json["lead_id"].as_i64().unwrap();
    let contact = world.store.lead_contact(DATASET_ID.parse().unwrap(), id).await;
    let contact: Value = serde_json::from_str(contact.unwrap().unwrap().expose_secret()).unwrap();
    assert_eq!(contact["mensagem"].as_str().map(str::len), Some(2_000));
    assert_eq!(
        (&contact["dias"], &contact["phone"]),
        (&json!(["seg", "ter"]), &json!("99999-9999"))
    );
    assert!(contact.get("anexo").is_none() && contact.get("g-recaptcha-response").is_none());
}

#[tokio::test]
async fn half_a_character_costs_no_lead_and_no_order() {
    let world = world(PurchaseSource::Recorded).await;
    let cut = |body: Value| body.to_string().replace("HALF", r"\ud83d");
    let send = async |path: &str, key: Key, body: String| {
        let url = world.conversions_url().replace("/api/meta/conversions", path);
        let request = world.client.post(url).bearer_auth(key.as_str()).body(body);
        let request = request.header("user-agent", "Mozilla/5.0");
        World::answer(request.header("content-type", "application/json")).await
    };
    let mut page = lead(&world, "l-1");
    page["lead"]["message"] = json!("Sofá HALF");
    let answer = send(LEADS, Key::Publishable, cut(page)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.json["lead_id"].as_i64().unwrap();
    let contact = world.store.lead_contact(DATASET_ID.parse().unwrap(), id).await;
    let contact: Value = serde_json::from_str(contact.unwrap().unwrap().expose_secret()).unwrap();
    assert_eq!(contact["message"], "Sofá \u{fffd}");
    let mut sold = order("o-1", "approved");
    sold["purchase"]["produto"] = json!("Sofá HALF");
    let answer = send(PURCHASES, Key::Secret, cut(sold)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn a_servers_lead_whose_event_came_before_by_another_way_is_a_lead() {
    let world = world(PurchaseSource::Recorded).await;
    let event = with_agent(&json!({ "event": page_event(&world, "x") }))["event"].clone();
    assert_eq!(world.post(Key::Secret, &event).await.status, 202);
    // Whoever reads a page's key and guesses the id puts no form beside it.
    let guessed = post(&world, LEADS, Key::Publishable, &lead(&world, "x")).await;
    assert_eq!((guessed.status, guessed.json.get("lead_id")), (409, None));
    assert_eq!(count(&world, "leads").await, "0");

    let body = with_agent(&lead(&world, "x"));
    let answers = join_all((0..5).map(|_| post(&world, LEADS, Key::Secret, &body))).await;
    let (taken, known): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    assert_eq!((taken.len(), known.len()), (1, 4), "{answers:?}");
    assert_eq!(taken[0].json["forwarding"], "duplicate");
    let id = taken[0].json["lead_id"].as_i64().unwrap();
    for answer in known {
        assert_eq!(
            (answer.status, &answer.json["lead_id"]),
            (409, &json!(id)),
            "{answer:?}"
        );
    }
    let one =
        "leads l JOIN events e ON e.event_number = l.lead_id AND e.day = l.event_day WHERE e.event_id = 'x'";
    assert_eq!(
        (count(&world, one).await, count(&world, "events").await),
        ("1".into(), "1".into())
    );
    let url = world
        .conversions_url()
        .replace("meta/conversions", &format!("leads/{id}"));
    let step = world.client.patch(url).bearer_auth(Key::Secret.as_str());
    let stepped = World::answer(step.json(&json!({ "status": "qualified" }))).await;
    assert_eq!(stepped.status, 200, "{stepped:?}");
}

#[tokio::test]
async fn a_servers_lead_that_is_sent_again_because_its_answer_was_lost_is_one() {
    let world = world(PurchaseSource::Recorded).await;
    let lead = |message: &str| json!({ "lead": { "email": "ana.souza@example.com", "message": message } });
    let (first, other) = (lead("Quero agendar"), lead("Ainda quero agendar"));
    for (body, status) in [(&first, 202), (&first, 409), (&other, 202)] {
        let answer = post(&world, LEADS, Key::Secret, body).await;
        assert_eq!(answer.status, status, "{body} {answer:?}");
    }
    assert_eq!(
        (count(&world, "leads").await, count(&world, "events").await),
        ("2".into(), "2".into())
    );
}

#[tokio::test]
async fn every_wrong_field_is_named_and_nothing_of_a_refusal_is_kept() {
    let world = world(PurchaseSource::Recorded).await;
    let mut wrong = lead(&world, "x");
    wrong["lead"]["email"] = json!("ana@");
    wrong["lead"]["phone"] = json!("12");
    let answer = post(&world, LEADS, Key::Publishable, &wrong).await;
    assert_eq!(answer.status, 422);
    let mut named: Vec<&str> = answer.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    assert_eq!(named, ["/lead/email", "/lead/phone"]);
    for (value, currency) in [
        (json!(-1), "BRL"),
        (json!(0), "BRL"),
        (json!(1e12), "BRL"),
        (json!(5), "USD"),
    ] {
        let body = json!({"purchase": {"order_id": "o", "value": value, "currency": currency}});
        let answer = post(&world, PURCHASES, Key::Secret, &body).await;
        assert_eq!(answer.status, 422, "{body} {answer:?}");
    }
    for table in ["leads", "purchases", "events", "touchpoints", "idempotency_keys"] {
        assert_eq!(count(&world, table).await, "0", "{table}");
    }
    let refused = "event_outcomes WHERE outcome = 'refused'";
    assert_eq!(count(&world, refused).await, "5");
    assert_eq!(
        post(&world, LEADS, Key::Publishable, &lead(&world, "x"))
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn of_a_visitor_who_refused_everything_is_stored_and_nothing_forwarded() {
    let mut world = world(PurchaseSource::Recorded).await;
    let mut refused = lead(&world, "l-1");
    refused["event"].as_object_mut().unwrap().remove("user_data");
    refused["consent"] = json!({"ad_storage": "denied", "ad_user_data": "denied", "source": "banner"});
    refused["attribution"] = json!({"last": {"fbclid": "x", "at": world.now() * 1_000}});
    let answer = post(&world, LEADS, Key::Publishable, &refused).await;
    assert_eq!(
        (answer.status, &answer.json["forwarding"]),
        (202, &json!("withheld")),
        "{answer:?}"
    );
    // The server records the order and says nothing of consent: what the form said holds.
    let answer = post(&world, PURCHASES, Key::Secret, &order("o-1", "approved")).await;
    assert_eq!(
        (answer.status, &answer.json["forwarding"]),
        (202, &json!("withheld")),
        "{answer:?}"
    );
    world.start_forwarder();
    let census = world.settle().await;
    assert_eq!((census.accepted, census.withheld, census.delivered), (2, 2, 0));
    assert_eq!(
        count(&world, "leads WHERE ads_refused AND fbc IS NULL").await,
        "1"
    );
    assert_eq!(
        count(&world, "purchases WHERE ads_refused AND lead_id IS NOT NULL").await,
        "1"
    );
    assert_eq!(
        count(&world, "meta_events_log WHERE outcome = 'withheld'").await,
        "2"
    );
    assert_eq!(count(&world, "touchpoints").await, "0");
    let payloads = world.database.payloads().await;
    assert!(
        payloads
            .iter()
            .all(|(_, payload)| !payload.contains(EMAIL_SHA256))
    );
}

#[tokio::test]
async fn a_purchase_days_later_carries_the_click_of_its_lead() {
    let world = world(PurchaseSource::Recorded).await;
    let lead = post(&world, LEADS, Key::Publishable, &lead(&world, "l-1")).await;
    world.advance(Duration::from_secs(3 * 86_400)).await;
    let body = json!({"purchase": {"order_id": "mp-77", "value": "250.00", "phone": "+55 11 1234-5678"}});
    let answer = post(&world, PURCHASES, Key::Secret, &body).await;
    assert_eq!(
        (answer.status, &answer.json["forwarding"]),
        (202, &json!("queued")),
        "{answer:?}"
    );
    let row = world
        .database
        .value("SELECT concat_ws(' ', lead_id, match_method, amount_minor, currency, status) FROM purchases")
        .await;
    assert_eq!(row, format!("{} phone 25000 BRL approved", lead.json["lead_id"]));
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads.iter().find(|(id, _)| id == "mp-77").unwrap();
    let payload: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(payload["user_data"]["fbc"], FBC);
    assert_eq!(payload["custom_data"]["value"], json!(250.0));
}

/// What reports read of a stored event.
async fn clicks_of(world: &World, event_id: &str) -> String {
    let clicks = format!(
        "SELECT concat_ws(' ', fbclid, gclid, gbraid, wbraid, msclkid, ttclid) FROM events WHERE event_id = '{event_id}'"
    );
    world.database.value(&clicks).await
}

#[tokio::test]
async fn a_payment_on_day_four_has_the_clicks_of_day_one_with_their_times() {
    let world = world(PurchaseSource::Recorded).await;
    // Day 1: two ads lead to the page, the newer one is Meta's; the form is on another page, and cookies are
    // off.
    let clicked_at = world.now() * 1_000 - 60_000;
    let mut captured = lead(&world, "l-1");
    captured["event"]["user_data"] = json!({ "external_id": "visitor-1" });
    captured["attribution"] = json!({
        "first": { "gclid": "Cj0K", "ttclid": "E.C.P", "landing": "/", "at": clicked_at - 3_600_000 },
        "last": { "fbclid": "IwAR0last", "gclid": "Cj1K", "landing": "/", "at": clicked_at }
    });
    assert_eq!(post(&world, LEADS, Key::Publishable, &captured).await.status, 202);
    assert_eq!(clicks_of(&world, "l-1").await, "IwAR0last Cj1K E.C.P");

    // Day 4: a payment's notification knows an e-mail and nothing of any browser.
    world.advance(Duration::from_secs(3 * 86_400)).await;
    let paid = json!({"purchase": {"order_id": "mp-78", "value": 250, "email": "ana.souza@example.com"}});
    assert_eq!(post(&world, PURCHASES, Key::Secret, &paid).await.status, 202);
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads.iter().find(|(id, _)| id == "mp-78").unwrap();
    let payload: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(
        payload["user_data"]["fbc"],
        format!("fb.1.{clicked_at}.IwAR0last")
    );
    assert_eq!(clicks_of(&world, "mp-78").await, "IwAR0last Cj1K E.C.P");

    // A visitor without a lead is remembered, too: by the page's id.
    let mut visit = json!({"purchase": {"order_id": "mp-79", "value": 10, "status": "pending"}});
    visit["event"] = page_event(&world, "x");
    visit["event"]["event_name"] = json!("Purchase");
    visit["event"]["user_data"] = json!({ "external_id": "visitor-2", "client_user_agent": "Mozilla/5.0" });
    visit["attribution"] = json!({"last": {"wbraid": "W1", "fbclid": "IwAR0two", "at": clicked_at}});
    assert_eq!(
        post(&world, PURCHASES, Key::Publishable, &visit).await.status,
        202
    );
    let mut paid = json!({"purchase": {"order_id": "mp-80", "value": 10}});
    paid["event"] = json!({"event_name": "Purchase", "event_time": world.now(), "action_source": "system_generated",
        "user_data": {"external_id": "visitor-3"}});
    assert_eq!(post(&world, PURCHASES, Key::Secret, &paid).await.status, 202);
    assert_eq!(
        clicks_of(&world, "mp-80").await,
        "",
        "another's clicks are not taken"
    );
    // A server has the visitor's id from the page's cookie.
    paid["purchase"]["order_id"] = json!("mp-81");
    paid["event"]["user_data"]["external_id"] = json!("visitor-2");
    assert_eq!(post(&world, PURCHASES, Key::Secret, &paid).await.status, 202);
    assert_eq!(clicks_of(&world, "mp-81").await, "IwAR0two W1");
}

#[tokio::test]
async fn an_order_that_a_page_claimed_and_a_server_approves_keeps_its_browser() {
    let world = world(PurchaseSource::Recorded).await;
    let mut claim = json!({"purchase": {"order_id": "pix-1", "value": 250, "status": "pending"}});
    claim["event"] = page_event(&world, "x");
    claim["event"]["event_name"] = json!("Purchase");
    let claimed = post(&world, PURCHASES, Key::Publishable, &claim).await;
    assert_eq!(
        (claimed.status, &claimed.json["forwarding"]),
        (202, &json!("none")),
        "{claimed:?}"
    );
    let approved = json!({"purchase": {"order_id": "pix-1", "value": 250, "status": "approved"}});
    let answer = post(&world, PURCHASES, Key::Secret, &approved).await;
    assert_eq!(
        (answer.status, &answer.json["forwarding"]),
        (202, &json!("queued")),
        "{answer:?}"
    );
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads.iter().find(|(id, _)| id == "pix-1").unwrap();
    let payload: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(
        (&payload["user_data"]["fbc"], &payload["user_data"]["fbp"]),
        (&json!(FBC), &json!("fb.1.1596403881668.1116446470"))
    );
    assert_eq!(
        payload["user_data"]["client_user_agent"],
        "Mozilla/5.0 (X11; Linux x86_64)"
    );
    assert_eq!(payload["action_source"], "website");
    assert_eq!(payload["event_source_url"], "https://www.clinica.example/");

    // What the server says counts more, and another order has nothing of it.
    claim["purchase"]["order_id"] = json!("pix-2");
    assert_eq!(
        post(&world, PURCHASES, Key::Publishable, &claim).await.status,
        202
    );
    let mut own = order("pix-2", "approved");
    own["event"] =
        json!({ "action_source": "phone_call", "user_data": { "fbc": "fb.1.1790000000001.IwAR0own" } });
    assert_eq!(post(&world, PURCHASES, Key::Secret, &own).await.status, 202);
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads.iter().find(|(id, _)| id == "pix-2").unwrap();
    let payload: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(payload["action_source"], "phone_call");
    assert_eq!(payload["user_data"]["fbc"], "fb.1.1790000000001.IwAR0own");
    assert_eq!(payload["user_data"]["em"], EMAIL_SHA256);
    let another = json!({"purchase": {"order_id": "pix-3", "value": 250}});
    let answer = post(&world, PURCHASES, Key::Secret, &another).await;
    assert_eq!(answer.json["forwarding"], "none", "{answer:?}");

    // Of a visitor who refused there is nothing to keep.
    claim["purchase"]["order_id"] = json!("pix-4");
    claim["consent"] = json!({"ad_storage": "denied", "ad_user_data": "denied"});
    assert_eq!(
        post(&world, PURCHASES, Key::Publishable, &claim).await.status,
        202
    );
    let approved = json!({"purchase": {"order_id": "pix-4", "value": 250, "email": "bia@example.com"}});
    let answer = post(&world, PURCHASES, Key::Secret, &approved).await;
    assert_eq!(answer.json["forwarding"], "withheld", "{answer:?}");
}

#[tokio::test]
async fn an_order_moves_on_never_back_and_is_one_event() {
    let world = world(PurchaseSource::Recorded).await;
    let steps = [
        ("pending", 202, "none"),
        ("pending", 202, "none"),
        ("approved", 202, "queued"),
        ("pending", 409, ""),
        ("approved", 409, ""),
        ("refunded", 202, "none"),
        ("approved", 409, ""),
        ("cancelled", 409, ""),
    ];
    for (status, expected, forwarding) in steps {
        let answer = post(&world, PURCHASES, Key::Secret, &order("o-1", status)).await;
        assert_eq!(answer.status, expected, "{status}: {answer:?}");
        if expected == 202 {
            assert_eq!(answer.json["forwarding"], forwarding, "{status}");
        }
    }
    // The key of the event is forgotten after eight days; the order is not.
    world.advance(Duration::from_secs(20 * 86_400)).await;
    world.database.execute("DELETE FROM meta_events_dedup").await;
    let again = post(&world, PURCHASES, Key::Secret, &order("o-1", "approved")).await;
    assert_eq!(again.status, 409);
    assert_eq!(count(&world, "events").await, "1");
    let row =
        "SELECT concat_ws(' ', status, event_number = (SELECT event_number FROM events)) FROM purchases";
    assert_eq!(world.database.value(row).await, "refunded t");
}

#[tokio::test]
async fn an_order_is_recorded_also_when_nobody_can_be_found_by_it() {
    let world = world(PurchaseSource::Recorded).await;
    let answer = post(&world, LEADS, Key::Publishable, &lead(&world, "l-1")).await;
    let of_lead = answer.json["lead_id"].as_i64().unwrap();
    let record = async |more: Value| -> Answer {
        let mut purchase = json!({ "value": 10 });
        let named = more["purchase"].as_object().unwrap().clone();
        purchase.as_object_mut().unwrap().extend(named);
        let mut body = json!({ "purchase": purchase });
        if more["event"].is_object() {
            body["event"] = more["event"].clone();
        }
        post(&world, PURCHASES, Key::Secret, &body).await
    };
    let long_ago = json!({ "event_time": 1_600_000_000 });
    for (order, forwarding, warned) in [
        (json!({ "order_id": "known", "lead_id": of_lead }), "queued", ""),
        (
            json!({ "order_id": "stranger", "lead_id": 5 }),
            "none",
            "/purchase/lead_id /event/user_data",
        ),
        (
            json!({ "order_id": "cpf", "cpf": "529.982.247-25" }),
            "none",
            "/event/user_data",
        ),
        (
            json!({ "order_id": "paid" , "status": "pending" }),
            "none",
            "/event/user_data",
        ),
        (
            json!({ "order_id": "known", "status": "refunded" }),
            "none",
            "/event/user_data",
        ),
    ] {
        let answer = record(json!({ "purchase": order })).await;
        assert_eq!(
            (answer.status, &answer.json["forwarding"]),
            (202, &json!(forwarding)),
            "{order} {answer:?}"
        );
        let warnings = answer.json["warnings"].as_array().unwrap().iter();
        let pointers: Vec<&str> = warnings
            .map(|warning| warning["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(pointers.join(" "), warned, "{order}");
    }
    // The click of the lead makes the event of an order that says nothing but its lead.
    let sold = "events WHERE event_name = 'Purchase' AND payload LIKE '%IwAR0click%'";
    assert_eq!(count(&world, sold).await, "1");
    // What can be mended is refused, unless nothing depends on it.
    let paid = json!({ "purchase": { "order_id": "old", "email": "b@example.com" }, "event": long_ago });
    let refused = record(paid.clone()).await;
    assert_eq!(
        (refused.status, &refused.json["errors"][0]["pointer"]),
        (422, &json!("/event/event_time"))
    );
    let mut cancelled = paid;
    cancelled["purchase"]["status"] = json!("cancelled");
    assert_eq!(record(cancelled).await.status, 202);
    let rows = "SELECT string_agg(order_id || ' ' || status, ', ' ORDER BY order_id) FROM purchases";
    assert_eq!(
        world.database.value(rows).await,
        "cpf approved, known refunded, old cancelled, paid pending, stranger approved"
    );
}

#[tokio::test]
async fn what_was_claimed_is_kept_no_longer_than_it_takes_to_become_an_event() {
    let world = world(PurchaseSource::Recorded).await;
    let claims = "purchases WHERE claimed_event IS NOT NULL";
    for (status, kept) in [("pending", "1"), ("approved", "0")] {
        let answer = post(&world, PURCHASES, Key::Secret, &order("o-1", status)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(count(&world, claims).await, kept, "{status}");
    }
    assert_eq!(count(&world, "events").await, "1");
}

#[tokio::test]
async fn ten_records_of_an_order_at_once_are_one() {
    let world = world(PurchaseSource::Recorded).await;
    let body = order("o-1", "approved");
    let answers = join_all((0..10).map(|_| post(&world, PURCHASES, Key::Secret, &body))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(accepted, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer.status, 202 | 409)));
    assert_eq!(
        (count(&world, "events").await, count(&world, "purchases").await),
        ("1".into(), "1".into())
    );
}

#[tokio::test]
async fn a_page_claims_and_neither_approves_nor_refunds() {
    let recorded = world(PurchaseSource::Recorded).await;
    for (status, expected, pointer) in [
        ("approved", 403, "/event/event_name"),
        ("refunded", 403, "/purchase/status"),
        ("cancelled", 403, "/purchase/status"),
    ] {
        let answer = post(&recorded, PURCHASES, Key::Publishable, &order("o-1", status)).await;
        assert_eq!(
            (answer.status, &answer.json["errors"][0]["pointer"]),
            (expected, &json!(pointer))
        );
    }
    assert_eq!(count(&recorded, "purchases").await, "0");

    let verified = world(PurchaseSource::Verified).await;
    for key in [Key::Publishable, Key::Secret] {
        let mut body = order(&format!("{key:?}"), "approved");
        body["event"] = page_event(&verified, "other");
        body["event"]["user_data"]["client_user_agent"] = json!("Mozilla/5.0");
        let answer = post(&verified, PURCHASES, key, &body).await;
        assert_eq!(
            (answer.status, &answer.json["forwarding"]),
            (202, &json!("none")),
            "{answer:?}"
        );
    }
    let claims =
        "purchases WHERE status = 'pending' AND event_number IS NULL AND claimed_event LIKE '%IwAR0click%'";
    assert_eq!(count(&verified, claims).await, "2");
    assert_eq!(
        (
            count(&verified, "events").await,
            count(&verified, "meta_events_dedup").await
        ),
        ("0".into(), "0".into())
    );
}

#[tokio::test]
async fn the_same_idempotency_key_and_body_is_answered_as_before() {
    let world = world(PurchaseSource::Recorded).await;
    let mut body = lead(&world, "l-1");
    let first = post_with(&world, LEADS, Key::Secret, &with_agent(&body), Some("k-1")).await;
    assert_eq!(first.status, 202, "{first:?}");
    assert!(first.headers.get("idempotency-replayed").is_none());
    let again = post_with(&world, LEADS, Key::Secret, &with_agent(&body), Some("k-1")).await;
    assert_eq!((again.status, &again.json), (202, &first.json));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    // In the body, with another time of sending: the same.
    body["idempotency_key"] = json!("k-2");
    body["event"]["event_id"] = json!("l-2");
    let page = post(&world, LEADS, Key::Publishable, &body).await;
    body["sent_at"] = json!(world.now() * 1_000);
    let page_again = post(&world, LEADS, Key::Publishable, &body).await;
    assert_eq!((page.status, &page.json), (202, &page_again.json), "{page:?}");

    let other = post_with(
        &world,
        LEADS,
        Key::Secret,
        &with_agent(&lead(&world, "l-3")),
        Some("k-1"),
    )
    .await;
    assert_eq!(other.status, 422);
    assert_eq!(other.json["type"], "urn:rastro:problem:idempotency-key-reused");
    assert_eq!(other.json["errors"][0]["pointer"], "/X-Idempotency-Key");
    body["event"]["event_id"] = json!("l-6");
    let in_body = post(&world, LEADS, Key::Publishable, &body).await;
    assert_eq!(in_body.json["errors"][0]["pointer"], "/idempotency_key");
    // Of another API key it is another key.
    let theirs = post_with(&world, LEADS, Key::Publishable, &lead(&world, "l-4"), Some("k-1")).await;
    assert_eq!(theirs.status, 202);
    assert_eq!(count(&world, "leads").await, "3");

    // A refusal is not kept.
    let wrong = json!({"lead": {"email": "x"}});
    assert_eq!(
        post_with(&world, LEADS, Key::Secret, &wrong, Some("k-5"))
            .await
            .status,
        422
    );
    let mended = post_with(
        &world,
        LEADS,
        Key::Secret,
        &with_agent(&lead(&world, "l-5")),
        Some("k-5"),
    )
    .await;
    assert_eq!(mended.status, 202);
}

fn with_agent(lead: &Value) -> Value {
    let mut lead = lead.clone();
    lead["event"]["user_data"]["client_user_agent"] = json!("Mozilla/5.0");
    lead
}

#[tokio::test]
async fn conversions_honour_the_key_too_each_and_in_batches() {
    let world = world(PurchaseSource::Recorded).await;
    let event = |id: &str| rastro_test_support::events::lead(id, world.now());
    let path = "/api/meta/conversions";
    let batch = json!({"events": [event("a"), event("b"), {"event_name": "Lead"}]});
    for (key, body, status) in [
        ("one", event("x"), 202),
        ("many", batch, 200),
        ("again", event("x"), 409),
    ] {
        let first = post_with(&world, path, Key::Secret, &body, Some(key)).await;
        let again = post_with(&world, path, Key::Secret, &body, Some(key)).await;
        assert_eq!((first.status, again.status), (status, status), "{first:?}");
        assert_eq!(first.json, again.json);
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(first.headers["content-type"], again.headers["content-type"]);
        let other = post_with(&world, path, Key::Secret, &event("y"), Some(key)).await;
        assert_eq!(other.status, 422);
    }
    let census = world.census().await;
    assert_eq!((census.accepted, census.duplicates), (3, 1));
}

#[tokio::test]
async fn ten_at_once_under_one_key_store_one_and_the_key_is_kept_for_48_hours() {
    let world = world(PurchaseSource::Recorded).await;
    // Without an id of their own: nothing but the key tells that they are one.
    let body = json!({"lead": {"email": "ana.souza@example.com"}});
    let send = || post_with(&world, LEADS, Key::Secret, &body, Some("k"));
    let answers = join_all((0..10).map(|_| send())).await;
    assert_eq!(count(&world, "leads").await, "1", "{answers:?}");
    for answer in &answers {
        match answer.status {
            202 => assert_eq!(
                answer.json["event_id"],
                answers.iter().find(|answer| answer.status == 202).unwrap().json["event_id"]
            ),
            409 => {
                assert_eq!(answer.json["type"], "urn:rastro:problem:in-flight");
                assert!(answer.headers.contains_key("retry-after"));
            }
            _ => panic!("{answer:?}"),
        }
    }
    world.advance(Duration::from_secs(47 * 3_600)).await;
    assert_eq!(world.store.expire_idempotency_keys(100).await.unwrap(), 0);
    assert_eq!(send().await.headers["idempotency-replayed"], "true");
    world.advance(Duration::from_secs(2 * 3_600)).await;
    assert_eq!(send().await.status, 202);
    assert_eq!(count(&world, "leads").await, "2");
    world.advance(Duration::from_secs(49 * 3_600)).await;
    assert_eq!(world.store.expire_idempotency_keys(100).await.unwrap(), 1);
}

#[tokio::test]
async fn the_contacts_that_a_page_tells_of_are_stored_once() {
    let world = world(PurchaseSource::Recorded).await;
    let (day_1, day_2) = (world.now() * 1_000 - 86_400_000, world.now() * 1_000 - 60_000);
    for id in ["l-1", "l-2"] {
        let mut body = lead(&world, id);
        body["attribution"] = json!({
            "first": {"utm_source": "ig", "utm_medium": "paid_social", "landing": "/", "at": day_1},
            "last": {"gclid": "Cj0K", "referrer": "https://www.google.com/", "at": day_2}
        });
        assert_eq!(post(&world, LEADS, Key::Publishable, &body).await.status, 202);
    }
    let rows = world
        .database
        .query("SELECT channel, utm_source, gclid, landing, referrer FROM touchpoints ORDER BY touched_at")
        .await;
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(
        rows,
        [
            vec![text("paid_social"), text("ig"), None, text("/"), None],
            vec![
                text("paid_search"),
                None,
                text("Cj0K"),
                None,
                text("https://www.google.com/")
            ],
        ]
    );
}

#[tokio::test]
async fn a_contact_is_told_by_the_clock_of_its_device_and_stored_by_ours() {
    const WEEK: i64 = 7 * 86_400;
    let world = world(PurchaseSource::Recorded).await;
    for (id, off) in [("ahead", WEEK), ("behind", -WEEK)] {
        let mut body = lead(&world, id);
        let now = world.now();
        let touched_at = (now + off - 3_600) * 1_000;
        body["event"]["event_time"] = json!(now + off);
        body["event"]["user_data"]["external_id"] = json!(id);
        body["sent_at"] = json!((now + off) * 1_000);
        body["attribution"] = json!({"last": {"gclid": id, "landing": "/", "at": touched_at}});
        let answer = post(&world, LEADS, Key::Publishable, &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let stored =
            format!("SELECT extract(epoch FROM touched_at)::bigint FROM touchpoints WHERE gclid = '{id}'");
        let stored: i64 = world.database.value(&stored).await.parse().unwrap();
        // As exact as the time is known that the request took.
        assert!((stored - (now - 3_600)).abs() < 600, "{id}: {stored}");
    }
}

/// The custom data of the event of a lead that came by an ad of Google's campaign.
async fn custom_data(world: &World, id: &str, campaign: &str, own: Value) -> Value {
    let mut body = lead(world, id);
    body["attribution"] = json!({
        "first": {"utm_source": "google", "utm_id": campaign, "gclid": "Cj0K", "at": world.now() * 1_000 - 60_000},
        "last": {"utm_source": "news", "utm_medium": "email", "at": world.now() * 1_000}
    });
    body["event"]["custom_data"] = own;
    let answer = post(world, LEADS, Key::Publishable, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads.into_iter().find(|(known, _)| known == id).unwrap();
    serde_json::from_str::<Value>(&payload).unwrap()["custom_data"].clone()
}

#[tokio::test]
async fn a_lead_carries_what_its_campaign_predicts_and_nothing_is_made_up() {
    let settings = DatasetSettings {
        name: "test".into(),
        lead_value: LeadValue::Predicted,
        lead_value_minimum_orders: 40,
        ..DatasetSettings::default()
    };
    let world = World::with(settings, |gateway| gateway.key_refresh_seconds = 1).await;
    let nothing = async |id: &str, campaign: &str| custom_data(&world, id, campaign, Value::Null).await;
    assert_eq!(nothing("before", "777").await, Value::Null);
    world
        .database
        .execute(&format!(
            "INSERT INTO campaign_lead_values VALUES
                ({DATASET_ID}, 'google', '777', 'BRL', 200, 30, 40, 1234567, rastro_now()),
                ({DATASET_ID}, 'google', '888', 'BRL', 200, 30, 39, 1234567, rastro_now())"
        ))
        .await;
    let mut tries = 0..200;
    let mut told = Value::Null;
    while told.is_null() {
        let id = format!(
            "try-{}",
            tries.next().expect("the gateway reads them every second")
        );
        told = nothing(&id, "777").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // 30/200 x 12,345.67/40 = 46.296...
    assert_eq!(told, json!({"value": 46.3, "currency": "BRL"}));
    assert_eq!(nothing("below the minimum", "888").await, Value::Null);
    assert_eq!(nothing("another campaign", "999").await, Value::Null);
    let own = custom_data(
        &world,
        "own value",
        "777",
        json!({"value": 7.5, "currency": "USD"}),
    )
    .await;
    assert_eq!(own, json!({"value": 7.5, "currency": "USD"}));
    let other = custom_data(&world, "other fields", "777", json!({"plano": "ouro"})).await;
    assert_eq!(other, json!({"plano": "ouro", "value": 46.3, "currency": "BRL"}));
    world
        .database
        .execute("UPDATE datasets SET lead_value = 'none'")
        .await;
    let mut tries = 0..200;
    while !told.is_null() {
        let id = format!(
            "off-{}",
            tries.next().expect("the gateway reads settings every second")
        );
        told = nothing(&id, "777").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whatever statement it is at which the transaction ends: all of it is there, or nothing.
#[tokio::test]
async fn a_capture_whose_commit_fails_leaves_nothing() {
    let world = world(PurchaseSource::Recorded).await;
    world
        .database
        .execute("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the commit fails'; END $$")
        .await;
    let tables = [
        "meta_events_dedup",
        "events",
        "send_queue",
        "leads",
        "purchases",
        "touchpoints",
        "idempotency_keys",
    ];
    let mut body = lead(&world, "l-1");
    body["attribution"] = json!({"last": {"gclid": "x", "at": world.now() * 1_000}});
    body["event"]["user_data"]["client_user_agent"] = json!("Mozilla/5.0");
    let purchase = order("o-1", "approved");
    for when in ["DEFERRABLE INITIALLY DEFERRED", "NOT DEFERRABLE"] {
        for table in tables {
            let trigger = format!(
                "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON {table} {when} FOR EACH ROW EXECUTE FUNCTION fail()"
            );
            world.database.execute(&trigger).await;
            for (path, body) in [(LEADS, &body), (PURCHASES, &purchase)] {
                let answer = post_with(&world, path, Key::Secret, body, Some(path)).await;
                let is_untouched = match path {
                    LEADS => table == "purchases",
                    _ => matches!(table, "leads" | "touchpoints"),
                };
                assert_eq!(
                    answer.status,
                    if is_untouched { 202 } else { 503 },
                    "{table} {path}"
                );
                if is_untouched {
                    let all = tables.join(", ");
                    world.database.execute(&format!("TRUNCATE {all}")).await;
                    continue;
                }
                for left in tables {
                    assert_eq!(
                        count(&world, left).await,
                        "0",
                        "{left} after {table} failed for {path}"
                    );
                }
            }
            world
                .database
                .execute(&format!("DROP TRIGGER fail ON {table}"))
                .await;
        }
    }
    assert_eq!(
        post_with(&world, LEADS, Key::Secret, &body, Some("a"))
            .await
            .status,
        202
    );
    assert_eq!(
        post_with(&world, PURCHASES, Key::Secret, &purchase, Some("b"))
            .await
            .status,
        202
    );
    let store: &Store = &world.store;
    assert_eq!(store.census().await.unwrap().lost(), 0);
}
