//! What is counted for the pages, against counts made by other SQL.
#![expect(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use common::Queue;

const LIMIT: Duration = Duration::from_secs(30);

/// Partitions of these days for everything that is by the day.
async fn days(queue: &Queue, first: &str, last: &str) {
    queue
        .database
        .execute(&format!(
            "SELECT create_day_partition(t, d::date) FROM unnest(day_tables()) AS t,
                generate_series('{first}'::date, '{last}'::date, interval '1 day') AS d"
        ))
        .await;
}

/// The database's clock stands here, from now on.
async fn at(queue: &Queue, time: &str) {
    queue
        .database
        .execute(&format!(
            "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
             AS 'SELECT timestamptz ''{time}'''"
        ))
        .await;
}

/// An event of dataset 1, received at this time.
async fn event(queue: &Queue, number: i64, name: &str, received_at: &str) {
    queue
        .database
        .execute(&format!(
            "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by,
                action_source, test_event_code, request_id, payload)
             VALUES (1, ('{received_at}'::timestamptz AT TIME ZONE 'UTC')::date, {number}, '{name}', 'e{number}',
                '{received_at}', '{received_at}', '{received_at}'::timestamptz + interval '7 days', 'website', '',
                gen_random_uuid(), '')"
        ))
        .await;
}

/// A request that ended at this time.
async fn attempt(queue: &Queue, numbers: &[i64], outcome: &str, latency: &str, at: &str) {
    let list: Vec<String> = numbers.iter().map(i64::to_string).collect();
    let (list, count) = (list.join(","), numbers.len());
    queue
        .database
        .execute(&format!(
            "INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome,
                http_status, event_count, event_numbers, first_number, last_number, first_day, last_day)
             VALUES (1, ('{at}'::timestamptz AT TIME ZONE 'UTC')::date, 1, 1, '', '{at}', {latency}, '{outcome}',
                CASE '{outcome}' WHEN 'unavailable' THEN NULL ELSE 200 END, {count}, ARRAY[{list}],
                (SELECT min(n) FROM unnest(ARRAY[{list}]) AS n), (SELECT max(n) FROM unnest(ARRAY[{list}]) AS n),
                ('{at}'::timestamptz AT TIME ZONE 'UTC')::date - 2, ('{at}'::timestamptz AT TIME ZONE 'UTC')::date)"
        ))
        .await;
}

async fn count_all(queue: &Queue) -> usize {
    let mut changed = 0;
    for hour in queue.store.hours_to_count(LIMIT).await.unwrap() {
        changed += queue.store.count_hour(hour, LIMIT).await.unwrap().changed;
    }
    changed
}

fn hour(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn counts_are_those_of_the_rows_hour_by_hour() {
    let queue = Queue::empty().await;
    days(&queue, "2026-06-01", "2026-06-02").await;
    at(&queue, "2026-06-02 04:30:00+00").await;
    // The last millisecond of an hour and of a day, and the first of the next.
    for (number, name, time) in [
        (1, "Lead", "2026-06-01 10:59:59.999+00"),
        (2, "Lead", "2026-06-01 11:00:00+00"),
        (3, "Purchase", "2026-06-01 11:30:00+00"),
        (4, "Lead", "2026-06-01 23:59:59.999+00"),
        (5, "Lead", "2026-06-02 00:00:00+00"),
    ] {
        event(&queue, number, name, time).await;
    }
    // Delivered together; failed and then delivered the next day; refused with another and split, then
    // refused alone; parked.
    attempt(&queue, &[1, 2, 3], "delivered", "120", "2026-06-01 11:40:00+00").await;
    attempt(&queue, &[4], "unavailable", "30000", "2026-06-01 23:59:59.999+00").await;
    attempt(&queue, &[4, 5], "refused", "80", "2026-06-02 00:10:00+00").await;
    attempt(&queue, &[5], "refused", "2000", "2026-06-02 00:10:01+00").await;
    attempt(&queue, &[4], "throttled", "49", "2026-06-02 00:11:00+00").await;
    attempt(&queue, &[4], "delivered", "10000", "2026-06-02 00:12:00+00").await;
    queue
        .database
        .execute(
            "INSERT INTO event_outcomes (dataset_id, day, outcome, event_number, event_name, event_count, created_at) VALUES
                (1, '2026-06-01', 'duplicate', 1, 'Lead', 1, '2026-06-01 11:00:00+00'),
                (1, '2026-06-01', 'refused', NULL, NULL, 7, '2026-06-01 11:10:00+00')",
        )
        .await;
    count_all(&queue).await;
    let rows = queue
        .database
        .query(
            "SELECT to_char(hour AT TIME ZONE 'UTC', 'DD HH24'), event_name, outcome, events FROM event_counts
             ORDER BY hour, event_name, outcome",
        )
        .await;
    let rows: Vec<String> = rows
        .into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        rows,
        [
            "01 10 Lead accepted 1",
            "01 11  refused 7",
            "01 11 Lead accepted 1",
            "01 11 Lead duplicate 1",
            "01 11 Lead success 2",
            "01 11 Purchase accepted 1",
            "01 11 Purchase success 1",
            "01 23 Lead accepted 1",
            "01 23 Lead error 1",
            "02 00 Lead accepted 1",
            "02 00 Lead cut 2",
            "02 00 Lead error 1",
            "02 00 Lead parked 1",
            "02 00 Lead success 1",
        ]
    );
    // 120 ms are from 100 to 150; 30 s without an answer are no latency; 2000 ms and 10 s begin their own
    // buckets.
    let requests = queue
        .database
        .value("SELECT string_agg(bucket || ':' || requests || ':' || latency_ms, ' ' ORDER BY hour, bucket) FROM request_counts")
        .await;
    assert_eq!(requests, "3:1:120 99:1:0 0:1:49 2:1:80 14:1:2000 17:1:10000");
    // Three hours before UTC: what came at 00 UTC came on the first of June.
    let days = queue
        .database
        .value("SELECT string_agg(day || ' ' || event_name || ' ' || events, ', ' ORDER BY event_name) FROM event_counts_daily WHERE outcome = 'accepted'")
        .await;
    assert_eq!(days, "2026-06-01 Lead 4, 2026-06-01 Purchase 1");
    let log = "SELECT count(*) FROM meta_events_log WHERE outcome = 'success'";
    let counted = "SELECT sum(events) FROM event_counts WHERE outcome = 'success'";
    assert_eq!(
        queue.database.value(log).await,
        queue.database.value(counted).await
    );
}

#[tokio::test]
async fn recounting_an_hour_twice_writes_nothing_and_a_closed_one_is_not_counted_again() {
    let queue = Queue::empty().await;
    days(&queue, "2026-06-01", "2026-06-01").await;
    at(&queue, "2026-06-01 10:50:00+00").await;
    event(&queue, 1, "Lead", "2026-06-01 10:10:00+00").await;
    assert!(count_all(&queue).await > 0);
    let before = queue.database.value("SELECT xmin::text FROM event_counts").await;
    assert_eq!(count_all(&queue).await, 0);
    assert_eq!(
        queue.database.value("SELECT xmin::text FROM event_counts").await,
        before
    );
    // Ten minutes after its end nothing of an hour can appear any more.
    at(&queue, "2026-06-01 11:09:59+00").await;
    assert!(
        queue
            .store
            .hours_to_count(LIMIT)
            .await
            .unwrap()
            .contains(&hour("2026-06-01T10:00:00Z"))
    );
    count_all(&queue).await;
    assert!(
        queue
            .store
            .hours_to_count(LIMIT)
            .await
            .unwrap()
            .contains(&hour("2026-06-01T10:00:00Z"))
    );
    at(&queue, "2026-06-01 11:10:00+00").await;
    count_all(&queue).await;
    assert_eq!(
        queue.store.hours_to_count(LIMIT).await.unwrap(),
        [hour("2026-06-01T11:00:00Z")]
    );
    // Its day is dropped: what was counted stays.
    queue.database.execute("DROP TABLE events_20260601").await;
    count_all(&queue).await;
    assert_eq!(
        queue.database.value("SELECT sum(events) FROM event_counts").await,
        "1"
    );
}

#[tokio::test]
async fn a_row_that_commits_after_its_hour_was_counted_is_counted() {
    let queue = Queue::empty().await;
    days(&queue, "2026-06-01", "2026-06-01").await;
    at(&queue, "2026-06-01 11:00:05+00").await;
    let (mut other, connection) = tokio_postgres::connect(queue.database.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let late = other.transaction().await.unwrap();
    late.batch_execute(
        "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by,
            action_source, test_event_code, request_id, payload)
         VALUES (1, '2026-06-01', 1, 'Lead', 'e1', '2026-06-01 10:59:59+00', '2026-06-01 10:59:59+00', '2026-06-08 10:59:59+00',
            'website', '', gen_random_uuid(), '')",
    )
    .await
    .unwrap();
    count_all(&queue).await;
    assert_eq!(
        queue.database.value("SELECT count(*) FROM event_counts").await,
        "0"
    );
    late.commit().await.unwrap();
    at(&queue, "2026-06-01 11:01:05+00").await;
    count_all(&queue).await;
    assert_eq!(
        queue.database.value("SELECT sum(events) FROM event_counts").await,
        "1"
    );
    // And what is gone is no longer counted.
    queue.database.execute("DELETE FROM events").await;
    count_all(&queue).await;
    assert_eq!(
        queue.database.value("SELECT count(*) FROM event_counts").await,
        "0"
    );
    assert_eq!(
        queue
            .database
            .value("SELECT count(*) FROM event_counts_daily")
            .await,
        "0"
    );
}

/// Clocks went forward in São Paulo at midnight of 4 November 2018: that day had 23 hours, from 03:00 UTC to
/// 02:00 UTC.
#[tokio::test]
async fn a_day_is_a_day_of_the_reporting_zone_also_when_clocks_change_and_when_the_zone_does() {
    let queue = Queue::empty().await;
    queue
        .database
        .execute(
            "INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
             SELECT 1, hour, 'Lead', 'accepted', 1
             FROM generate_series(timestamptz '2018-11-03 00:00+00', '2018-11-06 23:00+00', interval '1 hour') AS hour",
        )
        .await;
    let daily = async || {
        queue
            .database
            .value("SELECT string_agg(to_char(day, 'DD') || ':' || events, ' ' ORDER BY day) FROM event_counts_daily")
            .await
    };
    // Made anew from hours, which is the same as adding up each.
    assert!(queue.store.set_time_zone("America/Rio_Branco").await.unwrap());
    assert_eq!(
        daily().await,
        "02:5 03:24 04:24 05:24 06:19",
        "five hours behind, no summer time"
    );
    assert!(queue.store.set_time_zone("America/Sao_Paulo").await.unwrap());
    assert_eq!(daily().await, "02:3 03:24 04:23 05:24 06:22");
    assert!(
        !queue.store.set_time_zone("America/Sao_Paulo").await.unwrap(),
        "nothing to do"
    );
    assert!(
        queue.store.set_time_zone("Mars/Olympus").await.is_err(),
        "PostgreSQL does not know it"
    );
    assert_eq!(daily().await, "02:3 03:24 04:23 05:24 06:22");
    // By the hour, as a run does it.
    days(&queue, "2018-11-04", "2018-11-04").await;
    event(&queue, 1, "Lead", "2018-11-04 03:00:00+00").await;
    event(&queue, 2, "Lead", "2018-11-04 03:59:59.999+00").await;
    queue
        .store
        .count_hour(hour("2018-11-04T03:00:00Z"), LIMIT)
        .await
        .unwrap();
    assert_eq!(daily().await, "02:3 03:24 04:24 05:24 06:22");
}

#[tokio::test]
async fn the_past_is_counted_backwards_and_its_progress_is_known() {
    let queue = Queue::empty().await;
    // The template has the partitions of yesterday and the days to come.
    let hours = queue.store.hours_to_count(LIMIT).await.unwrap();
    assert!(
        hours
            .windows(2)
            .all(|pair| pair[0] - pair[1] == TimeDelta::hours(1)),
        "newest first"
    );
    let progress = queue.store.count_progress().await.unwrap();
    assert_eq!((progress.days, progress.counted), (2, 0));
    for hour in hours {
        queue.store.count_hour(hour, LIMIT).await.unwrap();
    }
    assert_eq!(queue.store.count_progress().await.unwrap().counted, 2);
    // An hour that takes long is left alone for ten minutes while it is open.
    queue
        .database
        .execute("UPDATE counted_hours SET took_ms = 6000, closed = false")
        .await;
    assert!(
        queue
            .store
            .hours_to_count(Duration::from_secs(5))
            .await
            .unwrap()
            .is_empty()
    );
    queue
        .database
        .execute("UPDATE counted_hours SET counted_at = counted_at - interval '11 minutes'")
        .await;
    assert!(
        !queue
            .store
            .hours_to_count(Duration::from_secs(5))
            .await
            .unwrap()
            .is_empty()
    );
}

/// A hundred million events, as their counts: 20 datasets, 90 days. What a page asks is printed with its
/// plan; how long it may take is not a matter of a test on a shared machine.
#[tokio::test]
async fn a_page_over_a_hundred_million_events_reads_counts_and_no_log() {
    let queue = Queue::empty().await;
    queue
        .database
        .execute(
            "INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
             SELECT d, hour, name, outcome, 400
             FROM generate_series(1, 20) AS d, generate_series(
                timestamptz '2026-03-01 00:00+00', '2026-05-29 23:00+00', interval '1 hour') AS hour,
                unnest(ARRAY['Lead', 'Purchase', 'PageView']) AS name, unnest(ARRAY['accepted', 'success']) AS outcome;
             INSERT INTO event_counts_daily SELECT dataset_id, (hour AT TIME ZONE 'America/Sao_Paulo')::date, event_name, outcome,
                sum(events) FROM event_counts GROUP BY 1, 2, 3, 4;
             ANALYZE event_counts; ANALYZE event_counts_daily",
        )
        .await;
    let total = queue.database.value("SELECT sum(events) FROM event_counts").await;
    assert_eq!(
        total, "103680000",
        "20 datasets * 90 days * 24 hours * 3 names * 2 outcomes * 400"
    );
    for (what, sql) in [
        (
            "one dataset, 30 days by hour",
            "SELECT hour, outcome, sum(events) FROM event_counts
             WHERE dataset_id = 7 AND hour >= timestamptz '2026-04-29 03:00+00' GROUP BY hour, outcome",
        ),
        (
            "all datasets, 90 days by day",
            "SELECT day, outcome, sum(events) FROM event_counts_daily WHERE day >= date '2026-03-01' GROUP BY day, outcome",
        ),
    ] {
        let plan = queue
            .database
            .query(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}"))
            .await;
        let plan: Vec<String> = plan.into_iter().flatten().flatten().collect();
        let began = Instant::now();
        let rows = queue.database.query(sql).await;
        eprintln!(
            "{what}: {} rows in {:?}\n  {}",
            rows.len(),
            began.elapsed(),
            plan.join("\n  ")
        );
        assert!(!plan.iter().any(|line| line.contains(" events ")), "{plan:#?}");
    }
}

/// On a new day, before its partitions are analyzed, an event of a request must not be compared with every event of its dataset.
#[tokio::test]
async fn a_day_without_statistics_is_counted_by_the_numbers_of_its_events() {
    const EVENTS: i64 = 5_000;
    let queue = Queue::empty().await;
    days(&queue, "2026-06-01", "2026-06-03").await;
    let database = &queue.database;
    for table in ["events_20260602", "send_attempts_20260602"] {
        database
            .execute(&format!("ALTER TABLE {table} SET (autovacuum_enabled = false)"))
            .await;
    }
    database
        .execute(&format!(
            "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by,
                action_source, test_event_code, request_id, payload)
             SELECT 1, at::date, n, 'Lead', 'e' || n, at, at, at + interval '7 days', 'website', '', gen_random_uuid(), ''
             FROM generate_series(1, {EVENTS}) AS n, (VALUES (timestamptz '2026-06-02 10:00:00+00')) AS t (at);
             INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome,
                http_status, event_count, event_numbers, first_number, last_number, first_day, last_day)
             SELECT 1, day, min(event_number), 1, '', max(received_at), 80, 'delivered', 200, count(*), array_agg(event_number),
                min(event_number), max(event_number), day, day
             FROM events GROUP BY day, (event_number - 1) / 1000"
        ))
        .await;
    let statement = include_str!("../src/sql/count_events.sql")
        .replace("$1", "timestamptz '2026-06-02 10:00:00+00'")
        .replace("$2", "date '2026-06-02'")
        .replace("$3", "date '2026-05-25'");
    let plan = database
        .query(&format!(
            "SET jit = off; SET statement_timeout = '60s'; EXPLAIN (ANALYZE, TIMING off) {statement}"
        ))
        .await;
    let removed: i64 = plan
        .iter()
        .flatten()
        .flatten()
        .filter_map(|line| line.trim().strip_prefix("Rows Removed by "))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap())
        .sum();
    assert!(
        removed <= EVENTS,
        "{removed} rows were compared in vain: {plan:#?}"
    );
    assert!(plan.len() > 10, "{plan:#?}");
}
