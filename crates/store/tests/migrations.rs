//! The schema comes, goes and comes back the same, however many want to bring it.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use rastro_store::{Migrator, Store, StoreError};
use rastro_test_support::TestDatabase;
use secrecy::SecretString;

/// Everything that makes up a schema, as text in a fixed order.
const SCHEMA: &str = "
    SELECT format('column %s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid)) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT format('relation %s %s %s', relname, relkind, reloptions) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
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
    // Two tables; the migration made yesterday, today and seven days ahead.
    assert_eq!(created, 2 * 23);
    assert_eq!(store.create_partitions_ahead(30).await.unwrap(), 0);
    let partitions = database
        .value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
        .await;
    assert_eq!(partitions, "32");
}
