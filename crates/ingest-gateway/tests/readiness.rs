//! What the gateway says of itself to whoever gives it work.

#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_test_support::TestDatabase;
use rastro_test_support::process::Process;
use serde_json::Value;

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
    let url = format!(
        "http://{}/readyz",
        gateway.address_after("health endpoint listens on ").await
    );
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
