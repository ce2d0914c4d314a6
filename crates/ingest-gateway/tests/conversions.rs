//! `POST /api/meta/conversions`, as a client sees it, and what is stored.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rastro_core::dataset::{Currency, DatasetDefaults};
use rastro_core::match_keys::CountryCode;
use rastro_store::DatasetSettings;
use rastro_test_support::events::{lead, purchase};
use rastro_test_support::{Key, World};
use serde_json::{Value, json};

fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

fn settings(defaults: DatasetDefaults) -> DatasetSettings {
    DatasetSettings {
        name: "test".into(),
        defaults,
        ..Default::default()
    }
}

async fn stored_payload(world: &World, event_id: &str) -> Value {
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads.iter().find(|(id, _)| id == event_id).unwrap();
    serde_json::from_str(payload).unwrap()
}

#[tokio::test]
async fn an_event_is_accepted_stored_with_hashed_identifiers_and_queued() {
    let world = World::start().await;
    let answer = world.post(Key::Secret, &lead("lead-1", world.now())).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json["status"], "accepted");
    assert_eq!(
        (&answer.json["event_name"], &answer.json["event_id"]),
        (&json!("Lead"), &json!("lead-1"))
    );

    let payload = stored_payload(&world, "lead-1").await;
    // printf ana.souza@example.com | sha256sum
    assert_eq!(
        payload["user_data"]["em"],
        "7fd726011aa08d90d14a923ea0e5e3edf63bfe14b51ee6f6429483118d197c9b"
    );
    assert_eq!(payload["user_data"]["client_ip_address"], "203.0.113.7");
    let request_id = world.database.value("SELECT request_id::text FROM events").await;
    assert_eq!(answer.json["request_id"], request_id);
    let census = world.census().await;
    assert_eq!((census.accepted, census.ready), (1, 1));
}

#[tokio::test]
async fn the_same_event_again_is_a_conflict_that_says_since_when() {
    let world = World::start().await;
    assert_eq!(
        world.post(Key::Secret, &lead("lead-1", world.now())).await.status,
        202
    );
    let again = world.post(Key::Secret, &lead("lead-1", world.now() - 5)).await;
    assert_eq!(again.status, 409);
    assert_eq!(again.headers["content-type"], "application/problem+json");
    assert_eq!(again.json["type"], "urn:rastro:problem:duplicate");
    let first_received_at: chrono::DateTime<chrono::Utc> =
        again.json["first_received_at"].as_str().unwrap().parse().unwrap();
    let received_at = world
        .database
        .value("SELECT extract(epoch FROM received_at)::text FROM events")
        .await;
    let received_at = (received_at.parse::<f64>().unwrap() * 1e6).round() as i64;
    assert_eq!(first_received_at.timestamp_micros(), received_at);
    // Another name with the same id is another event.
    let mut other = lead("lead-1", world.now());
    other["event_name"] = json!("Contact");
    assert_eq!(world.post(Key::Secret, &other).await.status, 202);
    let census = world.census().await;
    assert_eq!((census.accepted, census.duplicates), (2, 1));
}

#[tokio::test]
async fn every_wrong_field_of_an_event_is_named_at_once() {
    let world = World::start().await;
    let answer = world
        .post(
            Key::Secret,
            &json!({
                "event_name": "Purchase",
                "event_time": world.now() * 1_000,
                "event_id": "p-1",
                "action_source": "site",
                "evnt_source_url": "https://loja.example/",
                "user_data": { "em": "ana@example.com", "phone": "11 91234-5678" },
                "custom_data": { "value": "12,90" }
            }),
        )
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json["type"], "urn:rastro:problem:invalid-event");
    let mut named = pointers(&answer.json);
    named.sort_unstable();
    for pointer in [
        "/action_source",
        "/custom_data/value",
        "/event_time",
        "/evnt_source_url",
        "/user_data/phone",
    ] {
        assert!(named.contains(&pointer), "{pointer} is not among {named:?}");
    }
    assert_eq!(world.census().await.accepted, 0);
}

#[tokio::test]
async fn one_bad_event_never_costs_its_batch() {
    let world = World::start().await;
    let now = world.now();
    assert_eq!(world.post(Key::Secret, &lead("old", now)).await.status, 202);
    let too_old = lead("too-old", now - 8 * 86_400);
    let events = json!({"events": [lead("a", now), too_old, lead("old", now), lead("a", now), 7]});
    let answer = world.post(Key::Secret, &events).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let results = answer.json["results"].as_array().unwrap();
    let statuses: Vec<_> = results
        .iter()
        .map(|result| result["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["accepted", "rejected", "duplicate", "duplicate", "rejected"]
    );
    assert_eq!(results[1]["errors"][0]["pointer"], "/events/1/event_time");
    assert_eq!(results[4]["errors"][0]["pointer"], "/events/4");
    assert!(results[2]["first_received_at"].is_string() && results[3]["first_received_at"].is_string());
    let counts = ["accepted", "duplicate", "rejected"].map(|name| answer.json[name].as_u64().unwrap());
    assert_eq!(counts, [1, 2, 2]);
    assert_eq!(world.census().await.accepted, 2);
}

#[tokio::test]
async fn each_refusal_has_its_own_status_and_tells_why() {
    let world = World::with(settings(DatasetDefaults::default()), |config| {
        config.max_body_bytes = 2_000;
    })
    .await;
    let url = world.conversions_url();
    let post = || world.client.post(&url).bearer_auth(Key::Secret.as_str());
    let json_type = "application/json";
    let big = format!("{{\"event_name\":\"{}\"}}", "x".repeat(3_000));
    let rows = [
        (world.client.post(&url).json(&json!({})), 401, "unauthorized"),
        (
            world
                .client
                .post(&url)
                .basic_auth("sk", Some("x"))
                .json(&json!({})),
            401,
            "unauthorized",
        ),
        (
            world.client.post(&url).bearer_auth("sk_wrong").json(&json!({})),
            401,
            "unauthorized",
        ),
        (
            post().header("content-type", json_type).body("{\"a\":"),
            400,
            "malformed",
        ),
        (
            post().header("content-type", json_type).body(""),
            400,
            "malformed",
        ),
        (
            post()
                .header("content-type", json_type)
                .body(vec![b'"', 0xff, b'"']),
            400,
            "malformed",
        ),
        (
            post().header("content-type", json_type).body(big),
            413,
            "too-large",
        ),
        (
            post().header("content-type", "text/plain").body("{}"),
            415,
            "unsupported-media-type",
        ),
        (post().body("{}"), 415, "unsupported-media-type"),
        (
            post()
                .header("content-type", json_type)
                .header("content-encoding", "br")
                .body("x"),
            415,
            "unsupported-media-type",
        ),
        (
            post()
                .header("content-type", json_type)
                .header("content-encoding", "gzip")
                .body("x"),
            400,
            "malformed",
        ),
        (post().json(&json!({"events": []})), 422, "invalid-event"),
        (
            post().json(&json!({"events": [{}], "test": 1})),
            422,
            "invalid-event",
        ),
        (post().json(&json!([])), 422, "invalid-event"),
        (world.client.get(&url), 405, "method-not-allowed"),
        (
            world.client.get(url.replace("conversions", "nothing")),
            404,
            "not-found",
        ),
    ];
    for (request, status, kind) in rows {
        let answer = World::answer(request).await;
        assert_eq!(answer.status, status, "{kind}: {answer:?}");
        assert_eq!(answer.json["type"], format!("urn:rastro:problem:{kind}"));
        assert_eq!(answer.json["status"], status);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(answer.json["request_id"].is_string() && answer.json["detail"].is_string());
    }
    assert_eq!(world.census().await.accepted, 0);
}

#[tokio::test]
async fn a_key_that_sends_too_much_is_told_when_to_go_on() {
    let world = World::with(settings(DatasetDefaults::default()), |config| {
        config.max_events_per_second_per_key = 3;
    })
    .await;
    let batch = |prefix: &str| json!({"events": (0..3).map(|n| lead(&format!("{prefix}{n}"), world.now())).collect::<Vec<_>>()});
    assert_eq!(world.post(Key::Secret, &batch("a")).await.status, 200);
    let refused = world.post(Key::Secret, &batch("b")).await;
    assert_eq!(refused.status, 429);
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds), "{seconds}");
    // The other key has its own measure.
    assert_eq!(
        world.post(Key::Publishable, &lead("c", world.now())).await.status,
        202
    );
    assert_eq!(world.census().await.accepted, 4);
}

#[tokio::test]
async fn a_browser_request_tells_the_visitor_and_a_server_request_does_not() {
    let world = World::start().await;
    let mut event = lead("browser", world.now());
    event["event_source_url"] = json!("https://www.clinica.example/?fbclid=IwAR0_aB-c");
    let user_data = event["user_data"].as_object_mut().unwrap();
    user_data.remove("client_ip_address");
    user_data.remove("client_user_agent");
    let send = |key: Key, event: &Value| {
        let request = world
            .client
            .post(world.conversions_url())
            .bearer_auth(key.as_str())
            .json(event);
        let request = request
            .header("x-forwarded-for", "198.51.100.9, 203.0.113.77")
            .header("user-agent", "Firefox/140");
        World::answer(request.header("cookie", "_fbp=fb.1.1596403881668.1116446470; a=b"))
    };
    let answer = send(Key::Publishable, &event).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let user_data = stored_payload(&world, "browser").await["user_data"].clone();
    assert_eq!(user_data["client_ip_address"], "203.0.113.77");
    assert_eq!(user_data["client_user_agent"], "Firefox/140");
    assert_eq!(user_data["fbp"], "fb.1.1596403881668.1116446470");
    let clicked_at = world.now() * 1_000;
    assert_eq!(user_data["fbc"], format!("fb.1.{clicked_at}.IwAR0_aB-c"));

    event["event_id"] = json!("server");
    let answer = send(Key::Secret, &event).await;
    assert_eq!(answer.status, 422);
    assert_eq!(pointers(&answer.json), ["/user_data/client_user_agent"]);
}

#[tokio::test]
async fn currency_and_country_are_assumed_only_where_the_owner_said_so() {
    let world = World::start().await;
    let mut event = purchase("p-1", world.now());
    event["custom_data"].as_object_mut().unwrap().remove("currency");
    let answer = world.post(Key::Secret, &event).await;
    assert_eq!(answer.status, 422);
    assert_eq!(pointers(&answer.json), ["/custom_data/currency"]);

    let defaults = DatasetDefaults {
        country: CountryCode::parse("br"),
        currency: Currency::parse("BRL"),
    };
    let world = World::with(settings(defaults), |_| {}).await;
    event["user_data"]["ph"] = json!("(11) 91234-5678");
    assert_eq!(world.post(Key::Secret, &event).await.status, 202);
    let payload = stored_payload(&world, "p-1").await;
    assert_eq!(payload["custom_data"]["currency"], "BRL");
    // Rows 86 and 100 of the reference.
    assert_eq!(
        payload["user_data"]["ph"],
        "eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704"
    );
    assert_eq!(
        payload["user_data"]["country"],
        "885036a0da3dff3c3e05bc79bf49382b12bc5098514ed57ce0875aba1aa2c40d"
    );
}

#[tokio::test]
async fn a_value_that_identifies_nobody_is_left_out_with_a_warning() {
    let world = World::start().await;
    let mut event = lead("lead-1", world.now());
    event["user_data"]["em"] = json!("not-an-email");
    let answer = world.post(Key::Secret, &event).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json["warnings"][0]["pointer"], "/user_data/em");
    assert!(
        !answer.json["warnings"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("not-an-email")
    );
    assert!(
        stored_payload(&world, "lead-1").await["user_data"]
            .get("em")
            .is_none()
    );
}

#[tokio::test]
async fn an_event_without_an_id_gets_one_from_its_content() {
    let world = World::start().await;
    let mut event = lead("", world.now());
    event.as_object_mut().unwrap().remove("event_id");
    let first = world.post(Key::Secret, &event).await;
    assert_eq!(first.status, 202, "{first:?}");
    assert!(first.json["event_id"].as_str().unwrap().starts_with("auto-"));
    assert_eq!(world.post(Key::Secret, &event).await.status, 409);
    event["custom_data"]["service_type"] = json!("implante");
    assert_eq!(world.post(Key::Secret, &event).await.status, 202);
}

#[tokio::test]
async fn a_new_key_works_at_once_and_a_revoked_one_stops_working() {
    let world = World::with(settings(DatasetDefaults::default()), |config| {
        config.key_refresh_seconds = 1;
    })
    .await;
    assert_eq!(world.post(Key::Secret, &lead("a", world.now())).await.status, 202);
    world
        .database
        .execute("UPDATE api_keys SET revoked_at = now() WHERE kind = 'secret'")
        .await;
    let revoked = || async {
        let answer = world.post(Key::Secret, &lead("a", world.now())).await;
        (answer.status == 401).then_some(())
    };
    rastro_test_support::eventually("the revoked key is refused", revoked).await;
    assert_eq!(
        world.post(Key::Publishable, &lead("b", world.now())).await.status,
        202
    );
}

#[tokio::test]
async fn only_the_hash_of_a_key_and_a_sealed_token_are_stored() {
    let world = World::start().await;
    for table in ["api_keys", "datasets"] {
        let rows = world
            .database
            .query(&format!(
                "SELECT t::text, encode(t::text::bytea, 'escape') FROM {table} t"
            ))
            .await;
        let text = format!("{rows:?}");
        for secret in [
            Key::Secret.as_str(),
            Key::Publishable.as_str(),
            rastro_test_support::ACCESS_TOKEN,
        ] {
            assert!(!text.contains(secret), "{table} holds {secret}");
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!text.contains(&hex), "{table} holds {secret} in hex");
        }
    }
}

#[tokio::test]
async fn a_database_in_trouble_means_503_and_never_a_false_202() {
    let world = World::start().await;
    let name = world.database.name().to_owned();
    assert_eq!(world.post(Key::Secret, &lead("a", world.now())).await.status, 202);
    let refused = |answer: rastro_test_support::Answer| {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.headers["retry-after"], "1");
        assert_eq!(answer.json["type"], "urn:rastro:problem:unavailable");
    };
    let event = |id: &str| lead(id, world.now());

    // A table that is gone: an error that is nobody's row.
    world
        .database
        .execute("ALTER TABLE meta_events_dedup RENAME TO away")
        .await;
    refused(world.post(Key::Secret, &event("b")).await);
    world
        .database
        .execute("ALTER TABLE away RENAME TO meta_events_dedup")
        .await;
    // No partition for today.
    let partition = world
        .database
        .value("SELECT 'events_' || to_char(rastro_now() AT TIME ZONE 'UTC', 'YYYYMMDD')")
        .await;
    world
        .database
        .execute(&format!("ALTER TABLE events DETACH PARTITION {partition}"))
        .await;
    refused(world.post(Key::Secret, &event("b")).await);
    let bounds = "FOR VALUES FROM (current_date) TO (current_date + 1)";
    let attach = format!("ALTER TABLE events ATTACH PARTITION {partition} {bounds}");
    world.database.execute(&format!("DO $$ BEGIN EXECUTE replace(replace('{attach}', 'current_date + 1', quote_literal(current_date + 1)), 'current_date', quote_literal(current_date)); END $$")).await;
    assert_eq!(world.post(Key::Secret, &event("c")).await.status, 202);
    // Every connection cut, as a restart does: whatever that one request hears, asking again is enough.
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    world.database.execute(&cut).await;
    rastro_test_support::eventually("the gateway recovers without a restart", || async {
        let answer = world.post(Key::Secret, &event("b")).await;
        if answer.status == 202 {
            return Some(());
        }
        refused(answer);
        None
    })
    .await;
    assert_eq!(world.census().await.accepted, 3);
}

#[tokio::test]
async fn a_full_disk_and_a_read_only_database_mean_503_until_they_are_mended() {
    let world = World::start().await;
    let name = world.database.name().to_owned();
    // What PostgreSQL says when it cannot extend a file.
    let full_disk = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON send_queue EXECUTE FUNCTION full_disk()";
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    let troubles = [
        (
            full_disk.to_owned(),
            "DROP TRIGGER full_disk ON send_queue".to_owned(),
        ),
        (
            format!("{read_only}; {cut}"),
            format!("BEGIN READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only; COMMIT"),
        ),
    ];
    for (number, (trouble, remedy)) in troubles.into_iter().enumerate() {
        world.database.execute(&trouble).await;
        let id = format!("lead-{number}");
        for _ in 0..3 {
            let answer = world.post(Key::Secret, &lead(&id, world.now())).await;
            assert_eq!(answer.status, 503, "{trouble}: {answer:?}");
            assert_eq!(answer.headers["retry-after"], "1");
        }
        assert_eq!(world.census().await.accepted, i64::try_from(number).unwrap());
        world.database.execute(&remedy).await;
        rastro_test_support::eventually("the gateway recovers without a restart", || async {
            (world.post(Key::Secret, &lead(&id, world.now())).await.status == 202).then_some(())
        })
        .await;
    }
    assert_eq!(world.census().await.accepted, 2);
}

#[tokio::test]
async fn a_database_that_hangs_means_503_when_its_time_is_up() {
    let world = World::start().await;
    // Longer than any statement may take, and than the test may wait.
    let hang = "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_sleep(3600); RETURN NULL; END $$;
        CREATE TRIGGER hang BEFORE INSERT ON send_queue EXECUTE FUNCTION hang()";
    world.database.execute(hang).await;
    let sends = (0..3).map(|number| {
        let event = lead(&format!("lead-{number}"), world.now());
        let world = &world;
        async move { world.post(Key::Secret, &event).await }
    });
    for answer in futures_util::future::join_all(sends).await {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert_eq!(world.census().await.accepted, 0);
    world.database.execute("DROP TRIGGER hang ON send_queue").await;
    rastro_test_support::eventually("the gateway recovers without a restart", || async {
        (world.post(Key::Secret, &lead("lead-0", world.now())).await.status == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_hangs_does_not_hold_up_those_of_other_threads() {
    let world = World::with(settings(DatasetDefaults::default()), |config| config.workers = 2).await;
    // Hangs only the first that comes.
    let hang = "CREATE SEQUENCE inserts;
        CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('inserts') = 1 THEN PERFORM pg_sleep(3600); END IF; RETURN NEW; END $$;
        CREATE TRIGGER hang BEFORE INSERT ON send_queue FOR EACH ROW EXECUTE FUNCTION hang()";
    world.database.execute(hang).await;
    let send = async |number: usize| {
        world
            .post(Key::Secret, &lead(&format!("lead-{number}"), world.now()))
            .await
            .status
    };
    let mut answers: FuturesUnordered<_> = (0..16).map(send).collect();
    // Requests of the thread where it hangs wait with it. The others do not.
    assert_eq!(answers.next().await, Some(202));
    let release = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'";
    assert_eq!(world.database.value(release).await, "1");
    let mut accepted = 1;
    while let Some(status) = answers.next().await {
        assert!([202, 503].contains(&status), "{status}");
        accepted += i64::from(status == 202);
    }
    assert!(accepted < 16, "one group lost its connection");
    assert_eq!(world.census().await.accepted, accepted);
}

/// A request with a body as it stands, announced as JSON.
fn raw(world: &World, key: Key, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    let request = world
        .client
        .post(world.conversions_url())
        .bearer_auth(key.as_str());
    request.header("content-type", "application/json").body(body)
}

#[tokio::test]
async fn half_a_character_and_a_number_out_of_range_cost_one_event_at_most() {
    let world = World::start().await;
    let event = |id: &str, name: &str| {
        let mut event = lead(id, world.now());
        event["custom_data"] = json!({"content_name": name});
        event.to_string()
    };
    let half = event("half", "Sofá HALF").replace("HALF", r"\ud83d");
    let out_of_range = event("huge", "HUGE").replace(r#""HUGE""#, "1e400");
    let body = format!(
        r#"{{"events":[{},{half},{out_of_range},{}]}}"#,
        event("a", "x"),
        event("b", "x")
    );
    let answer = World::answer(raw(&world, Key::Secret, body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let results = answer.json["results"].as_array().unwrap();
    let statuses: Vec<_> = results
        .iter()
        .map(|result| result["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["accepted", "accepted", "rejected", "accepted"]);
    assert_eq!(
        results[1]["warnings"][0]["pointer"],
        "/events/1/custom_data/content_name"
    );
    assert_eq!(results[2]["errors"][0]["pointer"], "/events/2");
    let payload = stored_payload(&world, "half").await;
    assert_eq!(payload["custom_data"]["content_name"], "Sofá \u{fffd}");
    assert_eq!(world.census().await.accepted, 3);
}

#[tokio::test]
async fn a_byte_order_mark_gzip_and_a_slash_at_the_end_of_the_path_are_no_obstacles() {
    let world = World::with(settings(DatasetDefaults::default()), |config| {
        config.max_body_bytes = 10_000;
    })
    .await;
    let event = |id: &str| lead(id, world.now()).to_string();
    let marked = format!("\u{feff}{}", event("marked"));
    assert_eq!(World::answer(raw(&world, Key::Secret, marked)).await.status, 202);

    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let compressed = |text: &str| raw(&world, Key::Secret, gzip(text)).header("content-encoding", "gzip");
    assert_eq!(World::answer(compressed(&event("small"))).await.status, 202);
    let bomb = format!("{}{}", " ".repeat(5_000_000), event("large"));
    assert_eq!(World::answer(compressed(&bomb)).await.status, 413);
    let deflated = raw(&world, Key::Secret, gzip(&event("x"))).header("content-encoding", "deflate");
    assert_eq!(World::answer(deflated).await.status, 415);

    let path = format!("{}/", world.conversions_url());
    let request = world
        .client
        .post(path)
        .bearer_auth(Key::Secret.as_str())
        .json(&lead("slash", world.now()));
    assert_eq!(World::answer(request).await.status, 202);
    assert_eq!(world.census().await.accepted, 3);
}

#[tokio::test]
async fn an_event_of_a_batch_may_have_a_test_event_code_of_its_own() {
    let world = World::start().await;
    let mut own = lead("own", world.now());
    own["test_event_code"] = json!("TEST1");
    let mut wrong = lead("wrong", world.now());
    wrong["test_event_code"] = json!(7);
    let batch = json!({"events": [own, lead("theirs", world.now()), wrong], "test_event_code": "TEST2"});
    let answer = world.post(Key::Secret, &batch).await;
    assert_eq!(
        (answer.status, &answer.json["accepted"]),
        (200, &json!(3)),
        "{answer:?}"
    );
    let pointer = &answer.json["results"][2]["warnings"][0]["pointer"];
    assert_eq!(pointer, "/events/2/test_event_code");
    let codes = world
        .database
        .query("SELECT event_id, test_event_code FROM events ORDER BY event_id")
        .await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        codes,
        [
            vec![text("own"), text("TEST1")],
            vec![text("theirs"), text("TEST2")],
            vec![text("wrong"), text("TEST2")],
        ]
    );
}

#[tokio::test]
async fn a_publishable_key_sends_what_pages_send_and_little_of_it() {
    let world = World::start().await;
    for name in ["PageView", "ViewContent", "Lead", "Schedule"] {
        let mut event = lead(name, world.now());
        event["event_name"] = json!(name);
        assert_eq!(world.post(Key::Publishable, &event).await.status, 202, "{name}");
    }
    let sale = purchase("order-1043", world.now());
    let refused = world.post(Key::Publishable, &sale).await;
    assert_eq!(refused.status, 403);
    assert_eq!(pointers(&refused.json), ["/event_name"]);
    // The id is not taken by it.
    assert_eq!(world.post(Key::Secret, &sale).await.status, 202);
    let mixed = json!({"events": [lead("a", world.now()), purchase("order-1044", world.now())]});
    let answer = world.post(Key::Publishable, &mixed).await;
    assert_eq!(
        (&answer.json["accepted"], &answer.json["rejected"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        answer.json["results"][1]["errors"][0]["pointer"],
        "/events/1/event_name"
    );

    let mut test = lead("test", world.now());
    test["test_event_code"] = json!("TEST1");
    let refused = world.post(Key::Publishable, &test).await;
    assert_eq!(refused.status, 403);
    assert_eq!(pointers(&refused.json), ["/test_event_code"]);
    let of_tests = "SELECT count(*) FROM events WHERE coalesce(test_event_code, '') <> ''";
    assert_eq!(world.database.value(of_tests).await, "0");

    let large = format!("{}{}", " ".repeat(64 * 1_024), lead("large", world.now()));
    let refused = World::answer(raw(&world, Key::Publishable, large.clone())).await;
    assert_eq!(refused.status, 413);
    assert_eq!(World::answer(raw(&world, Key::Secret, large)).await.status, 202);
    assert_eq!(world.census().await.accepted, 7);
}

#[tokio::test]
async fn a_visitors_headers_and_clock_cost_no_event() {
    let world = World::start().await;
    let mut event = lead("odd", world.now() + 300);
    let user_data = event["user_data"].as_object_mut().unwrap();
    user_data.remove("client_ip_address");
    user_data.remove("client_user_agent");
    let request = raw(&world, Key::Publishable, event.to_string())
        .header("user-agent", "Dalvik (Lua 7–Edição)".as_bytes())
        .header(
            "cookie",
            b"nome=Jo\xe3o; _fbp=; _fbp=fb.1.1758300000123.1293847561".as_slice(),
        )
        .header("x-forwarded-for", "203.0.113.77, 10.0.0.1");
    let answer = World::answer(request).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let warnings = answer.json["warnings"].as_array().unwrap();
    let warned: Vec<_> = warnings
        .iter()
        .map(|warning| warning["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(warned, ["/event_time", "/user_data/client_ip_address"]);
    let payload = stored_payload(&world, "odd").await;
    assert_eq!(payload["event_time"], world.now());
    assert_eq!(payload["user_data"]["client_user_agent"], "Dalvik (Lua 7–Edição)");
    assert_eq!(payload["user_data"]["fbp"], "fb.1.1758300000123.1293847561");
    assert_eq!(payload["user_data"].get("client_ip_address"), None);
    // A server's clock is its owner's to set.
    assert_eq!(
        world
            .post(Key::Secret, &lead("ahead", world.now() + 300))
            .await
            .status,
        422
    );
}
