//! The schema comes, goes and comes back the same, however many want to bring it.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::time::Duration;

use rastro_core::dedup::EventKey;
use rastro_store::{AttemptRecord, Batch, Migrator, NewEvent, Store, StoreError};
use rastro_test_support::TestDatabase;
use secrecy::SecretString;
use uuid::Uuid;

/// Everything that makes up a schema, as text in a fixed order.
const SCHEMA: &str = "
    SELECT format('column %s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.attstorage, pg_get_expr(d.adbin, d.adrelid)) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT format('relation %s %s %s', relname, relkind, reloptions) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT format('view %s %s', viewname, definition) FROM pg_views WHERE schemaname = 'public'
    UNION ALL SELECT format('index %s', indexdef) FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT format('function %s', pg_get_functiondef(oid)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        AND prokind = 'f'
    UNION ALL SELECT format('partition %s of %s', inhrelid::regclass, inhparent::regclass) FROM pg_inherits
    ORDER BY 1";

async fn schema(database: &TestDatabase) -> Vec<String> {
    let rows = database.query(SCHEMA).await;
    rows.into_iter()
        .map(|row| row.into_iter().flatten().collect())
        .collect()
}

/// The migrator blocks, and has a runtime of its own.
async fn migrate<T: Send + 'static>(
    database: &TestDatabase,
    work: impl FnOnce(&mut Migrator) -> T + Send + 'static,
) -> T {
    let url = SecretString::from(database.url());
    let thread = std::thread::spawn(move || work(&mut Migrator::connect(&url).unwrap()));
    tokio::task::spawn_blocking(move || thread.join().unwrap())
        .await
        .unwrap()
}

/// Migrations from the one that stores events in segments on, and from the one that keeps heads.
const SINCE_SEGMENTS: usize = 3 + NEWER;
const SINCE_HEADS: usize = 2 + NEWER;
/// Those after the one that stores events as rows.
const NEWER: usize = 2;

/// Reverts the newest migrations.
fn revert(migrator: &mut Migrator, count: usize) {
    for _ in 0..count {
        migrator.revert_last().unwrap();
    }
}

#[tokio::test]
async fn up_down_and_up_again_gives_the_same_schema() {
    let database = TestDatabase::create_empty().await;
    let empty = schema(&database).await;
    let applied = migrate(&database, |migrator| migrator.run().unwrap()).await;
    assert!(!applied.is_empty());
    let first = schema(&database).await;
    assert!(
        first
            .iter()
            .any(|line| line.starts_with("column send_batches.fence integer")),
        "{first:#?}"
    );
    migrate(&database, |migrator| migrator.revert_all().unwrap()).await;
    let reverted = schema(&database).await;
    let left: Vec<_> = reverted.iter().filter(|line| !empty.contains(line)).collect();
    assert!(
        left.iter()
            .all(|line| line.contains("__diesel_schema_migrations")),
        "{left:#?}"
    );
    migrate(&database, |migrator| migrator.run().unwrap()).await;
    assert_eq!(schema(&database).await, first);
}

#[tokio::test]
async fn ten_migrators_at_once_apply_every_migration_once() {
    let database = TestDatabase::create_empty().await;
    let migrators = (0..10).map(|_| migrate(&database, |migrator| migrator.run().unwrap().len()));
    let mut applied = 0;
    for count in futures_util::future::join_all(migrators).await {
        applied += count;
    }
    let expected = database
        .value("SELECT count(*) FROM __diesel_schema_migrations")
        .await;
    assert_eq!(applied.to_string(), expected);
    assert_ne!(applied, 0);
}

#[tokio::test]
async fn a_service_can_tell_an_empty_and_an_older_schema_from_its_own() {
    let database = TestDatabase::create_empty().await;
    let store = Store::new(&database.config(), "test").unwrap();
    assert!(matches!(store.check_ready().await, Err(StoreError::SchemaTooOld)));
    migrate(&database, |migrator| migrator.run().unwrap()).await;
    store.check_ready().await.unwrap();
    database
        .execute("UPDATE __diesel_schema_migrations SET version = '20200101000000' WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)")
        .await;
    assert!(matches!(store.check_ready().await, Err(StoreError::SchemaTooOld)));
    database
        .execute("UPDATE __diesel_schema_migrations SET version = '20990101000000' WHERE version = '20200101000000'")
        .await;
    store.check_ready().await.unwrap();
}

#[tokio::test]
async fn partitions_are_made_ahead_once_by_however_many_try() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let attempts = futures_util::future::join_all((0..5).map(|_| store.create_partitions_ahead(30))).await;
    let created: i32 = attempts.into_iter().map(Result::unwrap).sum();
    // Three tables; the migration made yesterday, today and seven days ahead.
    assert_eq!(created, 3 * 23);
    assert_eq!(store.create_partitions_ahead(30).await.unwrap(), 0);
    let partitions = database
        .value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'event_segments'::regclass")
        .await;
    assert_eq!(partitions, "32");
}

/// Events as they were stored before segments: two lanes taking turns in the numbers, one of them delivered.
const OLD_EVENTS: &str = "
    INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, send_by, test_event_code, payload,
        request_id, traceparent, received_at)
    SELECT 1, (now() AT TIME ZONE 'UTC')::date, n, 'Lead', 'e' || n, now(), now() + interval '7 days',
        CASE WHEN n % 2 = 0 THEN 'TEST1' ELSE '' END, format('{\"event_id\":\"e%s\"}', n), gen_random_uuid(),
        CASE WHEN n = 999 THEN '00-trace' END, now()
    FROM generate_series(995, 1004) AS n;
    SELECT setval('event_numbers', 1004);
    INSERT INTO send_queue (dataset_id, test_event_code, event_number, day, retries)
    SELECT dataset_id, test_event_code, event_number, day, CASE WHEN event_number = 999 THEN 2 ELSE 0 END
    FROM events WHERE event_number <> 995;
    INSERT INTO meta_events_log (day, dataset_id, event_name, event_id, event_number, outcome, request_id, created_at)
    SELECT day, dataset_id, event_name, event_id, event_number, 'success', request_id, now() FROM events WHERE event_number = 995";

async fn with_old_events() -> TestDatabase {
    let database = TestDatabase::create_empty().await;
    migrate(&database, |migrator| {
        migrator.run().unwrap();
        revert(migrator, SINCE_SEGMENTS);
    })
    .await;
    database.execute(OLD_EVENTS).await;
    database
}

async fn claim(store: &Store, code: &str) -> Batch {
    let lanes = store.ready_lanes().await.unwrap();
    let ready = lanes.iter().find(|ready| ready.lane.test_event_code == code);
    let lease = Duration::from_secs(60);
    let claimed = store.claim_batch(ready.unwrap(), 1_000, lease, "test").await;
    claimed.unwrap().unwrap()
}

#[tokio::test]
async fn events_from_before_segments_keep_their_numbers_and_are_delivered_as_they_were_stored() {
    let database = with_old_events().await;
    migrate(&database, |migrator| migrator.run().unwrap()).await;
    let store = Store::new(&database.config(), "test").unwrap();
    let account = store.account().await.unwrap();
    assert_eq!((account.accepted, account.ready, account.delivered), (10, 9, 1));

    let real = claim(&store, "").await;
    let found: Vec<_> = real
        .events
        .iter()
        .map(|event| (event.number, event.id.as_str(), event.retries))
        .collect();
    assert_eq!(
        found,
        [
            (997, "e997", 0),
            (999, "e999", 2),
            (1_001, "e1001", 0),
            (1_003, "e1003", 0)
        ]
    );
    assert_eq!(real.events[1].traceparent.as_deref(), Some("00-trace"));
    for event in real.events.iter().chain(&claim(&store, "TEST1").await.events) {
        assert_eq!(event.payload, format!(r#"{{"event_id":"{}"}}"#, event.id));
        assert!(!event.too_old);
    }
    assert_eq!(database.value("SELECT nextval('event_numbers')").await, "2000");
}

#[tokio::test]
async fn segments_are_given_up_only_when_nothing_is_on_its_way_and_then_nothing_is_lost() {
    let database = with_old_events().await;
    let books = "SELECT count(*), sum(event_number), min(request_id::text) FROM events";
    let before = database.query(books).await;
    migrate(&database, |migrator| migrator.run().unwrap()).await;

    let refused = migrate(&database, |migrator| {
        revert(migrator, SINCE_SEGMENTS - 1);
        let refused = migrator.revert_last().unwrap_err().to_string();
        migrator.run().unwrap();
        refused
    })
    .await;
    assert!(refused.contains("on their way"), "{refused}");
    let store = Store::new(&database.config(), "test").unwrap();
    for code in ["", "TEST1"] {
        let batch = claim(&store, code).await;
        assert!(
            store
                .finish_batch(&batch, &AttemptRecord::default())
                .await
                .unwrap()
        );
    }
    migrate(&database, |migrator| revert(migrator, SINCE_SEGMENTS)).await;
    assert_eq!(database.query(books).await, before);
}

fn lead(number: u8) -> NewEvent {
    NewEvent {
        key: EventKey(Uuid::from_u128(number.into())),
        dataset_id: 1.try_into().unwrap(),
        name: "Lead".into(),
        id: format!("lead \"{number}\""),
        send_by: 4_000_000_000 + i64::from(number),
        dedup_window_seconds: 3_600,
        test_event_code: String::new(),
        withheld: false,
        payload: format!("{{\"n\":{number}}}"),
        request_id: Uuid::from_u128(u128::from(number) << 8),
        traceparent: (number == 5).then(|| "00-trace".into()),
    }
}

#[tokio::test]
async fn what_is_known_of_events_survives_the_way_to_heads_and_back() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let mut writer = store.event_writer().await.unwrap();
    let events: Vec<NewEvent> = (1..=6).map(lead).collect();
    writer.accept(&[&events[2]]).await.unwrap();
    // The third line of this segment is a duplicate, and no event.
    writer.accept(&events.iter().collect::<Vec<_>>()).await.unwrap();

    let all = "SELECT * FROM events ORDER BY event_number";
    let before = database.query(all).await;
    assert_eq!(before.len(), 6);
    migrate(&database, |migrator| revert(migrator, SINCE_HEADS)).await;
    assert_eq!(database.query(all).await, before);
    migrate(&database, |migrator| migrator.run().unwrap()).await;
    assert_eq!(database.query(all).await, before);
    let claimed = claim(&store, "").await.events;
    assert_eq!(claimed.len(), 6);
    for found in claimed {
        let sent = events.iter().find(|event| event.id == found.id).unwrap();
        assert_eq!(
            (
                &found.payload,
                found.request_id,
                &found.traceparent,
                found.send_by.timestamp()
            ),
            (&sent.payload, sent.request_id, &sent.traceparent, sent.send_by)
        );
    }
}

#[tokio::test]
async fn outcomes_survive_the_way_to_batches_and_back() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let mut writer = store.event_writer().await.unwrap();
    let events: Vec<NewEvent> = (1..=6).map(lead).collect();
    writer.accept(&events.iter().collect::<Vec<_>>()).await.unwrap();
    writer.record_duplicates(&[&events[0]]).await.unwrap();
    let batch = claim(&store, "").await;
    let answer = AttemptRecord {
        http_status: Some(200),
        fbtrace_id: Some("A1".into()),
        latency_ms: Some(50),
        ..AttemptRecord::default()
    };
    assert!(store.finish_batch(&batch, &answer).await.unwrap());

    let all = "SELECT day, dataset_id, event_name, event_id, event_number, outcome, request_id, attempt, http_status, fbtrace_id,
        latency_ms, created_at FROM meta_events_log ORDER BY outcome, event_number";
    let before = database.query(all).await;
    assert_eq!(before.len(), 7);
    migrate(&database, |migrator| revert(migrator, 1 + NEWER)).await;
    assert_eq!(database.query(all).await, before);
    migrate(&database, |migrator| migrator.run().unwrap()).await;
    assert_eq!(database.query(all).await, before);
}
