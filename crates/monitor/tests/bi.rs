//! The views for other tools: their numbers against numbers made by hand, their types, who may read them, and
//! every query of the Grafana dashboards.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use monitor::dashboard::pages::method::METHODS;
use rastro_store::{DatabaseConfig, Migrator, Store};
use rastro_test_support::TestDatabase;
use rastro_test_support::cluster::checkout;
use serde_json::Value;

/// Dataset 7 on two days of June 2026, São Paulo. The database's clock stands at noon of the second.
const SITUATION: &str = "
    CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
        AS 'SELECT timestamptz ''2026-06-02 15:00:00+00''';
    INSERT INTO datasets (dataset_id, name, access_token_sealed) VALUES (7, 'Loja Aurora', '');
    INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events) VALUES
        (7, '2026-06-01 03:00+00', 'Lead', 'accepted', 80), (7, '2026-06-02 02:00+00', 'Lead', 'accepted', 10),
        (7, '2026-06-01 12:00+00', 'Lead', 'duplicate', 10), (7, '2026-06-02 03:00+00', 'Lead', 'accepted', 5);
    INSERT INTO event_counts_daily (dataset_id, day, event_name, outcome, events) VALUES
        (7, '2026-06-01', 'Lead', 'accepted', 90), (7, '2026-06-01', 'Lead', 'duplicate', 10), (7, '2026-06-02', 'Lead', 'accepted', 5);
    INSERT INTO counted_hours (hour, closed, counted_at, took_ms) VALUES
        ('2026-06-02 02:00+00', true, '2026-06-02 03:10+00', 1), ('2026-06-02 15:00+00', false, '2026-06-02 15:00+00', 1);
    -- 90 from 50 to 75 ms, 8 from 75 to 100, 2 unanswered.
    INSERT INTO request_counts (dataset_id, hour, bucket, requests, latency_ms) VALUES
        (7, '2026-06-01 12:00+00', 1, 90, 5400), (7, '2026-06-01 13:00+00', 2, 8, 640), (7, '2026-06-01 13:00+00', 99, 2, 0);
    SELECT create_day_partition(t, '2026-06-02') FROM unnest(day_tables()) AS t;
    INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source, value,
        currency, test_event_code, request_id, trace_id, payload)
    VALUES (7, '2026-06-02', 1, 'Purchase', 'P-1', '2026-06-02 14:00+00', '2026-06-02 14:00+00', '2026-06-09 14:00+00', 'website', 150.5,
        'BRL', '', '00000000-0000-0000-0000-000000000001', 'abc', '{}');
    INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome, http_status,
        error_code, error_subcode, fbtrace_id, event_count, event_numbers, first_number, last_number, first_day, last_day)
    VALUES (7, '2026-06-02', 1, 1, '', '2026-06-02 14:01+00', 90, 'refused', 400, 100, 2804003, 'AbC', 1, ARRAY[1], 1, 1, '2026-06-02',
        '2026-06-02');
    INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by, retry_count, last_error,
        error_code, error_subcode, status, reason, failed_at)
    VALUES (7, 1, '2026-06-02', '', 'Purchase', 'P-1', '2026-06-09 14:00+00', 0, 'x', 100, 2804003, 'failed', 'refused', '2026-06-02 14:01+00');
    INSERT INTO breaker_transitions (dataset_id, changed_at, generation, state, reason, manual, note) VALUES
        (7, '2026-06-02 10:00+00', 1, 'open', 'errors', 'automatic', ''), (7, '2026-06-02 10:30+00', 2, 'half_open', 'errors', 'automatic', ''),
        (7, '2026-06-02 10:31+00', 3, 'open', 'errors', 'automatic', ''), (7, '2026-06-02 11:08+00', 4, 'closed', NULL, 'automatic', '')";

async fn prepared() -> TestDatabase {
    let database = TestDatabase::create().await;
    database.execute(SITUATION).await;
    database
}

/// A row of a view as the reader sees it.
async fn row(database: &TestDatabase, sql: &str) -> String {
    database
        .value(&format!("SET ROLE bi_reader; SELECT r::text FROM ({sql}) AS r"))
        .await
}

#[tokio::test]
async fn views_say_what_was_counted_by_hand() {
    let database = prepared().await;
    for (sql, expected) in [
        (
            "SELECT string_agg(concat_ws(' ', day, outcome, events, complete), ', ' ORDER BY day, outcome) FROM bi.events_by_day",
            "(\"2026-06-01 accepted 90 t, 2026-06-01 duplicate 10 t, 2026-06-02 accepted 5 f\")",
        ),
        (
            "SELECT dataset, hour, events, complete FROM bi.events_by_hour WHERE events = 10 AND outcome = 'accepted'",
            "(7,\"2026-06-01 23:00:00\",10,t)",
        ),
        (
            "SELECT received, duplicates, rate, complete FROM bi.duplication_by_day WHERE day = '2026-06-01'",
            "(100,10,0.1,t)",
        ),
        // 6040 ms of 98 answered; the 95th is 5 of 8 into 75 to 100 ms; the 99th was not answered.
        (
            "SELECT requests, unanswered, round(avg_ms::numeric, 2), p95_ms, p99_ms, over_1s, over_2s FROM bi.latency_by_day",
            "(100,2,61.63,90.625,,2,2)",
        ),
        (
            "SELECT string_agg(concat_ws('-', from_ms, to_ms, requests), ' ' ORDER BY from_ms NULLS LAST) FROM bi.latency_histogram",
            "(\"50-75-90 75-100-8 2\")",
        ),
        (
            "SELECT error_code, error_subcode, meaning_pt, events, example_fbtrace_id, last_seen FROM bi.errors_by_type",
            "(100,2804003,\"O evento é velho demais\",1,AbC,\"2026-06-02 11:01:00\")",
        ),
        (
            "SELECT dataset, event_id, outcome, fbtrace_id, trace_id FROM bi.fbtrace WHERE day = '2026-06-02'",
            "(7,P-1,error,AbC,abc)",
        ),
        (
            "SELECT ready, in_flight, waiting, dead, expires_in_24h FROM bi.queue_now",
            "(0,0,0,1,0)",
        ),
        (
            "SELECT reason, error_code, events, value, currency, first_deadline FROM bi.dead_letters",
            "(refused,100,1,150.50,BRL,\"2026-06-09 11:00:00\")",
        ),
        (
            "SELECT state, \"order\", dataset_name FROM bi.breakers",
            "(closed,automatic,\"Loja Aurora\")",
        ),
        // One opening, although a probe failed in between.
        (
            "SELECT opened, closed, minutes, reason FROM bi.breaker_openings",
            "(\"2026-06-02 07:00:00\",\"2026-06-02 08:08:00\",68,errors)",
        ),
    ] {
        assert_eq!(row(&database, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn the_reader_reads_views_and_nothing_else_and_every_type_is_one_that_tools_know() {
    let database = prepared().await;
    let views = database
        .query("SELECT viewname FROM pg_views WHERE schemaname = 'bi' ORDER BY 1")
        .await;
    assert!(views.len() >= 14, "{views:?}");
    for view in views.iter().flatten().flatten() {
        database
            .query(&format!("SET ROLE bi_reader; SELECT * FROM bi.{view}"))
            .await;
    }
    let bad = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'bi'
        AND data_type NOT IN ('text', 'date', 'bigint', 'integer', 'smallint', 'boolean', 'numeric', 'double precision',
            'timestamp without time zone')";
    assert!(
        database.query(bad).await.is_empty(),
        "{:?}",
        database.query(bad).await
    );
    let without_comment =
        "SELECT relname FROM pg_class WHERE relnamespace = 'bi'::regnamespace AND relkind = 'v'
        AND length(coalesce(obj_description(oid), '')) < 20";
    assert!(database.query(without_comment).await.is_empty());
    let can_read =
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND has_table_privilege('bi_reader', oid, 'SELECT')";
    assert_eq!(database.value(can_read).await, "0");
    let personal = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'bi'
        AND column_name IN ('payload', 'contact', 'email_hmac')";
    assert_eq!(database.value(personal).await, "0");
}

/// Not the owner of the cluster, and tables in a schema of their own.
#[tokio::test]
async fn migrations_run_for_a_role_that_may_not_make_roles_and_in_a_schema_of_their_own() {
    let database = TestDatabase::create_empty().await;
    let role = format!("owner_{}", database.name());
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE {} TO {role}",
            database.name()
        ))
        .await;
    let (scheme, rest) = database.url().split_once("://").unwrap();
    let (_, host) = rest.split_once('@').unwrap();
    let config = DatabaseConfig {
        schema: "cell_1".into(),
        ..DatabaseConfig::new(format!("{scheme}://{role}:x@{host}").into(), String::new().into())
    };
    let thread = std::thread::spawn(move || {
        let mut migrator = Migrator::for_database(&config).unwrap();
        migrator.run().unwrap();
    });
    tokio::task::spawn_blocking(move || thread.join().unwrap())
        .await
        .unwrap();
    let views = "SELECT count(*) FROM pg_views WHERE schemaname = 'cell_1_bi'";
    assert!(database.value(views).await.parse::<i64>().unwrap() >= 14);
    database
        .execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"))
        .await;
}

/// As Grafana does it: macros are replaced, the variable becomes the values that were chosen.
#[tokio::test]
async fn every_query_of_every_grafana_dashboard_runs_and_answers() {
    let database = prepared().await;
    let folder = checkout().join("deploy/grafana/dashboards");
    let mut run = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for sql in queries(&dashboard) {
            let sql = sql.replace("${dataset:singlequote}", "'7'");
            let sql = with_time_filter(&sql);
            assert!(!sql.contains("$_"), "an unknown macro: {sql}");
            database.query(&format!("SET ROLE bi_reader; {sql}")).await;
            run += 1;
        }
    }
    assert!(run >= 11, "{run} queries");
}

/// What the page on how numbers are made lets its reader copy.
#[tokio::test]
async fn every_statement_that_the_dashboard_shows_runs_and_answers() {
    let database = prepared().await;
    let mut run = 0;
    for (_, name, _, _, sql) in METHODS.iter().filter(|method| !method.4.is_empty()) {
        assert!(sql.contains(" bi."), "{name}");
        database.query(&format!("SET ROLE bi_reader; {sql}")).await;
        run += 1;
    }
    assert!(run >= 9, "{run} statements");
}

#[tokio::test]
async fn what_reaches_meta_is_the_same_number_in_the_view_and_on_the_page() {
    let database = prepared().await;
    // Beside the dead letter of an hour ago, which is too young to count: one of yesterday, one of ten days ago, and of those
    // that wait two that have for over an hour and one that has not.
    database
        .execute(
            "SELECT create_day_partition(t, '2026-06-01') FROM unnest(day_tables()) AS t;
             INSERT INTO datasets (dataset_id, name, access_token_sealed) VALUES (8, 'Clínica Vale', '');
             INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by,
                action_source, test_event_code, request_id, payload)
             SELECT 7, (at AT TIME ZONE 'UTC')::date, n, 'Lead', 'L-' || n, at, at, at + interval '7 days', 'website', '',
                gen_random_uuid(), '{}'
             FROM (VALUES (-9, timestamptz '2026-06-01 12:00+00'), (-8, '2026-06-01 13:00+00'), (-7, '2026-06-02 12:00+00'),
                (9, '2026-06-02 14:30+00')) AS e (n, at);
             INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by,
                retry_count, last_error, status, reason, failed_at, next_retry_at)
             VALUES (7, -9, '2026-06-01', '', 'Lead', 'L-9', '2026-06-08 12:00+00', 3, 'x', 'failed', 'exhausted',
                    '2026-06-01 13:00+00', NULL),
                (7, -99, '2026-05-23', '', 'Lead', 'L-99', '2026-05-30 12:00+00', 3, 'x', 'failed', 'expired',
                    '2026-05-30 13:00+00', NULL),
                (7, -8, '2026-06-01', '', 'Lead', 'L-8', '2026-06-08 13:00+00', 1, 'x', 'waiting', NULL, '2026-06-02 14:00+00',
                    '2026-06-02 15:01+00');
             INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, retries, send_by)
             VALUES (7, '', -7, -7, '2026-06-02', 0, '2026-06-09 12:00+00'), (7, '', 9, 9, '2026-06-02', 0, '2026-06-09 14:30+00')",
        )
        .await;
    // 80 + 10 + 5 were accepted in the seven days that ended an hour ago.
    let view = "SELECT dataset, accepted, dead, late, dataset_name FROM bi.reaching_meta ORDER BY dataset";
    let told = database
        .value(&format!(
            "SET ROLE bi_reader; SELECT string_agg(r::text, ' ') FROM ({view}) AS r"
        ))
        .await;
    assert_eq!(told, "(7,95,1,2,\"Loja Aurora\") (8,0,0,0,\"Clínica Vale\")");
    let store = Store::new(&database.config(), "test").unwrap();
    for dataset in [None, Some(7)] {
        let page = store.undelivered(dataset).await.unwrap();
        assert_eq!((page.accepted, page.dead, page.late), (95, 1, 2), "{dataset:?}");
    }
    let (.., sql) = METHODS.iter().find(|method| method.1 == "Reach Meta").unwrap();
    assert_eq!(row(&database, sql.trim_end_matches(';')).await, "(92,95)");
}

/// Those that ask PostgreSQL; other dashboards ask Prometheus.
fn queries(dashboard: &Value) -> Vec<String> {
    let is_ours = |of: &Value| of["datasource"]["uid"] == "rastro-bi";
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut queries = Vec::new();
    for variable in list(&dashboard["templating"]["list"])
        .iter()
        .filter(|variable| is_ours(variable))
    {
        queries.push(variable["query"].as_str().unwrap().to_owned());
    }
    for panel in list(&dashboard["panels"]).iter().filter(|panel| is_ours(panel)) {
        queries.extend(
            list(&panel["targets"])
                .iter()
                .map(|target| target["rawSql"].as_str().unwrap().to_owned()),
        );
    }
    // A dashboard without an id of its own can be provisioned again and again.
    assert!(queries.is_empty() || (dashboard["id"].is_null() && dashboard["uid"].is_string()));
    queries
}

/// `$__timeFilter(column)` as Grafana writes it.
fn with_time_filter(sql: &str) -> String {
    match sql.split_once("$__timeFilter(") {
        None => sql.to_owned(),
        Some((before, after)) => {
            let (column, rest) = after.split_once(')').unwrap();
            let rest = with_time_filter(rest);
            format!("{before}{column} BETWEEN '2026-05-01T00:00:00Z' AND '2026-07-01T00:00:00Z'{rest}")
        }
    }
}
