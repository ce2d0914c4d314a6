//! What the gateway says of itself to whoever gives it work.

#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_test_support::process::Process;
use rastro_test_support::{TestDatabase, eventually};
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
async fn a_gateway_without_partitions_for_today_is_not_ready_and_says_why_and_without_tomorrows_it_logs_it() {
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
    let (status, body) = ready().await;
    assert_eq!(status, 200, "{body}");
    assert!(
        !gateway
            .log()
            .iter()
            .any(|line| line.contains("no partitions for tomorrow"))
    );

    drop_partitions_from(&database, 1).await;
    let (status, body) = ready().await;
    assert_eq!(status, 200, "today's are enough for today: {body}");
    gateway.logged("there are no partitions for tomorrow").await;

    drop_partitions_from(&database, 0).await;
    let (status, body) = ready().await;
    assert_eq!(status, 503, "{body}");
    let failing = body["failing"].as_object().unwrap();
    assert_eq!(failing.keys().collect::<Vec<_>>(), ["partitions"], "{body}");
    ready().await;
    let told = gateway
        .log()
        .iter()
        .filter(|line| line.contains("no partitions for tomorrow"))
        .count();
    assert_eq!(told, 1, "said once, not at every probe");

    database.execute("SELECT create_day_partitions(7)").await;
    eventually("it is ready again", || async {
        (ready().await.0 == 200).then_some(())
    })
    .await;
}
