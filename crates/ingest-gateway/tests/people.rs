//! A person who asks what is kept, and then to be forgotten, over the admin API.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_core::dataset::DatasetDefaults;
use rastro_core::match_keys::CountryCode;
use rastro_store::DatasetSettings;
use rastro_test_support::{Answer, DATASET_ID, Key, World, eventually};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const ADMIN_KEY: &str = "ak_0123456789abcdef0123456789abcdef";
/// printf ana.souza@example.com | sha256sum
const EMAIL_SHA256: &str = "7fd726011aa08d90d14a923ea0e5e3edf63bfe14b51ee6f6429483118d197c9b";
/// Its check digits fit: 5 2 for 529982247.
const CPF: &str = "529.982.247-25";

async fn start() -> World {
    let settings = DatasetSettings {
        name: "test".into(),
        defaults: DatasetDefaults {
            country: CountryCode::parse("br"),
            currency: None,
        },
        ..DatasetSettings::default()
    };
    let world = World::with(settings, |gateway| gateway.key_refresh_seconds = 1).await;
    let key = Sha256::digest(ADMIN_KEY).into();
    world.store.put_admin_key(key, "on call").await.unwrap();
    eventually("the gateway has read the new key", || async {
        (find(&world, json!({ "lead_id": 1 })).await.status == 200).then_some(())
    })
    .await;
    world.database.execute("DELETE FROM admin_log").await;
    world
}

fn request(world: &World, dataset: &str, what: &str, body: &Value) -> reqwest::RequestBuilder {
    request_with(world, ADMIN_KEY, dataset, what, body)
}

fn request_with(
    world: &World,
    key: &str,
    dataset: &str,
    what: &str,
    body: &Value,
) -> reqwest::RequestBuilder {
    let path = format!("admin/datasets/{dataset}/people/{what}");
    world
        .client
        .post(world.conversions_url().replace("meta/conversions", &path))
        .bearer_auth(key)
        .header("x-operator", "bia")
        .json(body)
}

async fn ask(world: &World, what: &str, body: Value) -> Answer {
    World::answer(request(world, DATASET_ID, what, &body)).await
}

async fn find(world: &World, body: Value) -> Answer {
    ask(world, "find", body).await
}

/// Stores a lead as a server tells of it, and returns its number.
async fn capture(world: &World, lead: Value) -> i64 {
    let request = world
        .client
        .post(
            world
                .conversions_url()
                .replace("meta/conversions", "leads/capture"),
        )
        .bearer_auth(Key::Secret.as_str())
        .json(&json!({ "lead": lead }));
    let answer = World::answer(request).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json["lead_id"].as_i64().unwrap()
}

async fn ana(world: &World) -> i64 {
    let lead = json!({ "name": "Ana de Souza", "email": "Ana.Souza@Example.com", "phone": "(11) 91234-5678", "cpf": CPF,
        "message": "+1 consulta" });
    let lead = capture(world, lead).await;
    let contact = json!({ "event_name": "Contact", "event_id": "by-server", "event_time": world.now(),
        "action_source": "system_generated", "user_data": { "em": "ana.souza@example.com" } });
    assert_eq!(world.post(Key::Secret, &contact).await.status, 202);
    lead
}

/// Every table that could hold something of a person, as text, and the log.
async fn everything(world: &World) -> String {
    let mut all = String::new();
    for table in ["leads", "events", "event_outcomes", "admin_log", "erasures"] {
        let text = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} AS t");
        all += &world.database.value(&text).await;
    }
    all
}

#[tokio::test]
async fn a_person_is_found_shown_and_forgotten_by_whatever_names_one() {
    let world = start().await;
    let lead = ana(&world).await;
    let bob = capture(&world, json!({ "email": "bob@example.com" })).await;

    // The same person by another form, which is found by what the first one says; and who shares her phone is
    // somebody else.
    let again = capture(
        &world,
        json!({ "email": "ana.souza@example.com", "message": "de novo" }),
    )
    .await;
    let mother = capture(
        &world,
        json!({ "email": "mother@example.com", "phone": "11912345678" }),
    )
    .await;

    for name in [
        json!({ "email": " ANA.SOUZA@example.com" }),
        json!({ "cpf": "52998224725" }),
    ] {
        let found = find(&world, name.clone()).await;
        assert_eq!(
            (found.status, &found.json["leads"]),
            (200, &json!([lead, again])),
            "{name}"
        );
    }
    for name in [
        // Without the ninth digit, and with the country's.
        json!({ "phone": "+55 11 1234-5678" }),
        json!({ "lead_id": lead }),
        json!({ "email": "ana.souza@example.com", "phone": "11 91234 5678", "cpf": null }),
    ] {
        let found = find(&world, name.clone()).await;
        assert_eq!(
            (found.status, &found.json["leads"]),
            (200, &json!([lead, again, mother])),
            "{name}"
        );
    }
    let found = find(&world, json!({ "lead_id": again })).await;
    // Both leads' events, and what a server told of her; not her mother's.
    assert_eq!(
        (
            &found.json["leads"],
            found.json["events"].as_array().unwrap().len()
        ),
        (&json!([lead, again]), 3)
    );

    let shown = ask(&world, "export", json!({ "email": "ana.souza@example.com" })).await;
    assert_eq!(
        shown.json["leads"][0]["contact"]["email"],
        "Ana.Souza@Example.com"
    );
    assert_eq!(shown.json["leads"][0]["contact"]["cpf"], CPF);
    assert_eq!(shown.json["events"][1]["event_name"], "Contact");
    assert_eq!(shown.headers["cache-control"].as_bytes(), b"no-store");
    let csv = request(
        &world,
        DATASET_ID,
        "export",
        &json!({ "cpf": CPF, "format": "csv" }),
    );
    let csv = csv.send().await.unwrap();
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    let csv = csv.text().await.unwrap();
    for line in [
        format!("lead,{lead},email,Ana.Souza@Example.com\r\n"),
        format!("lead,{lead},message,\"'+1 consulta\"\r\n"),
        "event,2,event_name,Contact\r\n".to_owned(),
        format!("event,2,user_data.em.0,{EMAIL_SHA256}\r\n"),
    ] {
        assert!(
            csv.contains(&line) || csv.contains(&line.replace(".em.0", ".em")),
            "{line} in {csv}"
        );
    }

    let before = everything(&world).await;
    let dry = ask(&world, "erase", json!({ "cpf": CPF, "dry_run": true })).await;
    assert_eq!(
        (&dry.json["dry_run"], &dry.json["leads"], &dry.json["events"]),
        (&json!(true), &json!(2), &json!(3))
    );
    assert!(dry.json.get("erasure_id").is_none());
    assert!(before.contains(EMAIL_SHA256) && everything(&world).await.contains(EMAIL_SHA256));

    let receipt = ask(&world, "erase", json!({ "cpf": CPF })).await;
    assert_eq!(
        (receipt.status, &receipt.json["leads"], &receipt.json["events"]),
        (200, &json!(2), &json!(3))
    );
    assert!(receipt.json["finished_at"].is_string() && receipt.json["asked_at"].is_string());
    let left = everything(&world).await;
    assert!(!left.contains(EMAIL_SHA256), "{left}");
    assert!(find(&world, json!({ "cpf": CPF })).await.json["leads"] == json!([]));
    let kept = find(&world, json!({ "lead_id": mother })).await;
    assert_eq!(
        (&kept.json["leads"], kept.json["events"].as_array().unwrap().len()),
        (&json!([mother]), 1)
    );
    assert_eq!(
        find(&world, json!({ "email": "bob@example.com" })).await.json["leads"],
        json!([bob])
    );

    // The receipt stays to be seen, and who did what; of the person there is nothing.
    let url = world.conversions_url().replace(
        "meta/conversions",
        &format!("admin/datasets/{DATASET_ID}/erasures"),
    );
    let receipts = World::answer(world.client.get(url).bearer_auth(ADMIN_KEY)).await;
    assert_eq!(receipts.json["erasures"][0], receipt.json);
    assert_eq!(receipts.json["erasures"].as_array().unwrap().len(), 1);
    let log = "SELECT string_agg(DISTINCT who || ' ' || action || ' ' || (detail ->> 'named_by'), ', ') FROM admin_log
        WHERE detail ->> 'named_by' LIKE '%cpf%'";
    assert_eq!(
        world.database.value(log).await,
        "bia (on call) person.erase [\"cpf\"], bia (on call) person.export [\"cpf\"], bia (on call) person.find [\"cpf\"]"
    );
    let log = world
        .database
        .value("SELECT string_agg(l::text, ' ') FROM admin_log AS l")
        .await;
    for personal in ["souza", "Souza", "52998224725", "529.982", "91234", EMAIL_SHA256] {
        assert!(!log.contains(personal), "{personal} in {log}");
    }
    let erasures = "SELECT detail ->> 'erasure_id' FROM admin_log WHERE action = 'person.erase'";
    assert_eq!(
        json!(world.database.value(erasures).await),
        receipt.json["erasure_id"]
    );
}

#[tokio::test]
async fn a_claim_that_nobody_confirmed_is_forgotten_with_its_person() {
    let world = start().await;
    let claim = async |order: &str, email: &str| {
        let url = world
            .conversions_url()
            .replace("meta/conversions", "purchases/record");
        let body = json!({ "purchase": { "order_id": order, "value": 129.9, "currency": "BRL", "status": "pending" },
            "event": { "action_source": "website", "event_source_url": "https://clinica.example/",
                "user_data": { "em": email, "client_user_agent": "Mozilla/5.0" } } });
        let request = world.client.post(url).bearer_auth(Key::Secret.as_str());
        let answer = World::answer(request.json(&body)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    };
    claim("abandoned", "Ana.Souza@Example.com").await;
    claim("of-bob", "bob@example.com").await;
    let claims = "SELECT string_agg(order_id || ' ' || (claimed_event IS NOT NULL), ', ' ORDER BY order_id) FROM purchases";
    assert_eq!(world.database.value(claims).await, "abandoned true, of-bob true");

    let person = json!({ "email": "ana.souza@example.com" });
    let found = find(&world, person.clone()).await;
    assert_eq!(found.json["orders"], json!(["abandoned"]), "{found:?}");
    let erased = ask(&world, "erase", person).await;
    assert_eq!(erased.status, 200, "{erased:?}");
    assert_eq!(world.database.value(claims).await, "abandoned false, of-bob true");
}

#[tokio::test]
async fn an_event_hashed_by_metas_parameter_builder_is_forgotten_too() {
    let world = start().await;
    let event = |id: &str, email: String| {
        json!({ "event_name": "Contact", "event_id": id, "event_time": world.now(),
            "action_source": "system_generated", "user_data": { "em": email } })
    };
    let built = event("built", format!("{EMAIL_SHA256}.AQQAAQMC"));
    // printf bob@example.com | sha256sum
    let bob = "5ff860bf1190596c7188ab851db691f0f3169c453936e9e1eba2f9a47f7a0018";
    for event in [built, event("of-bob", format!("{bob}.AQQAAQMC"))] {
        assert_eq!(world.post(Key::Secret, &event).await.status, 202);
    }
    let stored = "SELECT string_agg(event_id || ' ' || (payload LIKE '%.AQQAAQMC%'), ', ' ORDER BY event_id) FROM events";
    assert_eq!(world.database.value(stored).await, "built true, of-bob true");
    let erased = ask(&world, "erase", json!({ "email": "ana.souza@example.com" })).await;
    assert_eq!(erased.json["events"], 1, "{erased:?}");
    assert_eq!(world.database.value(stored).await, "built false, of-bob true");
}

#[tokio::test]
async fn a_person_who_is_not_named_rightly_is_not_looked_for_and_never_quoted() {
    let world = start().await;
    ana(&world).await;
    let pointers = |answer: &Answer| {
        let errors = answer.json["errors"].as_array().cloned().unwrap_or_default();
        let pointers = errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned());
        pointers.collect::<Vec<_>>()
    };
    for (what, body, wrong) in [
        ("find", json!({}), vec![""]),
        ("find", json!({ "email": "nobody-at-all" }), vec!["/email"]),
        (
            "find",
            json!({ "cpf": "111.111.111-11", "phone": "x" }),
            vec!["/phone", "/cpf"],
        ),
        ("find", json!({ "lead_id": "7" }), vec!["/lead_id"]),
        (
            "find",
            json!({ "email": 7, "name": "Ana" }),
            vec!["/email", "/name"],
        ),
        ("find", json!({ "lead_id": 7, "dry_run": true }), vec!["/dry_run"]),
        ("erase", json!({ "dry_run": "yes" }), vec!["/dry_run"]),
        ("erase", json!({ "lead_id": 7, "format": "csv" }), vec!["/format"]),
        (
            "export",
            json!({ "lead_id": 7, "format": "xml" }),
            vec!["/format"],
        ),
    ] {
        let answer = ask(&world, what, body.clone()).await;
        assert_eq!(
            (answer.status, pointers(&answer)),
            (422, wrong.iter().map(|&w| w.to_owned()).collect()),
            "{body}"
        );
        assert!(!answer.json.to_string().contains("nobody-at-all"), "{answer:?}");
    }
    let elsewhere = request(&world, "987", "erase", &json!({ "lead_id": 7 }));
    assert_eq!(World::answer(elsewhere).await.status, 404);
    for (key, status) in [
        (Key::Secret.as_str(), 403),
        (Key::Publishable.as_str(), 403),
        ("ak_unknown", 401),
    ] {
        for what in ["find", "erase", "export"] {
            let body = json!({ "email": "ana.souza@example.com" });
            let answer = World::answer(request_with(&world, key, DATASET_ID, what, &body)).await;
            assert_eq!(answer.status, status, "{key} {what}");
        }
    }
    let changed = "SELECT (SELECT count(*) FROM erasures) || ' ' || (SELECT count(*) FROM admin_log)";
    assert_eq!(world.database.value(changed).await, "0 0");
    assert!(everything(&world).await.contains(EMAIL_SHA256));
}
