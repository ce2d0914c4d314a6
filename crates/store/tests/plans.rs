//! No hot statement reads a large table from end to end: with production's number of partitions, under the
//! plans that the statements really run with.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::collections::HashSet;
use std::fmt::Write as _;

use common::{Accept as _, LEASE, Queue, dataset_id, event};
use rastro_store::{AttemptOutcome, AttemptRecord, Batch, Fate, NewEvent, Store};
use rastro_test_support::eventually;
use serde_json::Value;
use tokio_postgres::Client;

/// Events are kept for 90 days; partitions are made seven ahead.
const DAYS: i32 = 98;

/// Whether PostgreSQL keeps a statement's plan: those of accepting events, over a connection of the writer's
/// own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Kept,
    /// The same, but it reads the table while that is small: ANALYZE ends the plan when it has grown.
    KeptUntilItGrows,
    ForEachCall,
}
use Plan::{ForEachCall, Kept, KeptUntilItGrows};

/// A statement as it is, the types that its parameters are bound with, and values for them.
struct Hot {
    name: &'static str,
    sql: &'static str,
    plan: Plan,
    types: &'static str,
    values: String,
}

macro_rules! hot {
    ($plan:expr, $file:literal, $types:expr, $($values:tt)*) => {
        Hot {
            name: $file,
            sql: include_str!(concat!("../src/sql/", $file, ".sql")),
            plan: $plan,
            types: $types,
            values: format!($($values)*),
        }
    };
}

/// A list of so many elements, each written by its index.
fn list(count: i64, r#type: &str, element: impl Fn(i64) -> String) -> String {
    let mut list = String::from("ARRAY[");
    for index in 0..count {
        let comma = if index == 0 { "" } else { "," };
        write!(list, "{comma}{}", element(index)).unwrap();
    }
    list + "]::" + r#type + "[]"
}

fn of(value: &str, r#type: &str, count: i64) -> String {
    list(count, r#type, |_| value.to_owned())
}

/// A part of the queue: the 2,000 rows of a dataset.
const STRETCH: &str = "6, '', 0, 7, '', 0";
const STRETCH_TYPES: &str = "bigint, bigint, text, bigint, bigint, text, bigint";

/// The statements of accepting, sending, and sweeping, with as many events as each is used with.
fn hot(count: i64) -> Vec<Hot> {
    let datasets = of("1", "bigint", count);
    let numbers = list(count, "bigint", |index| (1_000_000 + index).to_string());
    // Numbers that are there.
    let stored = list(count, "bigint", |index| (index * 100 + 1).to_string());
    let keys = list(count, "uuid", |index| format!("md5('{}')", index * 100));
    let new_keys = list(count, "uuid", |index| format!("md5('new {index}')"));
    let lookups = list(count, "bytea", |index| format!("sha256('{index}')"));
    let orders = list(count, "text", |index| format!("'o{index}'"));
    let days = of("current_date", "date", count);
    let texts = of("'a'", "text", count);
    let no_texts = of("NULL", "text", count);
    // Seventeen values of each.
    let contacts = of("'a'", "text", 17 * count);
    let seconds = of("4000000000", "bigint", count);
    let small = of("0", "smallint", count);
    let no_numbers = of("NULL", "bigint", count);
    let uuids = of("gen_random_uuid()", "uuid", count);
    let facts = [no_texts.as_str(); 16].join(", ");
    let outcomes = format!(
        "{datasets}, {}, {numbers}, {texts}, {texts}, {no_numbers}, {uuids}, {no_texts}, {}",
        of("'expired'", "text", count),
        of("1", "integer", count)
    );
    let outcome_types = "bigint[], text[], bigint[], text[], text[], bigint[], uuid[], text[], integer[]";
    let ready = format!(
        "{datasets}, {}, {numbers}, {numbers}, {days}, {small}, {seconds}",
        of("''", "text", count)
    );
    let ready_types = "bigint[], text[], bigint[], bigint[], date[], smallint[], bigint[]";
    vec![
        hot!(Kept, "claim_keys", "bigint[], uuid[], bigint[]", "{datasets}, {new_keys}, {seconds}"),
        hot!(Kept, "claimed_keys", "bigint[], uuid[]", "{datasets}, {keys}"),
        hot!(
            Kept,
            "insert_events",
            "bigint[], bigint[], text[], text[], bigint[], bigint[], text[], text[], text[], text[], text[], text[],
             text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], text[], bigint[], uuid[],
             text[], text[], text[], timestamptz, date",
            "{datasets}, {numbers}, {texts}, {texts}, {seconds}, {seconds}, {texts}, {facts}, {texts}, {no_numbers},
             {uuids}, {no_texts}, {no_texts}, {texts}, now(), current_date"
        ),
        hot!(
            Kept,
            "recall",
            "bigint[], bigint[], bytea[], bigint[], bytea[], bigint[], bytea[], bigint[], bytea[]",
            "ARRAY[1, 2]::bigint[], {datasets}, {lookups}, {datasets}, {lookups}, {datasets}, {lookups}, {datasets}, {lookups}"
        ),
        hot!(
            Kept,
            "claim_idempotency_keys",
            "bigint[], bigint[], text[], bytea[]",
            "{datasets}, {numbers}, {texts}, {lookups}"
        ),
        hot!(
            KeptUntilItGrows,
            "keep_answers",
            "bigint[], bigint[], text[], smallint[], text[]",
            "{datasets}, {numbers}, {texts}, {small}, {texts}"
        ),
        hot!(ForEachCall, "kept_answer", "bigint, bigint, text", "1, 1, 'a'"),
        hot!(
            KeptUntilItGrows,
            "record_purchases",
            "bigint[], text[], text[], bigint[], text[], text[], bigint[], text[], text[], text[], boolean[], bigint[], uuid[]",
            "{datasets}, {orders}, {}, {numbers}, {}, {}, {no_numbers}, {no_texts}, {no_texts}, {no_texts}, {}, {no_numbers}, {uuids}",
            of("'approved'", "text", count),
            of("'BRL'", "text", count),
            of("'{}'", "text", count),
            of("false", "boolean", count)
        ),
        hot!(KeptUntilItGrows, "known_purchases", "bigint[], text[]", "{datasets}, {orders}"),
        hot!(
            KeptUntilItGrows,
            "note_purchase_events",
            "bigint[], text[], bigint[], date[]",
            "{datasets}, {orders}, {numbers}, {days}"
        ),
        hot!(
            Kept,
            "insert_leads",
            "bigint[], bigint[], bytea[], bytea[], bytea[], bytea[], bytea[], bytea[], text[], text[], text[], boolean[], date[],
             text[], bigint[], uuid[]",
            "{datasets}, {numbers}, {lookups}, {lookups}, {lookups}, {lookups}, {lookups}, {lookups}, {no_texts}, {no_texts},
             {no_texts}, {}, {days}, {texts}, {no_numbers}, {uuids}",
            of("false", "boolean", count)
        ),
        hot!(
            Kept,
            "insert_touchpoints",
            "bigint[], bytea[], bigint[], text[], text[]",
            "{datasets}, {lookups}, {numbers}, {texts}, {contacts}"
        ),
        hot!(Kept, "insert_ready", ready_types, "{ready}"),
        hot!(ForEachCall, "insert_ready", ready_types, "{ready}"),
        hot!(Kept, "insert_outcomes", outcome_types, "{outcomes}"),
        hot!(ForEachCall, "insert_outcomes", outcome_types, "{outcomes}"),
        hot!(ForEachCall, "ready_lanes", "", ""),
        hot!(ForEachCall, "lock_ready", "bigint, text, bigint, bigint, bigint", "1, '', 1000, 0, {count}"),
        Hot {
            name: "take runs",
            // As diesel writes it.
            sql: r#"DELETE FROM "send_queue" WHERE ((("send_queue"."dataset_id" = $1) AND ("send_queue"."test_event_code" = $2))
                AND ("send_queue"."first_number" = ANY($3))) AND ("send_queue"."first_number" BETWEEN $4 AND $5)"#,
            plan: ForEachCall,
            types: "bigint, text, bigint[], bigint, bigint",
            values: format!("1, '', {stored}, 1, {}", count * 100 + 1),
        },
        hot!(
            ForEachCall,
            "insert_batch",
            "bigint, text, bigint[], smallint[], date, date, integer, bigint, text",
            "1, '', {numbers}, {small}, current_date, current_date, 1, 60, 'one'"
        ),
        hot!(
            ForEachCall,
            "load_events",
            "bigint, bigint[], bigint[], date, date",
            "1, {stored}, {stored}, current_date, current_date + 1"
        ),
        hot!(ForEachCall, "take_over", "bigint, text, bigint[]", "60, 'one', ARRAY[7]::bigint[]"),
        hot!(ForEachCall, "lapsed_of_open", "bigint", "10"),
        hot!(
            ForEachCall,
            "renew_leases",
            "bigint[], bigint[], integer[], bigint",
            "ARRAY[1,2]::bigint[], ARRAY[1,2]::bigint[], ARRAY[1,1], 60"
        ),
        hot!(
            ForEachCall,
            "insert_attempt",
            "bigint, bigint, integer, text, integer, text, smallint, integer, integer, text, text, integer, bigint[], date, date",
            "1, 1, 1, '', 5, 'delivered', 200::smallint, NULL, NULL, NULL, NULL, 1, {numbers}, current_date, current_date"
        ),
        hot!(
            ForEachCall,
            "insert_retries",
            "bigint, text, text, integer, integer, bigint[], date[], text[], text[], timestamptz[], smallint[], bigint[], text[], boolean[]",
            "1, '', '', NULL, NULL, {numbers}, {days}, {texts}, {texts}, {}, {small}, {seconds}, {no_texts}, {}",
            of("now()", "timestamptz", count),
            of("false", "boolean", count)
        ),
        hot!(
            ForEachCall,
            "events_of_runs",
            "bigint[], bigint[], bigint[], date[]",
            "{datasets}, {stored}, {stored}, {days}"
        ),
        hot!(
            ForEachCall,
            "traced_events",
            "bigint[], bigint[], date[]",
            "{datasets}, {stored}, {days}"
        ),
        hot!(ForEachCall, "event_story", "bigint, text", "5, 'e4'"),
        hot!(ForEachCall, "requeue_due", "bigint", "{count}"),
        hot!(ForEachCall, "requeue_for_probe", "bigint, bigint", "5, 1000"),
        hot!(ForEachCall, "revive_events", "bigint, bigint, bigint, bigint", "3, 1000, 1000, {count}"),
        hot!(ForEachCall, "expire_waiting", "bigint", "{count}"),
        hot!(
            ForEachCall,
            "queue_stretch",
            "bigint, text, bigint, bigint",
            "1, '', 0, {count}"
        ),
        hot!(ForEachCall, "expired_ready", STRETCH_TYPES, "{count}, {STRETCH}"),
        hot!(ForEachCall, "ready_of_deleted", STRETCH_TYPES, "{count}, {STRETCH}"),
        hot!(ForEachCall, "purge_dead_letters", "integer, bigint", "90, {count}"),
        hot!(ForEachCall, "expire_dedup", "bigint", "{count}"),
        hot!(ForEachCall, "watched_breakers", "bigint", "300000"),
        hot!(ForEachCall, "breaker_report", "bigint, bigint", "1, 300000"),
    ]
}

/// 200,000 rows in each table, of 100 datasets; of those of events, attempts and outcomes some on every day.
/// A breaker for some, and 200 requests in flight: of those there are never many.
const FILL: &str = "
    INSERT INTO datasets (dataset_id, name, access_token_sealed) SELECT n, 'd', '' FROM generate_series(1, 100) AS n;
    INSERT INTO circuit_breakers (dataset_id, state, generation, since, open_count, probe_successes, probe_failures, manual,
        outage_since, updated_at)
    SELECT n, CASE n WHEN 2 THEN 'open' WHEN 3 THEN 'closed' ELSE 'half_open' END, 1, now(), 0, 0, 0, 'automatic',
        now() - interval '1 minute', now()
    FROM generate_series(2, 5) AS n;
    INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source,
        test_event_code, request_id, payload)
    SELECT n % 100 + 1, current_date - 1 + (n / 100 % 100)::integer, n, 'Lead', 'e' || n, now(), now(),
        now() + interval '7 days', 'website', '', gen_random_uuid(), repeat('x', 100)
    FROM generate_series(1, 200000) AS n;
    INSERT INTO meta_events_dedup (dataset_id, event_key, day, event_number, created_at, expires_at)
    SELECT n % 100 + 1, md5(n::text)::uuid, current_date, n, now(), now() - interval '1 hour' + n * interval '3 seconds'
    FROM generate_series(1, 200000) AS n;
    INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
    SELECT n % 100 + 1, CASE WHEN n % 7 = 0 THEN 'TEST' || n % 3 ELSE '' END, n, n, current_date, now() + interval '7 days'
    FROM generate_series(1, 200000) AS n WHERE n % 100 <> 4;
    INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by, retry_count,
        next_retry_at, last_error, status, reason, failed_at)
    SELECT n % 100 + 1, n + 2000000, current_date, '', 'Lead', 'e' || n, now() - interval '1 hour' + n * interval '3 seconds', 1,
        CASE WHEN n % 3 > 0 THEN now() - interval '1 hour' + n * interval '1 second' END, '',
        CASE WHEN n % 3 > 0 THEN 'waiting' ELSE 'failed' END, CASE WHEN n % 3 = 0 THEN 'exhausted' END, now()
    FROM generate_series(1, 300000) AS n;
    INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, outcome, event_count,
        event_numbers, first_number, last_number, first_day, last_day)
    SELECT n % 100 + 1, current_date - 1 + (n / 100 % 100)::integer, n, 1, '', now() - (n / 100 % 100) * interval '1 hour',
        'delivered', 1, ARRAY[n], n, n, current_date, current_date
    FROM generate_series(1, 200000) AS n;
    INSERT INTO event_outcomes (dataset_id, day, outcome, event_number, event_name, event_id, created_at)
    SELECT n % 100 + 1, current_date - 1 + (n / 100 % 100)::integer, 'duplicate', n, 'Lead', 'e' || n, now()
    FROM generate_series(1, 200000) AS n;
    INSERT INTO leads (dataset_id, lead_id, contact, email_hmac, phone_hmac, external_id_hmac, visitor_hmac, ads_refused, event_day,
        event_id, request_id, created_at, updated_at)
    SELECT n % 100 + 1, n, '', sha256(n::text::bytea), sha256(n::text::bytea), sha256(n::text::bytea), sha256(n::text::bytea), false,
        current_date, 'e' || n, gen_random_uuid(), now() - n * interval '10 seconds', now()
    FROM generate_series(1, 200000) AS n;
    INSERT INTO touchpoints (dataset_id, visitor_hmac, touched_at, channel, fbclid, created_at)
    SELECT n % 100 + 1, sha256((n / 2)::text::bytea), now() - n * interval '10 seconds', 'paid_social', 'IwAR' || n, now()
    FROM generate_series(1, 200000) AS n;
    INSERT INTO idempotency_keys (dataset_id, key_id, idempotency_key, body_hash, status_code, answer, created_at, expires_at)
    SELECT n % 100 + 1, 1, 'k' || n, '', 202, '', now(), now() + interval '1 day' FROM generate_series(1, 200000) AS n;
    INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, ads_refused, request_id, created_at, updated_at)
    SELECT n % 100 + 1, 'o' || n, 'approved', 100, 'BRL', '{}', false, gen_random_uuid(), now(), now()
    FROM generate_series(1, 200000) AS n;
    INSERT INTO send_batches (dataset_id, test_event_code, event_numbers, retries, first_day, last_day, lease_expires_at,
        owner, claimed_at)
    SELECT n % 100 + 1, '', ARRAY[n + 5000000], '{0}', current_date, current_date, now() - interval '1 second', 'one', now()
    FROM generate_series(1, 200) AS n;
    SELECT setval('event_numbers', 9000000);
    ANALYZE";

/// The relations that the plan reads from end to end.
fn scanned(plan: &Value, found: &mut Vec<String>) {
    match plan {
        Value::Object(node) => {
            let kind = node.get("Node Type").and_then(Value::as_str).unwrap_or_default();
            // An index without a condition is read from end to end too.
            if kind == "Seq Scan" || kind.starts_with("Index") && node.get("Index Cond").is_none() {
                found.push(node["Relation Name"].as_str().unwrap().to_owned());
            }
            node.values().for_each(|value| scanned(value, found));
        }
        Value::Array(nodes) => nodes.iter().for_each(|node| scanned(node, found)),
        _ => {}
    }
}

/// The plan of a statement as it is run: prepared, with its parameters' types, in its mode.
async fn plan(sql: &Client, hot: &Hot, options: &str) -> Value {
    // As connection.rs opens its connections.
    let mode = match hot.plan {
        Kept | KeptUntilItGrows => "force_generic_plan",
        ForEachCall => "force_custom_plan; SET enable_bitmapscan = off; SET enable_seqscan = off",
    };
    let types = match hot.types {
        "" => String::new(),
        types => format!("({types})"),
    };
    let values = match hot.values.as_str() {
        "" => String::new(),
        values => format!("({values})"),
    };
    let statement = hot.sql;
    sql.batch_execute("DISCARD ALL").await.unwrap();
    sql.batch_execute(&format!(
        "SET jit = off; SET plan_cache_mode = {mode}; PREPARE hot {types} AS {statement}"
    ))
    .await
    .unwrap_or_else(|error| panic!("{}: {error:?}", hot.name));
    explain(sql, options, &format!("EXECUTE hot {values}")).await
}

/// `options`: of EXPLAIN, each followed by a comma.
async fn explain(sql: &Client, options: &str, statement: &str) -> Value {
    let messages = sql
        .simple_query(&format!("EXPLAIN ({options} FORMAT JSON) {statement}"))
        .await;
    let messages = messages.unwrap_or_else(|error| panic!("{statement:.200}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    serde_json::from_str(row.unwrap()).unwrap()
}

#[tokio::test]
async fn no_hot_statement_reads_a_large_table_from_end_to_end() {
    let queue = Queue::empty().await;
    queue.database.execute("DELETE FROM datasets").await;
    queue.store.create_partitions_ahead(DAYS).await.unwrap();
    let sql = queue.connect().await;
    // A kept plan is made when its connection is new, and the tables may be empty then.
    for hot in hot(10).iter().filter(|hot| hot.plan == Kept) {
        let mut found = Vec::new();
        scanned(&plan(&sql, hot, "").await, &mut found);
        assert!(found.is_empty(), "{} on empty tables: {found:?}", hot.name);
    }

    queue.database.execute(FILL).await;
    let large =
        "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND reltuples > 1000";
    let large: HashSet<String> = queue.rows(large).await.into_iter().collect();
    assert!(large.len() > 300, "{large:?}");
    let mut wrong = Vec::new();
    for count in [1, 1_000, 5_000] {
        for hot in hot(count) {
            let mut found = Vec::new();
            scanned(&plan(&sql, &hot, "").await, &mut found);
            found.retain(|relation| large.contains(relation));
            if !found.is_empty() {
                wrong.push(format!("{} ({:?}, {count}): {found:?}", hot.name, hot.plan));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    one_event_is_found_by_its_id(&queue, &sql).await;
    one_events_story_reads_no_attempt_of_another(&sql).await;
    a_step_of_giving_up_reads_only_its_part_of_the_queue(&sql).await;
    a_new_day_without_statistics_is_read_by_its_index(&queue, &sql).await;
    a_day_of_work(&queue).await;
}

/// Among all days, by the client's id.
async fn one_event_is_found_by_its_id(queue: &Queue, sql: &Client) {
    let by_id = "SELECT * FROM events WHERE dataset_id = 5 AND event_id = 'e4'";
    let plan = explain(sql, "", by_id).await;
    let mut found = Vec::new();
    scanned(&plan, &mut found);
    let filled = "SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
        WHERE inhparent = 'events'::regclass AND reltuples > 1000";
    let filled = queue.rows(filled).await;
    assert_eq!(filled.len(), 100);
    found.retain(|relation| filled.contains(relation));
    assert!(found.is_empty(), "{found:?}");
    let indexed = plan.to_string().matches("_dataset_id_event_id_idx\"").count();
    assert!(indexed >= filled.len(), "the index serves every partition");
}

/// Each scan of the plan: what it reads and by which index.
fn scans(plan: &Value, found: &mut Vec<(String, String)>) {
    match plan {
        Value::Object(node) => {
            if let Some(relation) = node.get("Relation Name").and_then(Value::as_str) {
                let index = node.get("Index Name").and_then(Value::as_str).unwrap_or_default();
                found.push((relation.to_owned(), index.to_owned()));
            }
            node.values().for_each(|value| scans(value, found));
        }
        Value::Array(nodes) => nodes.iter().for_each(|node| scans(node, found)),
        _ => {}
    }
}

/// By the index of number ranges, on every day; the primary key would find all attempts of the dataset.
async fn one_events_story_reads_no_attempt_of_another(sql: &Client) {
    let story = hot!(ForEachCall, "event_story", "bigint, text", "5, 'e4'");
    let mut found = Vec::new();
    scans(&plan(sql, &story, "").await, &mut found);
    found.retain(|(relation, _)| relation.starts_with("send_attempts_"));
    assert!(found.len() >= 98, "{found:?}");
    for (relation, index) in found {
        assert!(index.contains("int8range"), "{relation} by {index:?}");
    }
}

/// Rows that the plan, which was run, read and threw away.
fn thrown_away(plan: &Value) -> f64 {
    match plan {
        Value::Object(node) => {
            let of = |name| node.get(name).and_then(Value::as_f64).unwrap_or_default();
            let loops = of("Actual Loops").max(1.0);
            let own = of("Rows Removed by Filter") + of("Rows Removed by Index Recheck");
            own * loops + node.values().map(thrown_away).sum::<f64>()
        }
        Value::Array(nodes) => nodes.iter().map(thrown_away).sum(),
        _ => 0.0,
    }
}

/// None of 200,000 rows is too old: each of the part is read once, and none beside it.
async fn a_step_of_giving_up_reads_only_its_part_of_the_queue(sql: &Client) {
    let step = hot!(ForEachCall, "expired_ready", STRETCH_TYPES, "1000, {STRETCH}");
    let plan = plan(sql, &step, "ANALYZE,").await;
    assert_eq!(thrown_away(&plan), 2_000.0, "{plan:#}");
}

/// As every day begins: many rows, and nothing known of them.
async fn a_new_day_without_statistics_is_read_by_its_index(queue: &Queue, sql: &Client) {
    const NEW_DAY: &str = "
        DO $$
        DECLARE
            parent text;
            new_day date := current_date + 200;
        BEGIN
            FOREACH parent IN ARRAY day_tables() LOOP
                PERFORM create_day_partition(parent, new_day);
                EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = off)', parent || to_char(new_day, '_YYYYMMDD'));
            END LOOP;
        END $$;
        INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by,
            action_source, test_event_code, request_id, payload)
        SELECT 5, current_date + 200, 3000000 + n, 'Lead', 'new' || n, now(), now(), now() + interval '7 days', 'website', '',
            gen_random_uuid(), repeat('x', 100)
        FROM generate_series(1, 50000) AS n;
        INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, outcome, event_count,
            event_numbers, first_number, last_number, first_day, last_day)
        SELECT 5, current_date + 200, n, 1, '', now(), 'delivered', 1, ARRAY[3000000 + n], 3000000 + n, 3000000 + n,
            current_date + 200, current_date + 200
        FROM generate_series(1, 50000) AS n;
        INSERT INTO event_outcomes (dataset_id, day, outcome, event_number, event_name, event_id, created_at)
        SELECT 5, current_date + 200, 'duplicate', 3000000 + n, 'Lead', 'new' || n, now()
        FROM generate_series(1, 50000) AS n";
    queue.database.execute(NEW_DAY).await;
    for count in [1, 1_000] {
        let numbers = list(count, "bigint", |index| (3_000_001 + index * 10).to_string());
        let day = "current_date + 200";
        let hot = [
            hot!(
                ForEachCall,
                "load_events",
                "bigint, bigint[], bigint[], date, date",
                "5, {numbers}, {numbers}, {day}, {day}"
            ),
            hot!(
                ForEachCall,
                "events_of_runs",
                "bigint[], bigint[], bigint[], date[]",
                "{}, {numbers}, {numbers}, {}",
                of("5", "bigint", count),
                of(day, "date", count)
            ),
            hot!(ForEachCall, "event_story", "bigint, text", "5, 'new{count}'"),
        ];
        for hot in hot {
            let plan = plan(sql, &hot, "ANALYZE,").await;
            let wasted = thrown_away(&plan);
            // Between two numbers that are looked for lie nine others.
            assert!(
                wasted <= 10.0 * count as f64,
                "{}: {wasted} rows for {count}\n{plan:#}",
                hot.name
            );
        }
    }
}

/// Rows of each large table that were read from end to end, ever; and whether more events were read by their
/// index than a day has.
async fn rows_read_from_end_to_end(queue: &Queue) -> Vec<String> {
    let read = "SELECT c.relname, seq_tup_read, c.relname LIKE 'events%' AND idx_tup_fetch > c.reltuples
        FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE c.reltuples > 1000 ORDER BY 1";
    queue.rows(read).await
}

/// What the services do all day, by the store's own functions: also statements that are in no file, and
/// however many there are.
async fn a_day_of_work(queue: &Queue) {
    // Nothing else may come by and read.
    let disturbers =
        "SELECT format('ALTER TABLE %s SET (autovacuum_enabled = off)', oid::regclass) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    queue
        .database
        .execute(&queue.rows(disturbers).await.join(";"))
        .await;
    let before = rows_read_from_end_to_end(queue).await;
    assert!(before.len() > 300);

    // A store of its own: what its connections read is counted when they end.
    let store = Store::new(&queue.database.config(), "watched").unwrap();
    let failed = AttemptRecord::of(AttemptOutcome::Unavailable);
    let wait = |batch: &Batch| {
        let fate = Fate::Wait {
            delay: LEASE,
            retries: 1,
        };
        vec![fate; batch.events.len()]
    };
    let mut writer = store.event_writer().await.unwrap();
    for _ in 0..2 {
        let events: Vec<NewEvent> = (0..50).map(|id| event(1, "", &format!("new {id}"))).collect();
        writer
            .accept(&events.iter().collect::<Vec<_>>(), &[])
            .await
            .unwrap();
    }
    let lanes = store.ready_lanes().await.unwrap();
    // Of every dataset but one some real events, and the first of three codes of test events.
    assert_eq!(lanes.len(), 99 * 2);
    for limit in [1, 1_000] {
        let claim = async || {
            let claimed = store.claim_batch(&lanes[0], limit, LEASE, "one").await;
            claimed.unwrap().unwrap()
        };
        // The rows of most are elsewhere: they are missing.
        let batch = claim().await;
        let done = vec![Fate::Done; batch.events.len()];
        assert!(store.settle_batch(&batch, &done, Some(&failed)).await.unwrap());
        let batch = claim().await;
        assert!(store.release_batch(&batch).await.unwrap());
        let batch = claim().await;
        store.renew_leases(&[batch.id], LEASE).await.unwrap();
        assert!(
            store
                .settle_batch(&batch, &wait(&batch), Some(&failed))
                .await
                .unwrap()
        );
    }
    let batch = store
        .take_over_batch(&[dataset_id(7)], LEASE, "other")
        .await
        .unwrap()
        .unwrap();
    store
        .settle_batch(&batch, &wait(&batch), Some(&failed))
        .await
        .unwrap();
    assert!(store.dissolve_lapsed(10).await.unwrap() > 0);
    assert!(store.requeue_due(5_000).await.unwrap() > 1_000);
    assert!(store.requeue_for_probe(5, LEASE).await.unwrap() > 0);
    assert!(store.revive_after_outage(LEASE, LEASE, 5_000).await.unwrap() > 1_000);
    assert!(store.expire_waiting(5_000).await.unwrap() > 500);
    assert!(store.expire_dedup_keys(5_000).await.unwrap() > 1_000);
    assert!(store.watched_breakers(300_000).await.unwrap().len() > 4);
    assert!(
        store
            .breaker_report(dataset_id(1), 300_000)
            .await
            .unwrap()
            .is_some()
    );
    assert!(store.payload(dataset_id(5), 4).await.unwrap().is_some());
    drop((store, writer));

    let connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'watched' AND datname = current_database()";
    eventually("its connections have ended", || async {
        (queue.database.value(connected).await == "0").then_some(())
    })
    .await;
    let counted = "SELECT n_tup_del > 0 FROM pg_stat_user_tables WHERE relname = 'send_queue'";
    assert_eq!(
        queue.database.value(counted).await,
        "t",
        "what they did is counted"
    );
    assert_eq!(rows_read_from_end_to_end(queue).await, before);
}
