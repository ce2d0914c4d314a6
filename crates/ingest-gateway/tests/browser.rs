//! What a page gets: `web/README.md`, "What the SDK needs from the gateway", line by line.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::io::Read;

use ingest_gateway::config::GatewayConfig;
use rastro_store::DatasetSettings;
use rastro_test_support::{Answer, Key, World};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const PAGE: &str = "https://loja.example.com.br";
const COLLECT: &str = "/api/meta/conversions";
const RID: &str = "1e5f0c7a-6a4e-4c3e-9a30-0f4f3f9f6a11";
const FBP: &str = "fb.2.1795808043105.9472395788";
const ADMIN_KEY: &str = "ak_0123456789abcdef0123456789abcdef";

fn settings() -> DatasetSettings {
    DatasetSettings {
        name: "test".into(),
        allowed_origins: vec![PAGE.into(), "https://*.example.org".into()],
        cookie_domain: Some("example.com.br".into()),
        ..Default::default()
    }
}

async fn world() -> World {
    World::with(settings(), |_| {}).await
}

fn url(world: &World, path: &str) -> String {
    world.conversions_url().replace(COLLECT, path)
}

/// A request as the script makes it.
fn from_page(world: &World, body: &Value) -> RequestBuilder {
    let url = format!("{}?key={}", world.conversions_url(), Key::Publishable.as_str());
    world
        .client
        .post(url)
        .header("origin", PAGE)
        .header("content-type", "text/plain;charset=UTF-8")
        .header("user-agent", "Mozilla/5.0 (Linux; Android 16)")
        .header("x-forwarded-for", "203.0.113.77")
        .body(body.to_string())
}

async fn send(world: &World, body: &Value) -> Answer {
    World::answer(from_page(world, body)).await
}

fn event(world: &World, id: &str) -> Value {
    json!({
        "event_name": "ViewContent",
        "event_id": id,
        "event_time": world.now(),
        "action_source": "website",
        "event_source_url": "https://loja.example.com.br/p/7",
        "user_data": { "fbp": FBP, "external_id": RID },
        "custom_data": { "content_ids": ["7"], "value": 129.9, "currency": "BRL" }
    })
}

fn granted() -> Value {
    json!({ "ad_storage": "granted", "ad_user_data": "granted", "at": 1_795_808_000_000_i64, "source": "banner" })
}

fn refused() -> Value {
    json!({ "ad_storage": "denied", "ad_user_data": "granted", "at": 1_795_808_000_000_i64 })
}

/// What the script sends around its events.
fn body(world: &World, consent: Value, events: &[Value]) -> Value {
    json!({
        "sent_at": world.clock.now().timestamp_millis(),
        "sdk": "browser/0.1.0",
        "consent": consent,
        "attribution": { "last": { "fbclid": "AbC-1", "landing": "/", "at": 1_795_808_043_000_i64 } },
        "events": events,
    })
}

async fn stored_payload(world: &World, event_id: &str) -> Value {
    let payloads = world.database.payloads().await;
    let (_, payload) = payloads.iter().find(|(id, _)| id == event_id).unwrap();
    serde_json::from_str(payload).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer
        .headers
        .get(name)
        .unwrap_or_else(|| panic!("no {name}: {answer:?}"))
        .to_str()
        .unwrap()
}

fn set_cookies(answer: &Answer) -> Vec<&str> {
    answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().unwrap())
        .collect()
}

#[track_caller]
fn assert_readable(answer: &Answer, origin: &str) {
    assert_eq!(header(answer, "access-control-allow-origin"), origin);
    assert_eq!(header(answer, "access-control-allow-credentials"), "true");
    assert_eq!(
        header(answer, "access-control-expose-headers"),
        "Retry-After, X-Request-Id"
    );
    assert_eq!(header(answer, "vary"), "Origin");
    assert!(!header(answer, "x-request-id").is_empty());
}

#[tokio::test]
async fn text_with_the_key_in_the_query_is_json() {
    let world = world().await;
    let types = [
        "text/plain;charset=UTF-8",
        "text/plain",
        "Text/Plain",
        "application/json",
    ];
    for (number, media_type) in types.into_iter().enumerate() {
        let body = body(&world, granted(), &[event(&world, &format!("e{number}"))]);
        let request = from_page(&world, &body).header("content-type", media_type);
        // A header that is set twice is sent twice; only this one shall be.
        let mut request = request.build().unwrap();
        request
            .headers_mut()
            .insert("content-type", media_type.parse().unwrap());
        let answer = world.client.execute(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{media_type}");
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(answer["results"][0]["status"], "accepted", "{media_type}");
    }
    let mut xml = from_page(&world, &json!({})).build().unwrap();
    xml.headers_mut()
        .insert("content-type", "application/xml".parse().unwrap());
    assert_eq!(world.client.execute(xml).await.unwrap().status(), 415);

    let server = world.client.post(world.conversions_url());
    let server = server
        .bearer_auth(Key::Secret.as_str())
        .header("content-type", "text/plain");
    let answer = World::answer(server.body("{}")).await;
    assert_eq!(answer.status, 415, "text is a page's way: {answer:?}");
    assert_eq!(world.census().await.accepted, 4);
}

#[tokio::test]
async fn a_key_in_the_header_of_a_page_or_of_no_page_works_as_before() {
    let world = world().await;
    let url = world.conversions_url();
    let body = body(&world, granted(), &[event(&world, "a")]);
    let post = |body: &Value| world.client.post(&url).header("user-agent", "curl/8").json(body);
    let with_key = |body: &Value| post(body).bearer_auth(Key::Publishable.as_str());
    assert_eq!(World::answer(with_key(&body)).await.status, 200);
    assert_eq!(
        World::answer(with_key(&body).header("origin", PAGE)).await.status,
        200
    );
    let both = |in_query: &str| {
        let request = world.client.post(format!("{url}?key={in_query}")).json(&body);
        let request = request.bearer_auth(Key::Publishable.as_str());
        World::answer(request.header("user-agent", "curl/8").header("origin", PAGE))
    };
    assert_eq!(both(Key::Publishable.as_str()).await.status, 200);
    assert_eq!(both("pk_of_somebody_else_0123456789").await.status, 401);
    let no_origin = world
        .client
        .post(format!("{url}?key={}", Key::Publishable.as_str()));
    let no_origin = no_origin.header("user-agent", "curl/8").json(&body);
    assert_eq!(World::answer(no_origin).await.status, 200);
    let census = world.census().await;
    assert_eq!((census.accepted, census.duplicates), (1, 3));
}

#[tokio::test]
async fn a_preflight_passes_with_the_key_and_without_it() {
    let world = world().await;
    let key = format!("?key={}", Key::Publishable.as_str());
    for query in [&*key, "", "?key=pk_nobody"] {
        let request = world
            .client
            .request(Method::OPTIONS, world.conversions_url() + query)
            .header("origin", PAGE)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        let answer = World::answer(request).await;
        assert_eq!(answer.status, 204, "{query}");
        assert_readable(&answer, PAGE);
        assert_eq!(header(&answer, "access-control-allow-methods"), "POST");
        assert_eq!(
            header(&answer, "access-control-allow-headers"),
            "content-type, authorization, x-idempotency-key"
        );
        assert_eq!(header(&answer, "access-control-max-age"), "7200");
    }
}

#[tokio::test]
async fn a_page_can_read_every_answer() {
    let small = |config: &mut GatewayConfig| {
        config.max_events_per_second_per_publishable_key = 8;
        config.max_publishable_body_bytes = 20_000;
    };
    let world = World::with(settings(), small).await;
    let valid = body(&world, granted(), &[event(&world, "a")]);
    let raw = |text: &'static str| from_page(&world, &json!({})).body(text);
    let unknown = format!("{}?key=pk_nobody_0123456789", world.conversions_url());
    let unknown = world.client.post(unknown).header("origin", PAGE).json(&valid);
    let many: Vec<Value> = (0..8).map(|n| event(&world, &format!("many{n}"))).collect();
    let rows = [
        ("accepted", from_page(&world, &valid), 200),
        ("no such key", unknown, 401),
        ("not JSON", raw("{\"events\":"), 400),
        ("no events", from_page(&world, &json!({"events": []})), 422),
        (
            "another origin",
            from_page(&world, &valid).header("origin", "https://stranger.example"),
            403,
        ),
        (
            "large",
            from_page(&world, &json!({"events": [{"x": "y".repeat(30_000)}]})),
            413,
        ),
        ("much", from_page(&world, &body(&world, granted(), &many)), 429),
        (
            "another method",
            world.client.put(world.conversions_url()).header("origin", PAGE),
            405,
        ),
    ];
    for (what, request, status) in rows {
        let mut request = request.build().unwrap();
        // The last one that was set.
        let origin = request
            .headers()
            .get_all("origin")
            .iter()
            .next_back()
            .unwrap()
            .clone();
        request.headers_mut().insert("origin", origin.clone());
        let response = world.client.execute(request).await.unwrap();
        let (status_seen, headers) = (response.status().as_u16(), response.headers().clone());
        let json: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        let answer = Answer {
            status: status_seen,
            headers,
            json,
        };
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_readable(&answer, origin.to_str().unwrap());
        assert_eq!(
            header(&answer, "x-request-id"),
            answer.json["request_id"],
            "{what}: one request, one id"
        );
        assert_eq!(
            answer.headers.contains_key("retry-after"),
            status == 429,
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_page_can_read_that_nothing_is_stored_just_now() {
    let world = world().await;
    world.database.execute("ALTER TABLE events RENAME TO away").await;
    let answer = send(&world, &body(&world, granted(), &[event(&world, "a")])).await;
    world.database.execute("ALTER TABLE away RENAME TO events").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_readable(&answer, PAGE);
    assert_eq!(header(&answer, "retry-after"), "1");
    assert!(set_cookies(&answer).is_empty());
}

async fn from(world: &World, origin: &str, id: &str) -> Answer {
    let mut request = from_page(world, &body(world, granted(), &[event(world, id)]))
        .build()
        .unwrap();
    request.headers_mut().insert("origin", origin.parse().unwrap());
    let response = world.client.execute(request).await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        json: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
    }
}

#[tokio::test]
async fn an_origin_that_is_not_listed_is_refused_named_and_logged() {
    let world = world().await;
    for origin in [PAGE, "https://www.example.org", "https://loja.example.org"] {
        let answer = from(&world, origin, origin).await;
        assert_eq!(answer.status, 200, "{origin}: {answer:?}");
    }
    let strangers = [
        "https://stranger.example",
        "http://loja.example.com.br",
        "https://loja.example.com.br:8443",
        "https://example.org",
        "https://a.b.example.org",
        "null",
    ];
    for origin in strangers {
        let answer = from(&world, origin, "stranger").await;
        assert_eq!(answer.status, 403, "{origin}: {answer:?}");
        assert_eq!(answer.json["type"], "urn:rastro:problem:origin-not-allowed");
        assert!(answer.json["detail"].as_str().unwrap().starts_with(origin));
        assert_readable(&answer, origin);
    }
    assert_eq!(world.census().await.accepted, 3);
    let logged =
        "SELECT count(*)::text FROM meta_events_log WHERE outcome = 'refused' AND error_message = '/Origin'";
    assert_eq!(world.database.value(logged).await, strangers.len().to_string());
}

#[tokio::test]
async fn a_tag_on_a_strangers_page_uses_up_nothing_of_what_the_owners_pages_may_send() {
    let world = World::with(settings(), |config| config.max_events_per_second_per_key = 3).await;
    for n in 0..20 {
        let answer = from(&world, "https://stranger.example", &format!("s{n}")).await;
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    assert_eq!(from(&world, PAGE, "own").await.status, 200);
}

#[tokio::test]
async fn a_local_file_may_send_where_its_origin_is_listed() {
    let listed = DatasetSettings {
        allowed_origins: vec!["null".into()],
        ..settings()
    };
    let world = World::with(listed, |_| {}).await;
    assert_eq!(from(&world, "null", "a").await.status, 200);
    assert_eq!(from(&world, PAGE, "b").await.status, 403);
}

#[tokio::test]
async fn without_a_list_only_pages_of_the_gateways_own_host_may_send() {
    let unset = DatasetSettings {
        allowed_origins: Vec::new(),
        ..settings()
    };
    let world = World::with(unset, |_| {}).await;
    let own = world.conversions_url().replace(COLLECT, "");
    assert_eq!(from(&world, &own, "a").await.status, 200);
    for origin in [PAGE, "null", "http://127.0.0.1:1"] {
        assert_eq!(from(&world, origin, "b").await.status, 403, "{origin}");
    }
}

#[tokio::test]
async fn a_key_for_servers_that_was_shown_to_a_browser_is_to_be_revoked() {
    let world = world().await;
    world
        .store
        .put_admin_key(Sha256::digest(ADMIN_KEY).into(), "test")
        .await
        .unwrap();
    let body = body(&world, granted(), &[event(&world, "a")]);
    for key in [Key::Secret.as_str(), ADMIN_KEY] {
        let url = world.conversions_url();
        let in_query = world.client.post(format!("{url}?key={key}")).json(&body);
        let from_page = world.client.post(url).json(&body);
        let from_page = from_page.bearer_auth(key).header("origin", PAGE);
        for request in [in_query, from_page] {
            let answer = World::answer(request).await;
            assert_eq!(answer.status, 403, "{answer:?}");
            assert!(answer.json["detail"].as_str().unwrap().contains("revoke it"));
        }
    }
    assert_eq!(world.census().await.accepted, 0);
    let logged = "SELECT count(*)::text FROM meta_events_log WHERE outcome = 'refused'";
    assert_eq!(
        world.database.value(logged).await,
        "2",
        "an admin key has no dataset to log it for"
    );
}

#[tokio::test]
async fn the_envelope_is_read_and_never_reaches_meta() {
    let world = world().await;
    let mut body = body(&world, granted(), &[event(&world, "a")]);
    body["from_a_newer_script"] = json!({"x": 1});
    let answer = send(&world, &body).await;
    assert_eq!(answer.json["accepted"], 1, "{answer:?}");
    let payload = stored_payload(&world, "a").await.to_string();
    for name in [
        "sent_at",
        "browser/0.1.0",
        "consent",
        "attribution",
        "AbC-1",
        "newer",
    ] {
        assert!(!payload.contains(name), "{name} is in {payload}");
    }

    body["sent_at"] = json!("now");
    body["consent"] = json!("yes");
    let answer = send(&world, &body).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json["errors"][0]["pointer"], "/sent_at");
    assert_eq!(answer.json["errors"][1]["pointer"], "/consent");
}

#[tokio::test]
async fn a_device_clock_that_is_a_month_wrong_loses_nothing() {
    const MONTH: i64 = 30 * 86_400;
    let world = world().await;
    for off in [-MONTH, MONTH, -3_600, 61] {
        let id = format!("off-{off}");
        let mut event = event(&world, &id);
        event["event_time"] = json!(world.now() + off - 5);
        let mut body = body(&world, granted(), &[event]);
        body["sent_at"] = json!(world.clock.now().timestamp_millis() + off * 1_000);
        let answer = send(&world, &body).await;
        assert_eq!(answer.json["results"][0]["status"], "accepted", "{answer:?}");
        assert_eq!(
            answer.json["results"][0]["warnings"][0]["pointer"],
            "/events/0/event_time"
        );
        let payload = stored_payload(&world, &id).await;
        assert_eq!(payload["event_time"], world.now() - 5, "{off}");
    }
    // Within a minute nothing is corrected: a request takes its time.
    let mut body = body(&world, granted(), &[event(&world, "late")]);
    body["sent_at"] = json!(world.clock.now().timestamp_millis() - 59_000);
    let answer = send(&world, &body).await;
    assert!(answer.json["results"][0].get("warnings").is_none(), "{answer:?}");

    // A server's time is its own.
    let mut old = event(&world, "server");
    old["event_time"] = json!(world.now() - MONTH);
    old["user_data"]["client_user_agent"] = json!("Mozilla/5.0");
    let answer = world
        .post(
            Key::Secret,
            &json!({"sent_at": (world.now() - MONTH) * 1_000, "events": [old]}),
        )
        .await;
    assert_eq!(answer.json["results"][0]["status"], "rejected", "{answer:?}");
}

#[tokio::test]
async fn an_event_of_a_visitor_who_refused_is_stored_and_withheld() {
    let mut world = world().await;
    let mut bare = event(&world, "refused");
    bare.as_object_mut().unwrap().remove("user_data");
    let named = event(&world, "refused, but named");
    let request = from_page(&world, &body(&world, refused(), &[bare.clone(), named]));
    let request = request.header("cookie", format!("_fbp={FBP}; _rid={RID}"));
    let answer = World::answer(request).await;
    assert_eq!(
        (answer.status, &answer.json["accepted"]),
        (200, &json!(2)),
        "{answer:?}"
    );
    assert_eq!(answer.json["forwarding"], "withheld");

    for id in ["refused", "refused, but named"] {
        let payload = stored_payload(&world, id).await;
        assert_eq!(payload["user_data"], json!({}), "nothing says who it was");
        assert_eq!(payload["custom_data"]["value"], 129.9);
    }
    let census = world.census().await;
    assert_eq!((census.accepted, census.withheld, census.ready), (2, 2, 0));
    let log =
        "SELECT string_agg(outcome, ' ' ORDER BY outcome) FROM meta_events_log WHERE event_id = 'refused'";
    assert_eq!(world.database.value(log).await, "accepted withheld");

    // It is known: the same again is a duplicate, with consent or without.
    let again = send(&world, &body(&world, refused(), &[bare])).await;
    assert_eq!(again.json["duplicate"], 1, "{again:?}");
    let sent = send(&world, &body(&world, granted(), &[event(&world, "granted")])).await;
    assert!(sent.json.get("forwarding").is_none());
    world.start_forwarder();
    let census = world.settle().await;
    assert_eq!((census.delivered, census.withheld), (1, 2));
}

#[tokio::test]
async fn a_visit_that_ends_in_no_form_leaves_the_contact_with_the_ad_that_began_it() {
    let world = world().await;
    let visit = async |ad: &str, id: &str, consent: Value| {
        let at = world.clock.now().timestamp_millis() - 1_500;
        let mut body = body(&world, consent, &[event(&world, id)]);
        body["attribution"] = json!({
            "first": { "utm_source": "first", "at": at - 86_400_000 },
            "last": { "gclid": ad, "landing": "/", "at": at }
        });
        let answer = send(&world, &body).await;
        assert_eq!(answer.json["results"][0]["status"], "accepted", "{answer:?}");
        body
    };
    let stored = "SELECT string_agg(gclid, ' ' ORDER BY gclid) FROM touchpoints";
    for (ad, refused) in [("A", false), ("B", false), ("C", false), ("D", true)] {
        let consent = if refused { self::refused() } else { granted() };
        let mut last = visit(ad, &format!("{ad}-1"), consent).await;
        // The page goes on telling of it, and its clock is a little ahead.
        let at = last["attribution"]["last"]["at"].as_i64().unwrap();
        last["events"][0]["event_id"] = json!(format!("{ad}-2"));
        last["attribution"]["last"]["at"] = json!(at + 5_000);
        assert_eq!(send(&world, &last).await.json["accepted"], 1);
        world.advance(std::time::Duration::from_secs(86_400)).await;
        // Long after it, a page is another visit.
        let mut later = body(&world, granted(), &[event(&world, &format!("{ad}-3"))]);
        later["attribution"] = json!({ "last": { "gclid": format!("{ad}-later"), "at": at } });
        assert_eq!(send(&world, &later).await.json["accepted"], 1);
    }
    assert_eq!(world.database.value(stored).await, "A B C");
    // It is the visitor of whom a lead may come, and a server may ask by the id in the cookie.
    let lead = json!({ "lead": { "email": "ana@example.com" }, "event": event(&world, "lead-1"),
        "consent": granted(), "sent_at": world.clock.now().timestamp_millis() });
    let url = format!(
        "{}?key={}",
        url(&world, "/api/leads/capture"),
        Key::Publishable.as_str()
    );
    let request = world
        .client
        .post(url)
        .header("origin", PAGE)
        .header("content-type", "text/plain")
        .header("user-agent", "Mozilla/5.0 (Linux; Android 16)")
        .body(lead.to_string());
    assert_eq!(World::answer(request).await.status, 202);
    let of_lead = "SELECT count(*) FROM leads JOIN touchpoints USING (dataset_id, visitor_hmac)";
    assert_eq!(world.database.value(of_lead).await, "3");
}

#[tokio::test]
async fn what_a_crawler_does_is_stored_marked_and_not_sent() {
    const GOOGLEBOT: &str =
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/139.0.0.0";
    let mut world = world().await;
    let mut told = body(&world, granted(), &[event(&world, "crawled")]);
    told["attribution"]["last"]["at"] = json!(world.clock.now().timestamp_millis());
    let mut request = from_page(&world, &told).build().unwrap();
    request
        .headers_mut()
        .insert("user-agent", GOOGLEBOT.parse().unwrap());
    let answer = world.client.execute(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(
        (&answer["accepted"], &answer["forwarding"]),
        (&json!(1), &json!("withheld"))
    );
    let log = "SELECT string_agg(event_id || ' ' || error_message, ', ') FROM meta_events_log WHERE outcome = 'withheld'";
    assert_eq!(world.database.value(log).await, "crawled bot");
    assert_eq!(
        world.database.value("SELECT count(*) FROM touchpoints").await,
        "0"
    );
    // A server may tell of a crawler what it likes.
    let mut of_server = event(&world, "of a server");
    of_server["user_data"]["client_user_agent"] = json!(GOOGLEBOT);
    assert_eq!(world.post(Key::Secret, &of_server).await.status, 202);
    world.start_forwarder();
    let census = world.settle().await;
    assert_eq!((census.delivered, census.withheld), (1, 1));
}

#[tokio::test]
async fn cookies_are_refreshed_once_a_day_and_with_consent_only() {
    let world = world().await;
    let fbc = "fb.2.1795808043105.AbC-1";
    let ask = async |consent: Value, cookies: &str, id: &str| {
        let body = body(&world, consent, &[event(&world, id)]);
        World::answer(from_page(&world, &body).header("cookie", cookies)).await
    };
    let cookies = format!("a=b; _rid={RID}; _fbp={FBP}; _fbc={fbc}");
    let answer = ask(refused(), &cookies, "a").await;
    assert!(set_cookies(&answer).is_empty(), "{answer:?}");
    let answer = ask(json!(null), &cookies, "b").await;
    assert!(set_cookies(&answer).is_empty(), "nobody was asked: {answer:?}");
    let attributes = |days: u32| {
        let age = days * 86_400;
        format!("Domain=example.com.br; Path=/; Max-Age={age}; SameSite=Lax; Secure")
    };
    let answer = ask(granted(), &cookies, "c").await;
    assert_eq!(
        set_cookies(&answer),
        [
            format!("_rid={RID}; {}", attributes(395)),
            format!("_fbp={FBP}; {}", attributes(90)),
            format!("_fbc={fbc}; {}", attributes(90)),
        ]
    );
    assert!(set_cookies(&ask(granted(), &cookies, "d").await).is_empty());
    let other = cookies.replace("1e5f", "2e5f").replace(fbc, "garbage");
    assert_eq!(set_cookies(&ask(granted(), &other, "e").await).len(), 2);
    assert!(set_cookies(&ask(granted(), "_rid=<x>; _fbp=1", "f").await).is_empty());
    world.advance(std::time::Duration::from_secs(86_400)).await;
    assert_eq!(set_cookies(&ask(granted(), &cookies, "g").await).len(), 3);
}

#[tokio::test]
async fn without_a_domain_or_a_page_no_cookie_is_set() {
    let bare = DatasetSettings {
        cookie_domain: None,
        ..settings()
    };
    let world = World::with(bare, |_| {}).await;
    let body = body(&world, granted(), &[event(&world, "a")]);
    let cookies = format!("_rid={RID}; _fbp={FBP}");
    let answer = World::answer(from_page(&world, &body).header("cookie", &cookies)).await;
    assert_eq!(answer.status, 200);
    assert!(set_cookies(&answer).is_empty());
}

#[tokio::test]
async fn what_other_scripts_wrote_into_cookies_costs_no_event() {
    let world = world().await;
    let long = format!("fb.1.1795808043105.{}", "a".repeat(501));
    for (id, fbc) in [("long", &*long), ("malformed", "fb.1.AbC")] {
        let mut event = event(&world, id);
        event["user_data"]["fbc"] = json!(fbc);
        // Meta's parameter builder repeats its suffix.
        event["user_data"]["client_ip_address"] = json!("2001:db8::1.AQYCAQMB.AQYCAQMB.AQYCAQMB");
        let answer = send(&world, &body(&world, granted(), &[event])).await;
        assert_eq!(answer.json["results"][0]["status"], "accepted", "{answer:?}");
        let user_data = stored_payload(&world, id).await["user_data"].clone();
        assert!(user_data.get("fbc").is_none());
        assert_eq!(user_data["fbp"], FBP);
        assert_eq!(user_data["client_ip_address"], "2001:db8::1.AQYCAQMB");
    }
}

#[tokio::test]
async fn the_script_is_what_the_build_made_for_any_page() {
    let world = world().await;
    let built = include_bytes!("../web/dist/sdk.js");
    let get = async |path: &str, name: &'static str, value: &str| {
        let request = world.client.get(url(&world, path)).header(name, value);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.bytes().await.unwrap())
    };
    let (status, headers, script) = get("/sdk.js", "accept", "*/*").await;
    assert_eq!((status, &*script), (200, &built[..]));
    for (name, value) in [
        ("content-type", "text/javascript; charset=utf-8"),
        (
            "cache-control",
            "public, max-age=3600, stale-while-revalidate=86400",
        ),
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", "*"),
        ("x-content-type-options", "nosniff"),
        ("vary", "Accept-Encoding"),
    ] {
        assert_eq!(headers[name], value);
    }
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let (status, headers, script) = get("/sdk.js", "if-none-match", &tag).await;
    assert_eq!((status, script.len()), (304, 0));
    assert_eq!(headers["etag"], *tag);

    let (status, headers, script) = get("/sdk.js", "accept-encoding", "gzip, deflate, br").await;
    assert_eq!(
        (status, &headers["content-encoding"]),
        (200, &"gzip".parse().unwrap())
    );
    assert_ne!(headers["etag"], *tag, "other bytes, another tag");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*script)
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, built);

    // sha256sum web/dist/sdk.js | cut -c1-16
    let hash: String = Sha256::digest(built)[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (status, headers, script) = get(&format!("/sdk/{hash}.js"), "accept", "*/*").await;
    assert_eq!((status, &*script), (200, &built[..]));
    assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
    let (status, ..) = get("/sdk/0123456789abcdef.js", "accept", "*/*").await;
    assert_eq!(status, 404);
    let head = world.client.head(url(&world, "/sdk.js")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.bytes().await.unwrap().is_empty());
}
