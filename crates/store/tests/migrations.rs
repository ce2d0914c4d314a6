//! The schema comes, goes and comes back the same, however many want to bring it.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::time::Duration;

use common::{Accept as _, LEASE, Queue, event, numbers};
use rastro_core::event::Facts;
use rastro_core::page::Page;
use rastro_store::{
    Acceptance, AttemptOutcome, AttemptRecord, DeadLetterFilter, DeadLetterReason, Fate, FirstClaim,
    Migrator, NewEvent, RetryRequest, Store, StoreError,
};
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
    let queue = Queue::empty().await;
    let partitions = "pg_inherits WHERE inhparent = ANY (day_tables()::regclass[])";
    let before = queue.count(partitions).await;
    let attempts =
        futures_util::future::join_all((0..5).map(|_| queue.store.create_partitions_ahead(30))).await;
    let created: i32 = attempts.into_iter().map(Result::unwrap).sum();
    assert_eq!(
        before + usize::try_from(created).unwrap(),
        queue.count(partitions).await
    );
    assert_eq!(queue.store.create_partitions_ahead(30).await.unwrap(), 0);
    assert_eq!(queue.store.partition_days_ahead().await.unwrap(), 30);
    // Of three tables, today and yesterday, and each of the days to come.
    let named = "SELECT count(*) FROM unnest(day_tables()) AS parent, generate_series(-1, 30) AS ahead
        WHERE to_regclass(parent || '_' || to_char((now() AT TIME ZONE 'UTC')::date + ahead, 'YYYYMMDD')) IS NOT NULL";
    assert_eq!(queue.database.value(named).await, "96");
    // A hole counts: nothing could be stored on that day.
    queue
        .database
        .execute("DO $$ BEGIN EXECUTE 'DROP TABLE events_' || to_char((now() AT TIME ZONE 'UTC')::date + 3, 'YYYYMMDD'); END $$")
        .await;
    assert_eq!(queue.store.partition_days_ahead().await.unwrap(), 2);
}

/// Schemas of before, each by the migration that ended it.
const BEFORE_ADMINISTRATION: &str = "administer_datasets";
const BEFORE_RUNS: &str = "queue_runs_of_events";
const BEFORE_ROWS: &str = "store_events_as_rows";
const BEFORE_DELIVERED_BATCHES: &str = "log_delivered_batches";
const BEFORE_HEADS: &str = "keep_event_heads";
const BEFORE_SEGMENTS: &str = "store_events_in_segments";
const BEFORE_RESILIENCE: &str = "add_resilience";

/// How many migrations there are from the one that is called so to the newest.
fn since(name: &str) -> usize {
    let names = rastro_store::migration_names();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    names
        .iter()
        .rev()
        .position(|known| known.ends_with(name))
        .unwrap()
        + 1
}

/// A database of before, with what a test has stored there.
async fn of_before(schema: &'static str, stored: &str) -> Queue {
    let database = TestDatabase::create_empty().await;
    migrate(&database, move |migrator| {
        migrator.run().unwrap();
        revert(migrator, since(schema));
    })
    .await;
    database
        .execute("INSERT INTO datasets (dataset_id, name, access_token_sealed) VALUES (1, 'test', '')")
        .await;
    database.execute(stored).await;
    let store = Store::new(&database.config(), "test").unwrap();
    Queue { database, store }
}

async fn run(queue: &Queue) {
    migrate(&queue.database, |migrator| migrator.run().unwrap()).await;
    queue.store.check_ready().await.unwrap();
}

/// Events as they were stored before segments: two lanes taking turns in the numbers, one of them delivered.
const OLD_EVENTS: &str = "
    INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, send_by, test_event_code, payload,
        request_id, traceparent, received_at)
    SELECT 1, (now() AT TIME ZONE 'UTC')::date, n, 'Lead', 'e' || n, now(), now() + interval '7 days',
        CASE WHEN n % 2 = 0 THEN 'TEST1' ELSE '' END, format('{\"event_id\":\"e%s\"}', n), gen_random_uuid(),
        CASE WHEN n = 999 THEN '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' END, now()
    FROM generate_series(995, 1004) AS n;
    SELECT setval('event_numbers', 1004);
    INSERT INTO send_queue (dataset_id, test_event_code, event_number, day)
    SELECT dataset_id, test_event_code, event_number, day FROM events WHERE event_number <> 995;
    INSERT INTO meta_events_log (day, dataset_id, event_name, event_id, event_number, outcome, request_id, created_at)
    SELECT day, dataset_id, event_name, event_id, event_number, 'success', request_id, now() FROM events WHERE event_number = 995;";
/// What came with retries.
const OLD_RETRIES: &str = "UPDATE send_queue SET retries = 2 WHERE event_number = 999";

#[tokio::test]
async fn events_from_before_segments_keep_their_numbers_and_are_delivered_as_they_were_stored() {
    for (schema, more, retries) in [(BEFORE_RESILIENCE, "", 0), (BEFORE_SEGMENTS, OLD_RETRIES, 2)] {
        let queue = of_before(schema, &format!("{OLD_EVENTS}{more}")).await;
        run(&queue).await;
        let census = queue.store.census().await.unwrap();
        assert_eq!((census.accepted, census.ready, census.delivered), (10, 9, 1));

        let real = queue.claim(1, "", 1_000).await.unwrap();
        let found: Vec<_> = real
            .events
            .iter()
            .map(|event| (event.number, event.id.as_str(), event.retries))
            .collect();
        assert_eq!(
            found,
            [
                (997, "e997", 0),
                (999, "e999", retries),
                (1_001, "e1001", 0),
                (1_003, "e1003", 0)
            ]
        );
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(real.events[1].traceparent.as_deref(), Some(trace));
        let tests = queue.claim(1, "TEST1", 1_000).await.unwrap();
        for event in real.events.iter().chain(&tests.events) {
            assert_eq!(event.payload, format!(r#"{{"event_id":"{}"}}"#, event.id));
            assert!(!event.too_old);
        }
        assert_eq!(
            queue
                .database
                .value("SELECT nextval('event_numbers') > 1004")
                .await,
            "t"
        );
        queue.assert_nothing_is_lost().await;
    }
}

#[tokio::test]
async fn segments_are_given_up_only_when_nothing_is_on_its_way_and_then_nothing_is_lost() {
    let queue = of_before(BEFORE_SEGMENTS, OLD_EVENTS).await;
    let books = "SELECT count(*), sum(event_number), min(request_id::text) FROM events";
    let before = queue.rows(books).await;
    run(&queue).await;

    let refused = migrate(&queue.database, |migrator| {
        revert(migrator, since(BEFORE_SEGMENTS) - 1);
        let refused = migrator.revert_last().unwrap_err().to_string();
        migrator.run().unwrap();
        refused
    })
    .await;
    assert!(refused.contains("on their way"), "{refused}");
    for code in ["", "TEST1"] {
        let batch = queue.claim(1, code, 1_000).await.unwrap();
        assert!(queue.finish(&batch).await);
    }
    migrate(&queue.database, |migrator| {
        revert(migrator, since(BEFORE_SEGMENTS));
    })
    .await;
    assert_eq!(queue.rows(books).await, before);
    // What that schema did not keep of delivered events stops nothing on the way back.
    run(&queue).await;
    assert_eq!(queue.rows(books).await, before);
    let census = queue.store.census().await.unwrap();
    assert_eq!((census.accepted, census.delivered, census.lost()), (10, 10, 0));
}

/// A body as the programs of before wrote it, here by `zstd -19` of a file with these three lines, the second
/// one empty:
/// {"event_name":"Lead","event_id":"c0","event_time":1790000000,"action_source":"website","event_source_url":
/// "https://loja.example/p?utm_source=fb&fbclid=X","custom_data":{"value":12.5,"currency":"BRL","order_id":"P-1"}}
/// {"event_name":"Lead","event_id":"c2","event_time":1790000002,"action_source":"physical_store","custom_data":
/// {"order_id":"a\u0000b","value":"12,50"}}
const ZSTD: &str = "\\x\
    28b52ffd646f002d0600020c261950d703b333a119018053da98399dadb07a9319566254950d8661e805120fc3a3535b9a8f\
    afce939db4e6efda8e0300c2d00de1c15fe1ebd11da871e91fd51e6364380ce9bfede41c943ef5aca6eceabca9478f96aa5a\
    4a5901652d99decc46bcddb2e9fd30b16b0942e64debcba55bbca7d73553dfb9f4a778df3c69b76a3a3d164a62545d50975e\
    d5e8d57cc7a57f36b5496bcfbd8301100038a3814418821980c8780abc039079cd453533373f83ce5299780e5b5565e0261f\
    15f0cc625e369964e9328c";

/// Events in segments: a compressed one whose second line was a duplicate, and one that is as it came. One
/// event is ready after two retries, one is in the hands of somebody who died, one waits, and of a dead
/// letter the event is gone. The keys are those of dataset 1, "Lead" and "c0", "c2" (printf | sha256sum | cut
/// -c1-32).
fn segments(heads: &str, of_first: &str, of_second: &str) -> String {
    format!(
        "INSERT INTO event_segments (dataset_id, day, segment_number, test_event_code, event_count, event_numbers, {heads}, body,
             received_at)
         VALUES (1, current_date, 3000, '', 2, '{{[3000,3001),[3002,3003)}}', {of_first}, '{ZSTD}', now()),
             (1, current_date - 1, 4000, 'TEST1', 1, '{{[4000,4001)}}', {of_second},
             convert_to('{{\"event_id\":\"t0\",\"event_time\":1790000003,\"action_source\":\"app\"}}', 'UTF8'),
             now() - interval '1 day');
         SELECT setval('event_numbers', 4000);
         INSERT INTO meta_events_dedup VALUES ('a049c219f6a54014d724b2a1b7f55121', now(), now() + interval '8 days'),
             ('81bafe2e41b15f187d0e70817dcf7f59', now(), now() + interval '9 days');
         INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers, retries)
         VALUES (1, '', 3000, current_date, 1, '{{[3000,3001)}}', 2);
         INSERT INTO send_batches (dataset_id, test_event_code, event_numbers, first_day, last_day, fence, attempt,
             lease_expires_at, owner, claimed_at)
         VALUES (1, '', '{{3002}}', current_date, current_date, 3, 2, now() - interval '1 second', 'dead', now());
         INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by, payload,
             retry_count, next_retry_at, last_error, status, reason, failed_at)
         VALUES (1, 4000, current_date - 1, 'TEST1', 'Lead', 't0', to_timestamp(4000000002), '{{}}', 1, now(), 'x', 'waiting',
             NULL, now()),
             (1, 7, current_date - 1, '', 'Lead', 'gone', now(), '{{}}', 5, NULL, 'y', 'failed', 'exhausted', now());"
    )
}

/// The same with what is known of each event as lists of what was accepted, and as a list of what was
/// offered.
fn with_arrays() -> String {
    segments(
        "event_names, event_ids, send_by, request_ids, traceparents",
        "'{Lead,Lead}', '{c0,c2}', ARRAY[to_timestamp(4000000000), to_timestamp(4000000001)],
             '{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002}',
             '{00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01,NULL}'",
        "'{Lead}', '{t0}', ARRAY[to_timestamp(4000000002)], '{00000000-0000-0000-0000-000000000003}', NULL",
    )
}

fn with_heads() -> String {
    segments(
        "heads",
        r#"'[[4000000000, "00000000-0000-0000-0000-000000000001", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
             "Lead", "c0"], [4000000000, "00000000-0000-0000-0000-000000000009", null, "Lead", "twice"],
             [4000000001, "00000000-0000-0000-0000-000000000002", null, "Lead", "c2"]]'"#,
        r#"'[[4000000002, "00000000-0000-0000-0000-000000000003", null, "Lead", "t0"]]'"#,
    )
}

/// What is stored and queued, in the words of today.
async fn assert_is_all_there(queue: &Queue) {
    let events = "SELECT event_number, event_name, event_id, extract(epoch FROM event_time)::bigint,
        extract(epoch FROM send_by)::bigint, action_source, value, currency, order_id, page_host, page_path, utm_source, fbclid,
        test_event_code, right(request_id::text, 1), trace_id, span_id, current_date - day, length(payload)
        FROM events ORDER BY event_number";
    assert_eq!(
        queue.rows(events).await,
        [
            "3000 Lead c0 1790000000 4000000000 website 12.5 BRL P-1 loja.example /p fb X  1 0af7651916cd43dd8448eb211c80319c \
             b7ad6b7169203331 0 217",
            "3002 Lead c2 1790000002 4000000001 physical_store   a b      2   0 148",
            "4000 Lead t0 1790000003 4000000002 app        TEST1 3   1 63",
        ]
    );
    let dedup = "SELECT dataset_id, event_number, current_date - day, (expires_at - created_at) FROM meta_events_dedup ORDER BY 2";
    assert_eq!(queue.rows(dedup).await, ["1 3000 0 8 days", "1 3002 0 9 days"]);
    let answers = queue.accept(&[event(1, "", "c0"), event(1, "", "c2")]).await;
    for (answer, number) in answers.iter().zip([3_000, 3_002]) {
        let Acceptance::Duplicate(Some(FirstClaim { event_number, .. })) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(*event_number, number);
    }
    let ready = queue.claim(1, "", 10).await.unwrap();
    assert_eq!((numbers(&ready), ready.events[0].retries), (vec![3_000], 2));
    let taken = queue.take_over().await.unwrap();
    assert_eq!(
        (numbers(&taken), taken.id.fence, taken.attempt),
        (vec![3_002], 4, 3)
    );
    assert_eq!(taken.events[0].retries, 0);
    assert!(taken.events[0].payload.contains("12,50"));
    assert_eq!(queue.store.requeue_due(10).await.unwrap(), 1);
    let waited = queue.claim(1, "TEST1", 10).await.unwrap();
    assert_eq!((numbers(&waited), waited.events[0].retries), (vec![4_000], 1));
    for batch in [&ready, &taken, &waited] {
        assert!(queue.finish(batch).await);
    }
    let dead = queue
        .store
        .dead_letters(&DeadLetterFilter::default(), 0, 10)
        .await
        .unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].event_number, dead[0].event_id.as_deref()),
        (7, Some("gone"))
    );
    let census = queue.store.census().await.unwrap();
    assert_eq!((census.accepted, census.delivered, census.pending()), (3, 3, 0));
    // New numbers collide with none of before.
    queue.accept(&[event(1, "", "new")]).await;
    let number = "SELECT event_number >= 5000 FROM events WHERE event_id = 'new'";
    assert_eq!(queue.database.value(number).await, "t");
    let old = "SELECT relname FROM pg_class WHERE relname LIKE 'old%' OR relname LIKE 'event_segments%'";
    assert!(queue.rows(old).await.is_empty());
}

#[tokio::test]
async fn compressed_segments_of_every_kind_become_rows() {
    for (schema, stored) in [
        (BEFORE_HEADS, with_arrays()),
        (BEFORE_DELIVERED_BATCHES, with_heads()),
        (BEFORE_ROWS, with_heads()),
    ] {
        let queue = of_before(schema, &stored).await;
        run(&queue).await;
        assert_is_all_there(&queue).await;
    }
}

#[tokio::test]
async fn what_is_known_of_events_of_before_stays_in_the_log() {
    let log = "
        INSERT INTO delivered_batches (day, dataset_id, event_numbers, event_names, event_ids, request_ids, attempt, http_status,
            fbtrace_id, latency_ms, created_at)
        VALUES (current_date, 1, '{3000,3002}', '{Lead,Lead}', '{c0,c2}',
            '{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002}', 2, 200, 'A1', 40, now());
        INSERT INTO event_outcomes (day, dataset_id, event_name, event_id, event_number, outcome, request_id, attempt,
            http_status, error_code, error_message, created_at)
        VALUES (current_date, 1, 'Lead', 'c0', 3000, 'error', '00000000-0000-0000-0000-000000000001', 1, 503, 2, 'away', now()),
            (current_date, 1, 'Lead', 't0', 4000, 'error', '00000000-0000-0000-0000-000000000003', 1, 400, 100, 'no', now()),
            (current_date, 1, 'Lead', 'c0', NULL, 'duplicate', '00000000-0000-0000-0000-000000000004', NULL, NULL, NULL, NULL,
            now()),
            (current_date, 1, 'Lead', 'x', 8, 'expired', '00000000-0000-0000-0000-000000000005', NULL, NULL, NULL, 'old', now()),
            (current_date, 1, 'Lead', 'x', 8, 'retried', '00000000-0000-0000-0000-000000000006', NULL, NULL, NULL, 'ana', now());";
    let queue = of_before(BEFORE_ROWS, &format!("{}{log}", with_heads())).await;
    let all = "SELECT outcome, event_name, event_id, event_number, right(request_id::text, 1), attempt, http_status, error_code,
        error_message, fbtrace_id, latency_ms FROM meta_events_log WHERE outcome <> 'accepted'
        ORDER BY outcome, event_number";
    let before = queue.rows(all).await;
    assert_eq!(before.len(), 7);
    run(&queue).await;
    assert_eq!(queue.rows(all).await, before);
    // Only what was no answer speaks against Meta.
    let evidence = queue.store.watched_breakers(300_000).await.unwrap();
    assert_eq!(evidence[0].evidence.failures, 1);
    assert_eq!(queue.count("meta_events_log WHERE outcome = 'accepted'").await, 3);
}

#[tokio::test]
async fn carrying_over_goes_on_where_it_was_stopped() {
    let queue = of_before(BEFORE_ROWS, &with_heads()).await;
    // A third segment that cannot be read.
    queue
        .database
        .execute(
            "INSERT INTO event_segments (dataset_id, day, segment_number, test_event_code, event_count, event_numbers, heads,
                 body, received_at)
             SELECT 1, current_date, 1000, '', 1, '{[1000,1001)}', heads, '\\x28b52ffd00', received_at FROM event_segments
             WHERE segment_number = 4000",
        )
        .await;
    let stopped = migrate(&queue.database, |migrator| {
        migrator.run().unwrap_err().to_string()
    })
    .await;
    assert!(stopped.contains("body"), "{stopped}");
    assert!(matches!(
        queue.store.check_ready().await,
        Err(StoreError::SchemaTooOld)
    ));
    // Whoever is stopped in the middle of a segment has moved nothing of it.
    let moved =
        "SELECT count(*) FROM events e JOIN old_event_segments s ON s.event_numbers @> e.event_number";
    assert_eq!(queue.database.value(moved).await, "0");
    assert!(queue.count("old_event_segments").await >= 1);
    // Nor can it be given up half-way.
    let refused = migrate(&queue.database, |migrator| {
        revert(migrator, since(BEFORE_ROWS) - 1);
        migrator.revert_last().unwrap_err().to_string()
    })
    .await;
    assert!(refused.contains("carried over"), "{refused}");
    queue
        .database
        .execute("DELETE FROM old_event_segments WHERE segment_number = 1000")
        .await;
    run(&queue).await;
    run(&queue).await;
    assert_is_all_there(&queue).await;
}

/// The programs of before knew rows of one event. Should one still run after the migration, it fails and
/// takes nothing.
#[tokio::test]
async fn a_program_that_knows_only_rows_of_one_event_takes_nothing_from_runs() {
    // The queue's statements of before, as PostgreSQL gets them.
    const CLAIM: &str = "SELECT event_number, day, retries FROM send_queue
        WHERE dataset_id = 1 AND test_event_code = '' AND event_number >= 1
            AND coalesce((SELECT generation FROM circuit_breakers WHERE dataset_id = 1), 0) = 0
        ORDER BY event_number LIMIT 10
        FOR UPDATE SKIP LOCKED";
    const DELETE: &str = "DELETE FROM send_queue
        WHERE dataset_id = 1 AND test_event_code = '' AND event_number = ANY ('{1}')";
    const INSERT: &str =
        "INSERT INTO send_queue (dataset_id, test_event_code, event_number, day, retries, send_by)
        VALUES (1, '', 1, current_date, 0, now())";
    let queue = Queue::with_events(&[(1, "", 5)]).await;
    let sql = queue.connect().await;
    let before = queue.rows("SELECT * FROM send_queue").await;
    for statement in [CLAIM, DELETE, INSERT] {
        let error = sql.batch_execute(statement).await.unwrap_err();
        let message = error.as_db_error().unwrap().message().to_owned();
        assert!(message.contains("event_number"), "{message}");
    }
    assert_eq!(queue.rows("SELECT * FROM send_queue").await, before);

    migrate(&queue.database, |migrator| revert(migrator, since(BEFORE_RUNS))).await;
    for statement in [CLAIM, INSERT, DELETE] {
        sql.batch_execute(statement).await.unwrap();
    }
    assert_eq!(queue.count("send_queue").await, 5);
}

/// Runs are taken apart on the way back, and each event has its own time again.
#[tokio::test]
async fn runs_become_rows_of_one_event_and_those_become_runs() {
    let queue = Queue::empty().await;
    let events: Vec<NewEvent> = (0..5)
        .map(|number| NewEvent {
            send_by: 4_000_000_000 - number,
            ..event(1, "", &number.to_string())
        })
        .collect();
    queue.accept(&events).await;
    assert_eq!(queue.count("send_queue").await, 1);
    migrate(&queue.database, |migrator| revert(migrator, since(BEFORE_RUNS))).await;
    let unlike = "SELECT count(*) FROM events e LEFT JOIN send_queue q USING (dataset_id, test_event_code, event_number, day)
        WHERE q.send_by IS DISTINCT FROM e.send_by";
    assert_eq!(queue.database.value(unlike).await, "0");
    assert_eq!(queue.count("send_queue").await, 5);
    run(&queue).await;
    assert_eq!(queue.ready().await.len(), 5);
    assert_eq!(queue.claim(1, "", 10).await.unwrap().events.len(), 5);
    queue.assert_nothing_is_lost().await;
}

/// Everything that can be known of an event, in its payload and in its columns.
fn purchase(id: &str) -> NewEvent {
    let text = |text: &str| Some(text.to_owned());
    NewEvent {
        payload: format!(
            r#"{{"event_name":"Lead","event_id":"{id}","event_time":1790000001,"action_source":"app","event_source_url":"https://loja.example/p?utm_source=a&utm_medium=b&utm_campaign=c&utm_content=d&utm_term=e&fbclid=f&gclid=g&gbraid=h&wbraid=i&msclkid=j&ttclid=k","custom_data":{{"value":10.25,"currency":"BRL","order_id":"P \"1\""}}}}"#
        ),
        event_time: 1_790_000_001,
        action_source: "app",
        facts: Facts {
            value: text("10.25"),
            currency: text("BRL"),
            order_id: text("P \"1\""),
            page: Page::of(
                "https://loja.example/p?utm_source=a&utm_medium=b&utm_campaign=c&utm_content=d&utm_term=e&fbclid=f\
                 &gclid=g&gbraid=h&wbraid=i&msclkid=j&ttclid=k",
            ),
            is_bot: false,
        },
        traceparent: id
            .ends_with('5')
            .then(|| "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ..event(
            1,
            if id.ends_with('7') { "TEST1" } else { "" },
            &format!("lead \"{id}\""),
        )
    }
}

#[tokio::test]
async fn nothing_that_has_a_place_in_the_schemas_of_before_is_lost_on_the_way_there_and_back() {
    let queue = Queue::empty().await;
    let events: Vec<NewEvent> = (0..20).map(|id| purchase(&id.to_string())).collect();
    queue.accept(&events).await;
    let other = event(2, "", "of another");
    let other = NewEvent {
        key: other.key,
        dataset_id: other.dataset_id,
        id: other.id,
        ..purchase("x")
    };
    queue.accept(&[other]).await;
    let mut writer = queue.store.event_writer().await.unwrap();
    writer.accept(&[&events[0]], &[]).await.unwrap();
    let answer = |outcome| AttemptRecord {
        http_status: Some(if outcome == AttemptOutcome::Delivered {
            200
        } else {
            503
        }),
        fbtrace_id: Some("A1".into()),
        latency_ms: Some(50),
        error_message: (outcome != AttemptOutcome::Delivered).then(|| "away".into()),
        ..AttemptRecord::of(outcome)
    };
    let failed = answer(AttemptOutcome::Unavailable);
    let delivered = answer(AttemptOutcome::Delivered);
    let batch = queue.claim(1, "", 4).await.unwrap();
    assert!(queue.settle(&batch, Fate::Done, Some(&delivered)).await);
    let batch = queue.claim(1, "", 4).await.unwrap();
    let wait = Fate::Wait {
        delay: LEASE,
        retries: 3,
    };
    let dead = Fate::Dead(DeadLetterReason::Exhausted);
    let fates = [wait, dead, Fate::Dead(DeadLetterReason::Expired), dead];
    assert!(
        queue
            .store
            .settle_batch(&batch, &fates, Some(&failed))
            .await
            .unwrap()
    );
    let filter = DeadLetterFilter {
        event_numbers: Some(vec![batch.events[1].number]),
        ..DeadLetterFilter::default()
    };
    let request = RetryRequest {
        dry_run: false,
        spread: Duration::ZERO,
        at_most: 1,
        request_id: Uuid::from_u128(77),
        note: "ana",
    };
    assert_eq!(
        queue.store.retry_failed(&filter, &request).await.unwrap().retried,
        1
    );
    queue.claim(1, "", 3).await.unwrap();
    queue
        .database
        .execute("UPDATE send_queue SET retries = first_number % 3")
        .await;
    // What was erased stays erased.
    let erase = "UPDATE events SET payload = '', value = NULL, currency = NULL, order_id = NULL, page_host = NULL,
        page_path = NULL, utm_source = NULL, utm_medium = NULL, utm_campaign = NULL, utm_content = NULL, utm_term = NULL,
        fbclid = NULL, gclid = NULL, gbraid = NULL, wbraid = NULL, msclkid = NULL, ttclid = NULL, action_source = 'other',
        event_time = received_at WHERE event_number = (SELECT min(event_number) FROM events)";
    queue.database.execute(erase).await;
    // Each event of a group has the moment of its group.
    queue
        .database
        .execute("UPDATE events SET event_time = date_trunc('second', event_time)")
        .await;

    let both = [
        // A view in the schemas of before.
        "SELECT dataset_id, event_number, day, event_name, event_id, send_by, test_event_code, request_id FROM events
         ORDER BY event_number",
        "SELECT event_key, created_at, expires_at FROM meta_events_dedup ORDER BY event_key",
        "SELECT dataset_id, batch_id, event_numbers, retries, first_day, last_day, fence, attempt, lease_expires_at FROM send_batches",
        "SELECT dataset_id, event_number, day, event_name, event_id, test_event_code, send_by, retry_count, next_retry_at,
         last_error, error_code, status, reason, failed_at FROM meta_retry_queue ORDER BY event_number",
        "SELECT outcome, day, dataset_id, event_name, event_id, CASE WHEN outcome <> 'duplicate' THEN event_number END,
         request_id, attempt, http_status, error_code, error_message, fbtrace_id, latency_ms, created_at FROM meta_events_log
         WHERE outcome <> 'accepted' ORDER BY outcome, event_number, created_at",
    ];
    let today = [
        "SELECT dataset_id, event_number, day, event_name, event_id, event_time, received_at, send_by, action_source, value,
         currency, order_id, page_host, page_path, utm_source, utm_medium, utm_campaign, utm_content, utm_term, fbclid, gclid,
         gbraid, wbraid, msclkid, ttclid, test_event_code, request_id, trace_id, span_id, payload FROM events
         ORDER BY event_number",
        "SELECT dataset_id, event_key, day, event_number, created_at, expires_at FROM meta_events_dedup ORDER BY event_key",
        "SELECT dataset_id, test_event_code, event_number, day, retries, send_by FROM ready_events ORDER BY event_number",
    ];
    let mut before = Vec::new();
    for query in both.iter().chain(&today) {
        before.push(queue.rows(query).await);
    }
    assert_eq!(
        before.iter().map(Vec::len).collect::<Vec<_>>(),
        [21, 21, 1, 4, 10, 21, 21, 10]
    );
    for schema in [BEFORE_ROWS, BEFORE_DELIVERED_BATCHES, BEFORE_HEADS] {
        migrate(&queue.database, move |migrator| revert(migrator, since(schema))).await;
        for (query, before) in both.iter().zip(&before) {
            assert_eq!(&queue.rows(query).await, before, "before {schema}: {query}");
        }
        run(&queue).await;
        for (query, before) in both.iter().chain(&today).zip(&before) {
            assert_eq!(
                &queue.rows(query).await,
                before,
                "back from before {schema}: {query}"
            );
        }
    }
    let again = queue.accept(&events).await;
    assert!(
        again
            .iter()
            .all(|answer| matches!(answer, Acceptance::Duplicate(Some(_))))
    );
}

/// The schema of before knows no retired datasets, and no steps of leads.
#[tokio::test]
async fn going_back_opens_no_door_that_was_closed_and_forgets_no_step_of_a_lead() {
    let queue = Queue::empty().await;
    queue
        .database
        .execute(
            "INSERT INTO datasets (dataset_id, name, access_token_sealed, retired_at)
             VALUES (11, 'open', '', NULL), (12, 'retired', '', '2026-11-01 10:00Z');
             INSERT INTO api_keys (key_hash, dataset_id, kind, label, revoked_at)
             VALUES (sha256('1'), 11, 'secret', 'of an open one', NULL), (sha256('2'), 12, 'secret', 'of a retired one', NULL),
                 (sha256('3'), 12, 'publishable', 'revoked before', '2026-10-01 10:00Z'), (sha256('4'), NULL, 'admin', 'of none', NULL);
             INSERT INTO leads (dataset_id, lead_id, contact, ads_refused, event_day, event_id, request_id, created_at, updated_at,
                 status, events_of)
             VALUES (11, 1, '', false, current_date, 'e', gen_random_uuid(), now(), now(), 'lost', '{scheduled}')",
        )
        .await;
    let keys =
        "SELECT label, coalesce(to_char(revoked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 'opens') FROM api_keys
        WHERE label LIKE '%of%' OR label LIKE 'revoked%' ORDER BY label";
    let expected = [
        "of a retired one 2026-11-01",
        "of an open one opens",
        "of none opens",
        "revoked before 2026-10-01",
    ];
    migrate(&queue.database, |migrator| {
        revert(migrator, since(BEFORE_ADMINISTRATION));
    })
    .await;
    assert_eq!(queue.rows(keys).await, expected);
    run(&queue).await;
    assert_eq!(queue.rows(keys).await, expected);
    let steps = "SELECT status || ' ' || events_of::text FROM leads";
    assert_eq!(queue.database.value(steps).await, "lost {scheduled}");
}

/// Statements of a migration that make accepts wait for as long as they take: plain indexes on tables that were
/// there before.
fn blocking_indexes(sql: &str) -> Vec<&str> {
    let without_comments = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    let made: Vec<&str> = without_comments
        .clone()
        .filter_map(|line| line.split("CREATE TABLE ").nth(1)?.split([' ', '(']).next())
        .collect();
    without_comments
        .filter(|line| line.contains("CREATE INDEX ") || line.contains("CREATE UNIQUE INDEX "))
        .filter(|line| !line.contains("CONCURRENTLY"))
        .filter(|line| {
            let table = line
                .split(" ON ")
                .nth(1)
                .and_then(|rest| rest.split([' ', '(']).next());
            table.is_none_or(|table| !made.contains(&table))
        })
        .collect()
}

/// Those of before run while nothing is accepted (0.1 to 0.2.0).
#[test]
fn from_here_on_no_migration_makes_accepts_wait_for_an_index() {
    let new = "CREATE TABLE parcels (id bigint);\nCREATE INDEX parcels_by_id ON parcels (id);";
    assert_eq!(blocking_indexes(new), [""; 0]);
    let beside = "-- CREATE INDEX x ON events (day);\nCREATE INDEX CONCURRENTLY x ON events (day);";
    assert_eq!(blocking_indexes(beside), [""; 0]);
    let blocks = "CREATE UNIQUE INDEX x ON events (day);\nCREATE INDEX y ON leads(day);";
    assert_eq!(blocking_indexes(blocks).len(), 2);

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(sql) = std::fs::read_to_string(path.join("up.sql")) else {
            continue;
        };
        read += 1;
        let name = path.file_name().unwrap().to_string_lossy();
        if name.as_ref() >= "2026-11-29" {
            assert_eq!(
                blocking_indexes(&sql),
                [""; 0],
                "{name}: see migrations/README.md"
            );
        }
    }
    assert!(read > 30, "{read}");
}

#[tokio::test]
async fn every_table_has_its_line_on_the_page_of_the_data_model() {
    let queue = Queue::empty().await;
    let page = include_str!("../../../proto-docs/architecture.md");
    let (page, _) = page.split_once("## One event's journey").unwrap();
    let tables =
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND NOT relispartition AND left(relname, 2) <> '__'";
    let tables = queue.rows(tables).await;
    let unnamed: Vec<_> = tables
        .iter()
        .filter(|table| !page.contains(&format!("`{table}`")))
        .collect();
    assert!(unnamed.is_empty(), "{unnamed:?}");
    assert!(tables.len() > 40, "{tables:?}");
}
