//! Partitions, expired keys, the one leader, and a database that goes away.

use std::time::Duration;

use rastro_store::{Dataset, DatasetSettings, Leadership, Store};
use rastro_test_support::process::Process;
use rastro_test_support::{TestDatabase, World, eventually};

use crate::support::{accept, ids};

/// Status and body of a page of the worker's health endpoint.
async fn get(worker: &Process, path: &str) -> (u16, String) {
    // An error means that an earlier test of this process did so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = worker.address_after("health endpoint listens on ").await;
    let response = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The value of a metric of a step; 0 before the first.
async fn metric(worker: &Process, name: &str, step: &str) -> f64 {
    let (_, page) = get(worker, "/metrics").await;
    let series = format!("rastro_retry_step_{name}{{step=\"{step}\"}} ");
    page.lines()
        .find_map(|line| line.strip_prefix(&series))
        .map_or(0.0, |value| value.parse().unwrap())
}

async fn wait_for(database: &TestDatabase, what: &str, sql: &str, expected: &str) {
    eventually(what, || async {
        (database.value(sql).await == expected).then_some(())
    })
    .await;
}

/// As many partitions as a day has.
const ALL: &str = "3";

/// SQL that counts the partitions of a day so many days ago.
fn partitions_of(days_ago: i32) -> String {
    format!(
        "SELECT count(*)::text FROM unnest(day_tables()) AS parent
            WHERE to_regclass(parent || to_char((now() AT TIME ZONE 'UTC')::date - {days_ago}, '_YYYYMMDD')) IS NOT NULL"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_made_a_week_ahead_even_by_a_worker_that_does_not_lead() {
    let database = TestDatabase::create().await;
    let mut other_leader = Leadership::new(Store::new(&database.config(), "test").unwrap());
    assert!(other_leader.take().await.unwrap());
    database
        .execute(
            "DO $$ DECLARE parent text; day date; BEGIN
                FOR parent, day IN SELECT * FROM unnest(day_tables()),
                    generate_series((now() AT TIME ZONE 'UTC')::date + 2, now() + interval '9 days', interval '1 day')
                LOOP
                    EXECUTE format('DROP TABLE IF EXISTS %I', parent || to_char(day, '_YYYYMMDD'));
                END LOOP;
            END $$",
        )
        .await;
    let worker = Process::retry_worker(&database, &[]);
    let (status, body) = get(&worker, "/readyz").await;
    assert_eq!(status, 200, "{body}");
    worker.logged("does a retry-worker run?").await;
    for days in 0..=7 {
        assert_eq!(
            database.value(&partitions_of(-days)).await,
            ALL,
            "{days} days ahead"
        );
    }
    eventually("it asks for the lead in vain", || async {
        (metric(&worker, "runs_total", "take_the_lead").await >= 3.0).then_some(())
    })
    .await;
    assert_eq!(
        metric(&worker, "runs_total", "create_partitions").await,
        0.0,
        "as a step of its own only the leader makes them"
    );

    drop(other_leader);
    eventually("the worker takes the lead", || async {
        (metric(&worker, "runs_total", "create_partitions").await >= 1.0).then_some(())
    })
    .await;
}

/// SQL for a dead letter (`reason`, not too old for Meta) of an event received so many days ago.
fn dead_letter(number: i64, days_ago: i32, reason: &str) -> String {
    format!(
        "INSERT INTO meta_retry_queue (
             dataset_id, event_number, day, test_event_code, event_name, event_id, send_by, retry_count, last_error,
             status, reason, failed_at
         ) VALUES (
             1, {number}, (now() AT TIME ZONE 'UTC')::date - {days_ago}, '', 'Lead', 'a', now() + interval '1 day', 0, '',
             'failed', '{reason}', now()
         )"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_partitions_are_dropped_with_the_dead_letters_of_their_days_whoever_has_some() {
    let database = TestDatabase::create().await;
    for days_ago in [100, 97, 95, 80] {
        database
            .execute(&format!(
                "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
                     AS 'SELECT now() - interval ''{days_ago} days''';
                 SELECT create_day_partitions(0);
                 CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
                     AS 'SELECT now()'"
            ))
            .await;
    }
    for (number, days_ago, reason) in [(1, 97, "refused"), (2, 100, "expired"), (3, 80, "refused")] {
        database.execute(&dead_letter(number, days_ago, reason)).await;
    }
    let worker = Process::retry_worker(
        &database,
        &[
            ("RASTRO__MAINTENANCE__PARTITIONS_EVERY_SECONDS", "0"),
            ("RASTRO__MAINTENANCE__TIDY_EVERY_SECONDS", "0"),
        ],
    );
    for gone in [100, 97, 95] {
        wait_for(&database, "the old ones are gone", &partitions_of(gone), "0").await;
    }
    let letters = "SELECT string_agg(event_number::text, ' ') FROM meta_retry_queue";
    wait_for(&database, "so are their dead letters", letters, "3").await;
    let runs = metric(&worker, "runs_total", "drop_partitions").await;
    eventually("it looks again", || async {
        (metric(&worker, "runs_total", "drop_partitions").await > runs + 1.0).then_some(())
    })
    .await;
    assert_eq!(database.value(&partitions_of(80)).await, ALL, "90 days are kept");
    assert_eq!(database.value(letters).await, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_events_that_are_too_old_or_whose_dataset_is_gone_are_dead_letters() {
    let world = World::start().await;
    accept(&world, &ids("a", 3)).await;
    // No forwarder runs: the queue is as it is while a dataset is blocked for a week.
    world.advance(Duration::from_secs(8 * 24 * 3_600)).await;
    // In two requests, so that they are two rows.
    accept(&world, &ids("b", 1)).await;
    accept(&world, &ids("c", 1)).await;
    world
        .database
        .execute("UPDATE send_queue SET dataset_id = 1 WHERE first_number = (SELECT max(first_number) FROM send_queue)")
        .await;
    world.start_retry_worker_with(|config| config.maintenance.tidy_every_seconds = 0);
    let letters = "SELECT coalesce(string_agg(reason || ' ' || count, ', '), '') FROM
        (SELECT reason, count(*) FROM meta_retry_queue WHERE status = 'failed' GROUP BY 1 ORDER BY 1) AS r";
    wait_for(
        &world.database,
        "they are",
        letters,
        "dataset_deleted 1, expired 3",
    )
    .await;
    let log = "SELECT count(*)::text FROM meta_events_log WHERE outcome = 'expired'";
    assert_eq!(world.database.value(log).await, "3");
    assert_eq!(world.census().await.ready, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_event_keys_are_forgotten_in_steps_and_no_others() {
    let database = TestDatabase::create().await;
    database
        .execute(
            "INSERT INTO meta_events_dedup (dataset_id, event_key, day, created_at, expires_at)
             SELECT 1, gen_random_uuid(), current_date, now() - interval '9 days', now() - number * interval '1 minute'
             FROM generate_series(1, 250) AS number;
             INSERT INTO meta_events_dedup (dataset_id, event_key, day, created_at, expires_at)
             SELECT 1, gen_random_uuid(), current_date, now(), now() + interval '1 hour' FROM generate_series(1, 30)",
        )
        .await;
    let worker = Process::retry_worker(&database, &[("RASTRO__MAINTENANCE__DEDUP_STEP", "100")]);
    wait_for(
        &database,
        "the expired ones are gone",
        "SELECT count(*)::text FROM meta_events_dedup",
        "30",
    )
    .await;
    eventually("it was counted", || async {
        (metric(&worker, "rows_total", "expire_dedup_keys").await == 250.0).then_some(())
    })
    .await;
    assert_eq!(
        metric(&worker, "runs_total", "expire_dedup_keys").await,
        3.0,
        "100, 100 and 50"
    );
    assert!(metric(&worker, "last_success_timestamp_seconds", "expire_dedup_keys").await > 1.7e9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_queue_does_not_grow_by_the_rows_that_have_left_it() {
    let database = TestDatabase::create().await;
    let pass_through = "
        INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
        SELECT 1, '', n, n, current_date, 'infinity' FROM generate_series(1, 20000) AS n;
        DELETE FROM send_queue";
    database
        .execute("ALTER TABLE send_queue SET (autovacuum_enabled = off)")
        .await;
    database.execute(pass_through).await;
    let size = "SELECT pg_total_relation_size('send_queue')::text";
    let before: u64 = database.value(size).await.parse().unwrap();
    let _worker = Process::retry_worker(&database, &[("RASTRO__MAINTENANCE__VACUUM_EVERY_SECONDS", "0")]);
    for round in 1..=3 {
        let vacuumed = format!(
            "SELECT (n_tup_del >= {round} * 20000 AND n_dead_tup = 0)::text FROM pg_stat_user_tables
             WHERE relname = 'send_queue'"
        );
        wait_for(&database, "it is vacuumed", &vacuumed, "true").await;
        database.execute(pass_through).await;
    }
    let after: u64 = database.value(size).await.parse().unwrap();
    // Four times as many rows have been there. An emptied page of the index waits for the next vacuum but
    // one.
    assert!(after < 2 * before + 64 * 1024, "{before} bytes became {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_database_goes_away_says_so_once_and_goes_on_when_it_is_back() {
    let (database, elsewhere) = (TestDatabase::create().await, TestDatabase::create_empty().await);
    let worker = Process::retry_worker(&database, &[]);
    worker.logged("this worker does the maintenance now").await;
    let (name, before) = (
        database.name(),
        metric(&worker, "runs_total", "requeue_due").await,
    );
    // In two transactions: until the first has ended, a connection that was lost could be made anew.
    elsewhere
        .execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        .await;
    elsewhere
        .execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ))
        .await;
    for step in ["expire_waiting", "tick_breakers", "take_the_lead"] {
        eventually("every part has failed and tried again", || async {
            (metric(&worker, "failures_total", step).await >= 2.0).then_some(())
        })
        .await;
    }
    assert_eq!(get(&worker, "/readyz").await.0, 503);
    assert_eq!(get(&worker, "/healthz").await.0, 200);
    let complaints = |log: Vec<String>| {
        log.iter()
            .filter(|line| line.contains("does not work, trying on"))
            .count()
    };
    assert_eq!(
        complaints(worker.log()),
        3,
        "one for each part: {:#?}",
        worker.log()
    );

    elsewhere
        .execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        .await;
    eventually("it works again", || async {
        let works = worker
            .log()
            .iter()
            .filter(|line| line.contains("works again"))
            .count();
        (works == 3 && metric(&worker, "runs_total", "requeue_due").await > before).then_some(())
    })
    .await;
    eventually("it is ready", || async {
        (get(&worker, "/readyz").await.0 == 200).then_some(())
    })
    .await;
}

/// SQL for a lead that nothing happened to for so many days, and a contact with an ad as many days ago.
fn person(number: i64, days_ago: i32) -> String {
    format!(
        "INSERT INTO leads (
             dataset_id, lead_id, contact, ads_refused, event_day, event_id, request_id, created_at, updated_at
         ) VALUES (
             1, {number}, '', false, current_date, 'l-{number}', gen_random_uuid(), now() - interval '800 days',
             now() - interval '{days_ago} days'
         );
         INSERT INTO touchpoints (dataset_id, visitor_hmac, touched_at, channel, created_at)
         VALUES (1, '\\x{number:02x}', now() - interval '{days_ago} days', 'direct', now())"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_long_ago_are_forgotten_in_steps_and_their_orders_kept() {
    let database = TestDatabase::create().await;
    // Two steps of leads to forget, one of whom bought; and people on both sides of each limit.
    for (number, days_ago) in [
        (1, 800),
        (2, 790),
        (3, 780),
        (4, 731),
        (5, 729),
        (6, 396),
        (7, 394),
        (8, 1),
    ] {
        database.execute(&person(number, days_ago)).await;
    }
    database
        .execute(
            "INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, lead_id, match_method,
                 ads_refused, request_id, created_at, updated_at)
             VALUES (1, 'o-1', 'approved', 1, 'BRL', '{}', 2, 'lead_id', false, gen_random_uuid(), now(), now())",
        )
        .await;
    // Claims that nobody confirmed, on both sides of the limit.
    for days_ago in [91, 89] {
        database
            .execute(&format!(
                "INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, claimed_event,
                     ads_refused, request_id, created_at, updated_at)
                 VALUES (1, 'claim-{days_ago}', 'pending', 1, 'BRL', '{{}}', '{{}}', false, gen_random_uuid(),
                     now() - interval '{days_ago} days', now())"
            ))
            .await;
    }
    for days_ago in [-1, 1] {
        database
            .execute(&format!(
                "INSERT INTO idempotency_keys
                     (dataset_id, key_id, idempotency_key, body_hash, status_code, answer, created_at, expires_at)
                 VALUES (1, 1, 'k{days_ago}', '', 202, '{{}}', now(), now() - interval '{days_ago} days')"
            ))
            .await;
    }
    let worker = Process::retry_worker(&database, &[("RASTRO__SWEEP__STEP_EVENTS", "2")]);
    let leads = "SELECT string_agg(lead_id::text, ' ' ORDER BY lead_id) FROM leads";
    wait_for(&database, "old leads are forgotten", leads, "5 6 7 8").await;
    let contacts =
        "SELECT string_agg(encode(visitor_hmac, 'hex'), ' ' ORDER BY visitor_hmac) FROM touchpoints";
    wait_for(&database, "old contacts are forgotten", contacts, "07 08").await;
    let claims = "SELECT string_agg(order_id, ' ') FROM purchases WHERE status = 'pending' AND claimed_event IS NOT NULL";
    wait_for(&database, "old claims are forgotten", claims, "claim-89").await;
    wait_for(
        &database,
        "old answers are forgotten",
        "SELECT string_agg(idempotency_key, ' ') FROM idempotency_keys",
        "k-1",
    )
    .await;
    eventually("the steps are counted", || async {
        let leads = metric(&worker, "rows_total", "forget_leads").await;
        let contacts = metric(&worker, "rows_total", "forget_touchpoints").await;
        ((leads, contacts) == (4.0, 6.0)).then_some(())
    })
    .await;
    assert!(
        metric(&worker, "runs_total", "forget_leads").await >= 2.0,
        "two at a time"
    );
    let order = "SELECT lead_id || ' ' || status FROM purchases WHERE status = 'approved'";
    assert_eq!(database.value(order).await, "2 approved");
}

/// SQL for a payment that was last told of so many days ago, with all that leads to who made it.
fn payment(number: i64, days_ago: i32) -> String {
    format!(
        "INSERT INTO payments (dataset_id, payment_id, account_id, status, status_detail, books, operation_type, currency,
             amount_minor, refunded_minor, payment_method, payment_type, order_id, payer_email_hmac, payer_cpf_hmac, created_at,
             updated_at, discovered_by, first_seen_at, read_at)
         SELECT 1, '{number}', 1, 'approved', '', 'counted', 'regular_payment', 'BRL', 1000, 0, 'pix', 'bank_transfer',
             'o-{number}', '\\x{number:02x}', '\\xff{number:02x}', at, at, 'webhook', at, now()
         FROM (SELECT now() - interval '{days_ago} days' AS at) AS moment;
         INSERT INTO purchase_movements (dataset_id, payment_id, movement_key, kind, amount_minor, currency, occurred_at, recorded_at)
         SELECT 1, payment_id, 'approval', 'approval', 1000, 'BRL', created_at, created_at FROM payments
         WHERE payment_id = '{number}';
         INSERT INTO credited_orders (dataset_id, order_id, placed_at, day, currency, gross_minor, net_minor, fee_minor,
             customer_id, person_known, fingerprint, rules_version, credited_at)
         SELECT 1, order_id, created_at, created_at::date, 'BRL', 1000, 1000, 0, {number}, false, '', 1, created_at
         FROM payments WHERE payment_id = '{number}';
         INSERT INTO customers (dataset_id, key_hmac, customer_id, created_at)
         SELECT 1, payer_email_hmac, {number}, created_at FROM payments WHERE payment_id = '{number}'"
    )
}

/// SQL for what was told of a payment, and ended so many days ago.
fn told(number: i64, days_ago: i32) -> String {
    format!(
        "INSERT INTO payment_notifications (dataset_id, account_id, delivery_key, source, topic, resource_id, state, due_at,
             received_at, last_received_at, finished_at)
         SELECT 1, 1, sha256('{number}'), 'hint', 'payment', '{number}', 'done', at, at, at, at
         FROM (SELECT now() - interval '{days_ago} days' AS at) AS moment"
    )
}

/// SQL for a comparison that found something so many days ago.
fn found(number: i64, days_ago: i32, finished_at: &str, state: &str) -> String {
    format!(
        "INSERT INTO reconciliation_runs (dataset_id, run_id, account_id, kind, window_of, window_from, window_to, cursor_at,
             state, lease_until, started_at, finished_at)
         OVERRIDING SYSTEM VALUE
         VALUES (1, {number}, 1, 'nightly', 'date_created', '2024-01-01', '2024-02-01', '2024-02-01', '{state}', now(), now(),
             {finished_at});
         INSERT INTO reconciliation_findings (dataset_id, run_id, payment_id, finding, remote_minor, local_minor, action, found_at)
         VALUES (1, {number}, '1', 'unattributed', 1, 1, 'listed', now() - interval '{days_ago} days')"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_payments_of_long_ago_the_money_is_kept_and_not_who_paid() {
    let database = TestDatabase::create().await;
    for (number, days_ago) in [(1, 1_500), (2, 731), (3, 729), (4, 1)] {
        database.execute(&payment(number, days_ago)).await;
    }
    // The first paid again, under the same number.
    database
        .execute("UPDATE credited_orders SET customer_id = 1 WHERE order_id = 'o-4'")
        .await;
    for (number, days_ago) in [(1, 200), (2, 91), (3, 89)] {
        database.execute(&told(number, days_ago)).await;
    }
    for (number, days_ago) in [(1, 400), (2, 366), (3, 364)] {
        database
            .execute(&found(number, days_ago, "now()", "complete"))
            .await;
    }
    // One that is still to end counts what it found.
    database.execute(&found(4, 400, "NULL", "running")).await;
    let pending =
        "UPDATE payment_notifications SET state = 'pending', finished_at = NULL WHERE resource_id = '1'";
    database.execute(pending).await;
    let worker = Process::retry_worker(
        &database,
        &[
            ("RASTRO__SWEEP__STEP_EVENTS", "1"),
            ("RASTRO__MAINTENANCE__PARTITIONS_EVERY_SECONDS", "0"),
        ],
    );
    let told = "SELECT string_agg(resource_id, ' ' ORDER BY resource_id) FROM payment_notifications";
    wait_for(&database, "what was told is forgotten", told, "1 3").await;
    let payers = "SELECT string_agg(payment_id, ' ' ORDER BY payment_id) FROM payments
        WHERE num_nonnulls(payer_email_hmac, payer_cpf_hmac) > 0";
    wait_for(&database, "who paid is forgotten", payers, "3 4").await;
    let found = "SELECT string_agg(run_id::text, ' ' ORDER BY run_id) FROM reconciliation_findings";
    wait_for(&database, "what was found is forgotten", found, "3 4").await;
    let keys = "SELECT string_agg(customer_id::text, ' ' ORDER BY customer_id) FROM customers";
    wait_for(
        &database,
        "who does not come any more is forgotten",
        keys,
        "1 3 4",
    )
    .await;
    eventually("all keys are looked at again", || async {
        (metric(&worker, "runs_total", "forget_customers").await >= 10.0).then_some(())
    })
    .await;
    assert_eq!(database.value(keys).await, "1 3 4");
    let money = "SELECT concat_ws(' ', (SELECT sum(amount_minor) FROM purchase_movements), (SELECT count(*) FROM payments),
        (SELECT sum(net_minor) FROM credited_orders), (SELECT count(*) FROM reconciliation_runs))";
    assert_eq!(database.value(money).await, "4000 4 4000 4");
}

/// Of dataset 1 so many runs of one event, of which the last is too old for Meta.
async fn long_queue(rows: u32) -> TestDatabase {
    let database = TestDatabase::create().await;
    let dataset = Dataset {
        id: 1.try_into().unwrap(),
        settings: DatasetSettings::default(),
        access_token: "EAAtest".to_owned().into(),
    };
    let store = Store::new(&database.config(), "test").unwrap();
    store.put_dataset(&dataset).await.unwrap();
    database
        .execute(&format!(
            "INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
             SELECT 1, '', n, n, current_date, now() + (CASE n WHEN {rows} THEN '-1 second' ELSE '7 days' END)::interval
             FROM generate_series(1, {rows}) AS n"
        ))
        .await;
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_old_expires_behind_however_many_others() {
    let database = long_queue(60_000).await;
    let worker = Process::retry_worker(&database, &[]);
    let dead = "SELECT coalesce(string_agg(event_number || ' ' || reason, ','), '') FROM meta_retry_queue";
    wait_for(&database, "the old one is a dead letter", dead, "60000 expired").await;
    let left = "SELECT count(*)::text FROM send_queue";
    assert_eq!(database.value(left).await, "59999");
    assert!(
        metric(&worker, "runs_total", "expire_ready").await >= 2.0,
        "in more than one step"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_that_fails_is_not_tried_in_every_round() {
    let database = long_queue(1).await;
    database
        .execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
             CREATE TRIGGER fail BEFORE INSERT ON meta_retry_queue FOR EACH ROW EXECUTE FUNCTION fail()",
        )
        .await;
    let worker = Process::retry_worker(&database, &[]);
    eventually("it has failed", || async {
        (metric(&worker, "failures_total", "expire_ready").await >= 1.0).then_some(())
    })
    .await;
    let rounds = metric(&worker, "runs_total", "take_the_lead").await;
    eventually("two more rounds", || async {
        (metric(&worker, "runs_total", "take_the_lead").await >= rounds + 2.0).then_some(())
    })
    .await;
    assert_eq!(metric(&worker, "failures_total", "expire_ready").await, 1.0);
}
