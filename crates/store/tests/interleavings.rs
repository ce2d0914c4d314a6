//! Moments that chance seldom meets: between a statement's row and its commit, and between two statements at work on the
//! same rows.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::time::Duration;

use rastro_core::dedup::EventKey;
use rastro_store::{AttemptRecord, Batch, Evidence, Fate, NewEvent, Store};
use rastro_test_support::{TestDatabase, eventually};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(60);

fn event(number: usize) -> NewEvent {
    let dataset_id = 1.try_into().unwrap();
    let id = format!("lead-{number}");
    NewEvent {
        key: EventKey::new(dataset_id, "Lead", &id),
        dataset_id,
        name: "Lead".into(),
        payload: format!(r#"{{"event_id":"{id}"}}"#),
        id,
        send_by: 4_000_000_000,
        dedup_window_seconds: 1_000,
        test_event_code: String::new(),
        request_id: Uuid::nil(),
        traceparent: None,
    }
}

/// So many events, each accepted by itself: each has a row of the queue to itself.
async fn with_events(count: usize) -> (TestDatabase, Store) {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let mut writer = store.event_writer().await.unwrap();
    for number in 0..count {
        writer.accept(&[&event(number)]).await.unwrap();
    }
    (database, store)
}

async fn connect(database: &TestDatabase) -> Client {
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn claim(store: &Store, limit: u16) -> Option<Batch> {
    let lanes = store.ready_lanes().await.unwrap();
    store
        .claim_batch(lanes.first()?, limit, LEASE, "one")
        .await
        .unwrap()
}

/// From now on every transaction that inserts into the table fails, and only when it commits: after its statement has given
/// its row.
async fn fail_commits(database: &TestDatabase, table: &str) {
    database
        .execute(&format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN RAISE 'the commit fails'; END $$;
             CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION fail()"
        ))
        .await;
}

#[tokio::test]
async fn an_event_whose_commit_fails_is_not_called_accepted() {
    let (database, store) = with_events(0).await;
    fail_commits(&database, "send_queue").await;
    let accepted = store.event_writer().await.unwrap().accept(&[&event(1)]).await;
    assert!(accepted.is_err(), "{accepted:?}");
    assert_eq!(store.account().await.unwrap().accepted, 0);
}

#[tokio::test]
async fn a_batch_whose_finish_does_not_commit_is_not_called_finished() {
    let (database, store) = with_events(3).await;
    let batch = claim(&store, 10).await.unwrap();
    fail_commits(&database, "send_attempts").await;
    let finished = store.finish_batch(&batch, &AttemptRecord::default()).await;
    assert!(finished.is_err(), "{finished:?}");
    let account = store.account().await.unwrap();
    assert_eq!((account.in_flight, account.delivered), (3, 0));
}

#[tokio::test]
async fn a_batch_that_cannot_be_cut_stays_whole() {
    let (database, store) = with_events(4).await;
    let batch = claim(&store, 10).await.unwrap();
    fail_commits(&database, "send_batches").await;
    assert!(store.split_batch(batch.clone(), true, LEASE).await.is_err());
    assert_eq!(store.account().await.unwrap().in_flight, 4);
    assert!(
        store.renew_lease(batch.id, LEASE).await.unwrap(),
        "and is still ours"
    );
}

#[tokio::test]
async fn what_cannot_be_moved_stays_where_it_was() {
    let (database, store) = with_events(4).await;
    fail_commits(&database, "meta_retry_queue").await;
    let batch = claim(&store, 10).await.unwrap();
    let wait = [Fate::Wait {
        delay: Duration::ZERO,
        retries: 1,
    }; 4];
    let record = AttemptRecord::default();
    let settle = || store.settle_batch(&batch, &record, &wait, Evidence::None);
    assert!(settle().await.is_err());
    assert_eq!(store.account().await.unwrap().in_flight, 4);

    database.execute("DROP TRIGGER fail ON meta_retry_queue").await;
    assert!(settle().await.unwrap());
    fail_commits(&database, "send_queue").await;
    assert!(store.requeue_due(10).await.is_err());
    assert_eq!(store.account().await.unwrap().waiting, 4);
}

#[tokio::test]
async fn a_claim_passes_by_what_another_claim_is_taking() {
    let (database, store) = with_events(30).await;
    let other = connect(&database).await;
    let first_ten = "BEGIN; SELECT FROM send_queue ORDER BY first_number LIMIT 10 FOR UPDATE";
    other.batch_execute(first_ten).await.unwrap();
    // Were it to wait for the other, it would be stopped by the server first.
    let batch = claim(&store, 15).await.unwrap();
    assert_eq!(batch.events.len(), 15);
    other.batch_execute("ROLLBACK").await.unwrap();
    let rest = claim(&store, 100).await.unwrap();
    assert_eq!(rest.events.len(), 15);
    assert!(
        rest.events
            .iter()
            .all(|left| batch.events.iter().all(|taken| taken.number != left.number))
    );
}

#[tokio::test]
async fn a_batch_never_holds_an_event_that_another_claim_took_meanwhile() {
    let (database, store) = with_events(30).await;
    let other = connect(&database).await;
    let take = "BEGIN; DELETE FROM send_queue WHERE first_number IN (SELECT first_number FROM send_queue ORDER BY 1 LIMIT 10)";
    other.batch_execute(take).await.unwrap();
    let claiming = tokio::spawn({
        let store = store.clone();
        async move { claim(&store, 20).await }
    });
    // The other commits while the claim waits for it; or the claim passed by, and is done.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the claim waits or is done", || async {
        let waiting: i64 = other.query_one(waiting, &[]).await.unwrap().get(0);
        (waiting > 0 || claiming.is_finished()).then_some(())
    })
    .await;
    other.batch_execute("COMMIT").await.unwrap();
    let batch = claiming.await.unwrap().unwrap();
    let stored = format!(
        "SELECT event_numbers::text FROM send_batches WHERE batch_id = {}",
        batch.id.batch_id
    );
    let numbers: Vec<String> = batch
        .events
        .iter()
        .map(|event| event.number.to_string())
        .collect();
    assert_eq!(
        database.value(&stored).await,
        format!("{{{}}}", numbers.join(","))
    );
    let left = database.value("SELECT count(*)::text FROM send_queue").await;
    assert_eq!(left.parse::<usize>().unwrap() + batch.events.len(), 20);
}
