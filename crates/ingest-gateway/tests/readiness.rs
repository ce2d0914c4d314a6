//! What the gateway says of itself to whoever gives it work.

#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_test_support::events::lead;
use rastro_test_support::process::Process;
use rastro_test_support::{Key, TestDatabase, World, eventually};
use serde_json::Value;

async fn ready_url(gateway: &Process) -> String {
    let address = gateway.address_after("health endpoint listens on ").await;
    format!("http://{address}/readyz")
}

/// Drops every partition from so many days ahead on.
async fn drop_partitions_from(database: &TestDatabase, days_ahead: i32) {
    database
        .execute(&format!(
            "DO $$ DECLARE partition regclass; BEGIN
                FOR partition IN SELECT inhrelid FROM pg_inherits
                    WHERE inhparent = ANY (day_tables()::regclass[])
                LOOP
                    CONTINUE WHEN to_date(right(partition::text, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date + {days_ahead};
                    EXECUTE 'DROP TABLE ' || partition;
                END LOOP;
            END $$"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_makes_the_partitions_that_nobody_made_and_is_not_ready_only_if_it_cannot() {
    // An error means that an earlier test of this process did so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = TestDatabase::create().await;
    database.execute("SELECT create_day_partitions(7)").await;
    let gateway = Process::gateway(&database, &[]);
    let url = ready_url(&gateway).await;
    let ready = async || {
        let response = reqwest::get(&url).await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let said = || {
        let log = gateway.log();
        log.iter()
            .filter(|line| line.contains("does a retry-worker run?"))
            .count()
    };
    let days_ahead = "SELECT max(to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD'))
        - (now() AT TIME ZONE 'UTC')::date FROM pg_inherits WHERE inhparent = ANY (day_tables()::regclass[])";
    let (status, body) = ready().await;
    assert_eq!((status, said()), (200, 0), "{body}");

    for kept in [1, 0] {
        drop_partitions_from(&database, kept).await;
        let (status, body) = ready().await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(database.value(days_ahead).await, "7");
    }
    gateway.logged("does a retry-worker run?").await;

    database
        .execute("ALTER FUNCTION create_day_partitions RENAME TO mislaid")
        .await;
    drop_partitions_from(&database, 1).await;
    let (status, body) = ready().await;
    assert_eq!(status, 200, "today's are enough for today: {body}");
    drop_partitions_from(&database, 0).await;
    let before = said();
    for _ in 0..2 {
        let (status, body) = ready().await;
        assert_eq!(status, 503, "{body}");
        let failing = body["failing"].as_object().unwrap();
        assert_eq!(failing.keys().collect::<Vec<_>>(), ["partitions"], "{body}");
    }
    assert_eq!(said(), before, "said once, not at every probe");

    database
        .execute("ALTER FUNCTION mislaid RENAME TO create_day_partitions")
        .await;
    let (status, body) = ready().await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_can_store_nothing_is_not_ready_whatever_else_the_database_answers() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::start().await;
    let gateway = Process::gateway(&world.database, &[("RASTRO__GATEWAY__NOT_STORING_SECONDS", "0")]);
    let (ready, send) = (ready_url(&gateway).await, gateway.conversions_url().await);
    let send = async |id: &str| {
        let request = world.client.post(&send).bearer_auth(Key::Secret.as_str());
        World::answer(request.json(&lead(id, world.now()))).await.status
    };
    let ready = async || World::answer(world.client.get(&ready)).await;
    assert_eq!((send("a").await, ready().await.status), (202, 200));

    world
        .database
        .execute("ALTER TABLE meta_events_dedup RENAME TO mislaid")
        .await;
    assert_eq!(send("b").await, 503);
    let answer = ready().await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let failing = answer.json["failing"].as_object().unwrap();
    assert_eq!(failing.keys().collect::<Vec<_>>(), ["storing"], "{answer:?}");

    world
        .database
        .execute("ALTER TABLE mislaid RENAME TO meta_events_dedup")
        .await;
    assert_eq!((send("b").await, ready().await.status), (202, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_asked_to_stop_takes_events_until_load_balancers_had_time_to_notice() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::start().await;
    let gateway = Process::gateway(&world.database, &[("RASTRO__GATEWAY__DRAIN_SECONDS", "600")]);
    let (ready, send) = (ready_url(&gateway).await, gateway.conversions_url().await);
    gateway.signal("TERM");
    gateway.logged("SIGTERM received").await;
    let answer = eventually("it says that it is not ready any more", || async {
        let answer = World::answer(world.client.get(ready.clone())).await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(answer.json["status"], "draining");
    // Over a connection of its own, as from somebody who has not noticed.
    let request = world.client.post(send).bearer_auth(Key::Secret.as_str());
    let answer = World::answer(request.json(&lead("a", world.now()))).await;
    assert_eq!(answer.status, 202);
    // A second signal ends it at once.
    assert_eq!(gateway.terminate().await.0, Some(143));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_are_answered_on_the_private_listener_only() {
    const ADMIN_KEY: &str = "ak_0123456789abcdef0123456789abcdef";
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::start().await;
    let gateway = Process::gateway(&world.database, &[("RASTRO__SEED__ADMIN_KEY", ADMIN_KEY)]);
    let public = gateway.conversions_url().await;
    let private = ready_url(&gateway)
        .await
        .replace("readyz", "api/meta/conversions");
    let status = async |base: &str, path: &str, key: &str| {
        let url = base.replace("conversions", path);
        World::answer(world.client.get(url).bearer_auth(key)).await.status
    };
    let breaker = format!("breaker/{}", rastro_test_support::DATASET_ID);
    for path in ["failed", &breaker] {
        assert_eq!(status(&public, path, ADMIN_KEY).await, 404, "{path}");
        assert_eq!(status(&private, path, ADMIN_KEY).await, 200, "{path}");
        assert_eq!(status(&private, path, "ak_unknown").await, 401, "{path}");
        assert_eq!(status(&private, path, Key::Secret.as_str()).await, 403, "{path}");
    }
    let retry = world.client.post(private.replace("conversions", "retry-failed"));
    let retried = World::answer(
        retry
            .bearer_auth(ADMIN_KEY)
            .json(&serde_json::json!({"all": true})),
    )
    .await;
    assert_eq!(retried.status, 200);
    // And events are not taken in there.
    let sent = world.client.post(&private).bearer_auth(Key::Secret.as_str());
    assert_eq!(
        World::answer(sent.json(&lead("a", world.now()))).await.status,
        404
    );
}
