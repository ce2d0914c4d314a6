//! `POST /v{version}/{dataset}/events`, as a client of Meta's Graph API sees it, and what is stored.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use rastro_test_support::events::{lead, purchase};
use rastro_test_support::{Answer, DATASET_ID, Key, World};
use serde_json::{Value, json};

/// printf ana.souza@example.com | sha256sum
const EMAIL_SHA256: &str = "7fd726011aa08d90d14a923ea0e5e3edf63bfe14b51ee6f6429483118d197c9b";
const SECRET: &str = "sk_0123456789abcdef0123456789abcdef";

fn url(world: &World, path: &str) -> String {
    world.conversions_url().replace("/api/meta/conversions", path)
}

fn edge(world: &World) -> String {
    url(world, &format!("/v24.0/{DATASET_ID}/events"))
}

async fn post(world: &World, body: &Value) -> Answer {
    World::answer(world.client.post(edge(world)).bearer_auth(SECRET).json(body)).await
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

async fn post_form(world: &World, fields: &[(&str, &str)]) -> Answer {
    let request = world
        .client
        .post(edge(world))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(fields));
    World::answer(request).await
}

#[tokio::test]
async fn events_are_stored_and_the_answer_is_metas_and_findable() {
    let world = World::start().await;
    let data = json!({"data": [lead("lead-1", world.now()), purchase("order-1", world.now())]});
    let answer = post(&world, &data).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        (&answer.json["events_received"], &answer.json["messages"]),
        (&json!(2), &json!([]))
    );
    let fbtrace_id = answer.json["fbtrace_id"].as_str().unwrap();
    let logged = format!("SELECT count(*) FROM meta_events_log WHERE request_id = '{fbtrace_id}'");
    assert_eq!(world.database.value(&logged).await, "2");
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads.iter().find(|(id, _)| id == "lead-1").unwrap();
    let payload: Value = serde_json::from_str(payload).unwrap();
    assert_eq!(payload["user_data"]["em"], EMAIL_SHA256);

    // A repeat counts as received, as at Meta, and is no second event, by whichever door.
    assert_eq!(post(&world, &data).await.json["events_received"], 2);
    assert_eq!(
        world.post(Key::Secret, &lead("lead-1", world.now())).await.status,
        409
    );
    let census = world.census().await;
    assert_eq!((census.accepted, census.duplicates), (2, 3));
}

#[tokio::test]
async fn every_address_encoding_and_place_of_the_key_is_taken() {
    let world = World::start().await;
    let event = |id: &str| lead(id, world.now());
    let as_text = |id: &str| event(id).to_string();
    let list_of_texts = |id: &str| json!([as_text(id)]).to_string();
    let query = |path: &str| format!("{}?access_token={SECRET}", url(&world, path));
    let client = &world.client;
    let json_body = |id: &str| json!({"data": [event(id)], "access_token": SECRET, "id": DATASET_ID, "partner_agent": null});
    let form_type = ("content-type", "application/x-www-form-urlencoded");
    let versioned = format!("/v25.0/{DATASET_ID}/events");
    let multipart = format!(
        "--x\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n[{}]\r\n\
         --x\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\n{SECRET}\r\n--x--\r\n",
        as_text("e")
    );
    let requests = [
        client
            .post(query(&versioned))
            .json(&json!({"data": [event("a")]})),
        client
            .post(url(&world, &format!("/{DATASET_ID}/events/")))
            .json(&json_body("b")),
        client
            .post(query(&versioned))
            .header(form_type.0, form_type.1)
            .body(form(&[
                ("data", &list_of_texts("c")),
                ("namespace_id", "1"),
                ("upload_tag", "t"),
            ])),
        client
            .post(url(&world, &versioned))
            .header(form_type.0, form_type.1)
            .body(form(&[
                ("data", &format!("[{}]", as_text("d"))),
                ("access_token", SECRET),
            ])),
        client
            .post(url(&world, &versioned))
            .header("content-type", "multipart/form-data; boundary=x")
            .body(multipart),
        client
            .post(query(&versioned))
            .bearer_auth(SECRET)
            .json(&json!({"data": as_text("f"), "access_token": SECRET})),
    ];
    for request in requests {
        let answer = World::answer(request).await;
        assert_eq!(
            (answer.status, &answer.json["events_received"]),
            (200, &json!(1)),
            "{answer:?}"
        );
    }
    // Meta's own gateway, as its PHP SDK speaks to it.
    let gateway = json!({"data": [event("g")], "accessKey": SECRET});
    let answer = World::answer(
        client
            .post(url(&world, &format!("/capi/{DATASET_ID}/events")))
            .json(&gateway),
    )
    .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(world.census().await.accepted, 7);
}

#[tokio::test]
async fn a_wrong_key_or_dataset_is_refused_with_metas_code() {
    let world = World::start().await;
    let body = json!({"data": [lead("lead-1", world.now())]});
    let send = async |path: &str, bearer: Option<&str>, body: &Value| {
        let request = world.client.post(url(&world, path)).json(body);
        World::answer(match bearer {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
        .await
    };
    let path = format!("/v24.0/{DATASET_ID}/events");
    let mut with_key = body.clone();
    with_key["access_token"] = json!("sk_another");
    for (path, bearer, body, status, code, subcode) in [
        (&*path, None, &body, 401, 190, Value::Null),
        (&path, Some("EAAnobodys"), &body, 401, 190, Value::Null),
        (
            &path,
            Some(Key::Publishable.as_str()),
            &body,
            401,
            190,
            Value::Null,
        ),
        (&path, Some(SECRET), &with_key, 401, 190, Value::Null),
        (&path, None, &with_key, 401, 190, Value::Null),
        ("/v24.0/999/events", Some(SECRET), &body, 400, 100, json!(33)),
        ("/v24.0/me/events", Some(SECRET), &body, 400, 100, json!(33)),
    ] {
        let answer = send(path, bearer, body).await;
        let error = &answer.json["error"];
        assert_eq!(
            (
                answer.status,
                &error["code"],
                &error["error_subcode"],
                &error["type"]
            ),
            (status, &json!(code), &subcode, &json!("OAuthException")),
            "{path} {answer:?}"
        );
        assert_eq!(error["is_transient"], false);
        assert!(error["fbtrace_id"].is_string() && error["message"].is_string());
    }
    let get = World::answer(world.client.get(edge(&world))).await;
    assert_eq!((get.status, &get.json["error"]["code"]), (405, &json!(100)));
    // What is wrong with a request whose sender is known is in the log.
    for wrong in [json!({"data": 7}), json!({})] {
        let answer = send(&path, Some(SECRET), &wrong).await;
        assert_eq!(answer.status, 400, "{wrong} {answer:?}");
    }
    let form = world
        .client
        .post(edge(&world))
        .bearer_auth(SECRET)
        .header("content-type", "text/csv");
    assert_eq!(World::answer(form.body("a,b")).await.status, 415);
    let torn = world
        .client
        .post(edge(&world))
        .bearer_auth(SECRET)
        .header("content-type", "application/json");
    assert_eq!(World::answer(torn.body("{")).await.status, 400);
    let refused =
        "SELECT string_agg(error_message, ' ' ORDER BY error_message COLLATE \"C\") FROM meta_events_log
        WHERE outcome = 'refused' AND key_id IS NOT NULL";
    assert_eq!(
        world.database.value(refused).await,
        "/Content-Type /body /data /data /dataset_id /dataset_id"
    );
    assert_eq!(world.census().await.accepted, 0);
}

#[tokio::test]
async fn a_key_that_a_browser_shows_is_refused_and_that_is_logged() {
    let world = World::start().await;
    let request = world
        .client
        .post(edge(&world))
        .header("origin", "https://www.clinica.example")
        .bearer_auth(SECRET)
        .json(&json!({"data": [lead("lead-1", world.now())]}));
    let answer = World::answer(request).await;
    assert_eq!(
        (answer.status, &answer.json["error"]["code"]),
        (401, &json!(190)),
        "{answer:?}"
    );
    let refused = "SELECT count(*) FROM meta_events_log WHERE outcome = 'refused'";
    assert_eq!(world.database.value(refused).await, "1");
    assert_eq!(world.census().await.accepted, 0);
}

#[tokio::test]
async fn one_bad_event_refuses_the_request_and_nothing_of_it_is_stored() {
    let world = World::start().await;
    let now = world.now();
    let mut worthless = purchase("order-2", now);
    worthless["custom_data"] = json!({"currency": "BRL"});
    let mut nobody = lead("lead-3", now);
    nobody["user_data"] = json!({"client_user_agent": "Mozilla/5.0", "country": "br"});
    for (bad, subcode, field) in [
        (
            lead("old", now - 8 * 86_400),
            2_804_003,
            json!(["data", "1", "event_time"]),
        ),
        (worthless, 2_804_009, json!(["data", "1", "custom_data", "value"])),
        (nobody, 2_804_050, json!(["data", "1", "user_data"])),
        (json!("{"), 2_804_019, json!(["data", "1"])),
        (json!(7), 2_804_019, json!(["data", "1"])),
    ] {
        let answer = post(
            &world,
            &json!({"data": [lead("good", now), bad, lead("good-2", now)]}),
        )
        .await;
        let error = &answer.json["error"];
        assert_eq!((answer.status, &error["code"]), (400, &json!(100)), "{answer:?}");
        assert_eq!(error["error_subcode"], subcode, "{answer:?}");
        assert_eq!(error["error_data"]["blame_field_specs"][0], field, "{answer:?}");
        assert!(
            error["message"].as_str().unwrap().contains("['data'][1]"),
            "{answer:?}"
        );
        let trace = error["fbtrace_id"].as_str().unwrap();
        let logged = format!(
            "SELECT count(*) FROM meta_events_log WHERE request_id = '{trace}' AND outcome = 'refused'"
        );
        assert_eq!(world.database.value(&logged).await, "1");
    }
    assert_eq!(world.census().await.accepted, 0);
    // Mended, the batch arrives.
    let mended = json!({"data": [lead("good", now), lead("old", now - 3_600), lead("good-2", now)]});
    assert_eq!(post(&world, &mended).await.json["events_received"], 3);
    let too_many: Vec<Value> = vec![lead("x", now); 1_001];
    assert_eq!(post(&world, &json!({"data": too_many})).await.status, 413);
    assert_eq!(world.census().await.accepted, 3);
}

#[tokio::test]
async fn hashes_pass_raw_values_are_hashed_and_nulls_say_nothing() {
    let world = World::start().await;
    let mut event = lead("n", world.now());
    event["user_data"] = json!({
        "em": [EMAIL_SHA256.to_uppercase(), null, ""], "ph": [null], "ge": null, "fn": "Ana",
        "client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0", "fbc": null, "external_id": 12345
    });
    for name in [
        "app_data",
        "original_event_data",
        "attribution_data",
        "custom_data",
        "opt_out",
        "referrer_url",
    ] {
        event[name] = Value::Null;
    }
    let body = json!({"data": [event], "test_event_code": "TEST7", "namespace_id": null, "upload_id": null,
        "upload_tag": null, "upload_source": null, "partner_agent": null, "trace": null});
    let answer = post(&world, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let payload: Value = serde_json::from_str(&world.database.payloads().await[0].1).unwrap();
    assert_eq!(payload["user_data"]["em"], EMAIL_SHA256);
    // printf ana | sha256sum
    assert_eq!(
        payload["user_data"]["fn"],
        "24d4b96f58da6d4a8512313bbd02a28ebf0ca95dec6e4c86ef78ce7f01e788ac"
    );
    let code = world.database.value("SELECT test_event_code FROM events").await;
    assert_eq!(code, "TEST7");
}

#[tokio::test]
async fn ten_at_once_are_one_event_and_ten_successes() {
    let world = World::start().await;
    let body = json!({"data": [lead("once", world.now())]});
    let answers = join_all((0..10).map(|_| post(&world, &body))).await;
    assert!(
        answers.iter().all(|answer| answer.json["events_received"] == 1),
        "{answers:?}"
    );
    let census = world.census().await;
    assert_eq!((census.accepted, census.duplicates), (1, 9));
}

#[tokio::test]
async fn without_a_database_the_answer_is_metas_that_makes_clients_try_again() {
    let world = World::start().await;
    // The key is known by then.
    assert_eq!(
        post(&world, &json!({"data": [lead("first", world.now())]}))
            .await
            .status,
        200
    );
    world
        .database
        .execute("ALTER TABLE events RENAME TO events_away")
        .await;
    let answer = post(&world, &json!({"data": [lead("second", world.now())]})).await;
    let error = &answer.json["error"];
    assert_eq!((answer.status, &error["code"]), (503, &json!(2)), "{answer:?}");
    assert_eq!(error["is_transient"], true);
    assert!(answer.headers.contains_key("retry-after"));
    world
        .database
        .execute("ALTER TABLE events_away RENAME TO events")
        .await;
    assert_eq!(
        post(&world, &json!({"data": [lead("second", world.now())]}))
            .await
            .status,
        200
    );
}

/// The shapes that the reference read in the tag managers' and the platforms' own source: GTM's server-side
/// tags by Meta and by Stape, RudderStack.
#[tokio::test]
async fn server_side_tag_managers_are_understood() {
    let world = World::start().await;
    let event = |id: &str| {
        json!({
            "event_name": "Purchase", "event_time": world.now(), "event_id": id, "action_source": "website",
            "event_source_url": "https://loja.example/obrigado?fbclid=IwAR0x",
            "user_data": {
                "client_ip_address": "203.0.113.7", "client_user_agent": "Mozilla/5.0", "em": EMAIL_SHA256,
                "fbp": "fb.1.1596403881668.1116446470", "fbc": "fb.1.1596403881668.IwAR0x"
            },
            "custom_data": {"currency": "BRL", "value": 129.9, "order_id": id, "content_type": "product",
                "contents": [{"id": "7", "quantity": 1, "item_price": 129.9}]}
        })
    };
    let query = format!("{}?access_token={SECRET}", edge(&world));
    let metas =
        json!({"data": [event("gtm")], "partner_agent": "gtmss-1.0.0-0.0.9", "test_event_code": "TEST1"});
    let stapes = json!({"data": [event("stape")], "partner_agent": "stape-gtmss-2.1.3-ee"});
    for body in [metas, stapes] {
        let answer = World::answer(world.client.post(&query).json(&body)).await;
        assert_eq!(
            (answer.status, &answer.json["messages"]),
            (200, &json!([])),
            "{answer:?}"
        );
    }
    let rudder = json!([event("rudder").to_string()]).to_string();
    let answer = post_form(
        &world,
        &[
            ("data", &rudder),
            ("test_event_code", "TEST1"),
            ("access_token", SECRET),
        ],
    )
    .await;
    assert_eq!(
        (answer.status, &answer.json["events_received"]),
        (200, &json!(1)),
        "{answer:?}"
    );
    assert_eq!(world.census().await.accepted, 3);
}

/// Everything that is logged, at the most talkative level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_key_and_no_query_is_ever_logged() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let world = World::start().await;
    let query = format!("{}?access_token={SECRET}&secret=querymark", edge(&world));
    let body = json!({"data": [lead("lead-1", world.now())]});
    let answer = World::answer(world.client.post(&query).json(&body)).await;
    assert_eq!(answer.status, 200);
    let wrong = format!("{}?access_token=sk_unknownmark", edge(&world));
    assert_eq!(
        World::answer(world.client.post(&wrong).json(&body)).await.status,
        401
    );
    let seen = World::answer(
        world
            .client
            .post(&query)
            .header("origin", "https://x.example")
            .json(&body),
    )
    .await;
    assert_eq!(seen.status, 401);
    drop(world);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("was shown to a browser"), "the log is read");
    // The client of this test logs its own addresses; the services do not.
    let services = log
        .lines()
        .filter(|line| !line.contains("hyper") && !line.contains("reqwest"));
    for line in services {
        for secret in [SECRET, "querymark", "unknownmark"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}
