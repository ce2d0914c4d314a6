//! Nothing is kept for ever, nothing pins anything, and one unknown word stops nothing but itself.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use common::{LEASE, Queue, dataset, dataset_id, event, numbers};
use rastro_core::circuit_breaker::{Reason, State};
use rastro_store::{
    Acceptance, ApiKeyKind, AttemptOutcome, AttemptRecord, DeadLetterReason, Fate, Migrator, NewEvent, Store,
};
use rastro_test_support::TestDatabase;

const LATER: Fate = Fate::Wait {
    delay: LEASE,
    retries: 1,
};

/// Partitions of days before the given number of days ago.
fn older_than(days: i32) -> String {
    format!(
        "pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = ANY (day_tables()::regclass[])
         AND right(relname, 8) < to_char((rastro_now() AT TIME ZONE 'UTC')::date - {days}, 'YYYYMMDD')"
    )
}

#[tokio::test]
async fn no_event_keeps_the_days_of_others() {
    let queue = Queue::with_events(&[(1, "", 1), (2, "", 1), (3, "", 1), (4, "", 1)]).await;
    // One is ready, one is in flight, one waits, one is a dead letter that could still be sent.
    queue.claim(2, "", 1).await.unwrap();
    let batch = queue.claim(3, "", 1).await.unwrap();
    assert!(queue.settle(&batch, LATER, None).await);
    let batch = queue.claim(4, "", 1).await.unwrap();
    let refused = AttemptRecord::of(AttemptOutcome::Refused);
    assert!(
        queue
            .settle(&batch, Fate::Dead(DeadLetterReason::Refused), Some(&refused))
            .await
    );
    queue.pass("91 days").await;
    queue.store.create_partitions_ahead(1).await.unwrap();
    let old = queue.count(&older_than(90)).await;
    assert!(old >= 6, "{old}");
    assert_eq!(queue.store.drop_old_partitions(90).await.unwrap(), old);
    assert_eq!(queue.count(&older_than(90)).await, 0);
    assert_eq!(queue.store.drop_old_partitions(90).await.unwrap(), 0);
    assert_eq!(queue.store.partition_days_ahead().await.unwrap(), 1);
    // What is left without its row is not silent.
    let batch = queue.claim(1, "", 1).await.unwrap();
    assert_eq!((batch.events.len(), batch.missing.len()), (0, 1));
}

#[tokio::test]
async fn a_partition_that_is_in_use_stays_until_the_next_time_and_keeps_no_other() {
    let queue = Queue::empty().await;
    queue.pass("91 days").await;
    queue.store.create_partitions_ahead(1).await.unwrap();
    let old = queue.count(&older_than(90)).await;
    let reader = queue.connect().await;
    let oldest = format!(
        "SELECT min(relname) FROM {} AND relname LIKE 'events%'",
        older_than(90)
    );
    let oldest = queue.database.value(&oldest).await;
    let reading = format!("BEGIN; SELECT FROM {oldest}");
    reader.batch_execute(&reading).await.unwrap();
    assert_eq!(queue.store.drop_old_partitions(90).await.unwrap(), old - 1);
    reader.batch_execute("COMMIT").await.unwrap();
    assert_eq!(queue.store.drop_old_partitions(90).await.unwrap(), 1);
}

#[tokio::test]
async fn a_partition_that_cannot_be_dropped_is_told_of_and_keeps_no_other() {
    let queue = Queue::empty().await;
    queue.pass("91 days").await;
    queue.store.create_partitions_ahead(1).await.unwrap();
    let old = queue.count(&older_than(90)).await;
    assert!(old > 3, "{old}");
    let oldest = format!(
        "SELECT min(relname) FROM {} AND relname LIKE 'events%'",
        older_than(90)
    );
    let oldest = queue.database.value(&oldest).await;
    let kept = format!("CREATE VIEW somebodys_report AS SELECT event_name FROM {oldest}");
    queue.database.execute(&kept).await;
    let failed = queue.store.drop_old_partitions(90).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(queue.count(&older_than(90)).await, 1);
}

#[tokio::test]
async fn dead_letters_go_with_the_days_of_their_events() {
    let queue = Queue::with_events(&[(1, "", 3)]).await;
    let batch = queue.claim(1, "", 3).await.unwrap();
    let dead = Fate::Dead(DeadLetterReason::Refused);
    let settled = queue.store.settle_batch(&batch, &[dead, dead, LATER], None).await;
    assert!(settled.unwrap());
    assert_eq!(queue.store.purge_dead_letters(90, 10).await.unwrap(), 0);
    queue.pass("90 days").await;
    assert_eq!(queue.store.purge_dead_letters(90, 10).await.unwrap(), 0);
    queue.pass("91 days").await;
    assert_eq!(queue.store.purge_dead_letters(90, 1).await.unwrap(), 1);
    assert_eq!(queue.store.purge_dead_letters(90, 10).await.unwrap(), 1);
    // What waits is not thrown away: it expires first.
    let left = "SELECT event_number, status FROM meta_retry_queue";
    assert_eq!(
        queue.rows(left).await,
        [format!("{} waiting", batch.events[2].number)]
    );
}

#[tokio::test]
async fn changes_of_breakers_are_kept_as_long_as_events() {
    let queue = Queue::empty().await;
    queue.set_breaker(1, State::Open, Some(Reason::Errors)).await;
    queue.set_breaker(1, State::HalfOpen, Some(Reason::Errors)).await;
    queue.pass("89 days").await;
    queue.set_breaker(1, State::Closed, None).await;
    assert_eq!(queue.store.purge_transitions(90, 10).await.unwrap(), 0);
    queue.pass("91 days").await;
    assert_eq!(queue.store.purge_transitions(90, 1).await.unwrap(), 1);
    assert_eq!(queue.store.purge_transitions(90, 10).await.unwrap(), 1);
    assert_eq!(
        queue.rows("SELECT state FROM breaker_transitions").await,
        ["closed"]
    );
}

#[tokio::test]
async fn only_keys_that_expired_are_forgotten_and_can_then_be_claimed_again() {
    let queue = Queue::empty().await;
    let short = NewEvent {
        dedup_window_seconds: 3_600,
        ..event(1, "", "a")
    };
    queue.accept(&[short.clone(), event(1, "", "b")]).await;
    assert_eq!(queue.store.expire_dedup_keys(10).await.unwrap(), 0);
    queue.pass("2 hours").await;
    assert_eq!(queue.store.expire_dedup_keys(10).await.unwrap(), 1);
    let answers = queue.accept(&[short, event(1, "", "b")]).await;
    assert!(matches!(answers[0], Acceptance::Accepted { .. }), "{answers:?}");
    assert!(
        matches!(answers[1], Acceptance::Duplicate(Some(_))),
        "{answers:?}"
    );
}

#[tokio::test]
async fn forgetting_keys_costs_what_it_forgets_also_after_pages_were_reused() {
    const STEP: i64 = 20;
    let queue = Queue::empty().await;
    // Keys of ten days, of which half are forgotten by turns and replaced by new ones in the room that they
    // left.
    let insert = |round: i32| {
        format!(
            "INSERT INTO meta_events_dedup (dataset_id, event_key, day, event_number, created_at, expires_at)
             SELECT 1, md5({round} || ' ' || n)::uuid, current_date, n, now(),
                 now() + ({round} * 5 + n % 10) * interval '1 day' - interval '4 days'
             FROM generate_series(1, 100000) AS n"
        )
    };
    queue.database.execute(&insert(0)).await;
    for round in 1..4 {
        queue.pass(&format!("{} days", (round - 1) * 5)).await;
        while queue.store.expire_dedup_keys(50_000).await.unwrap() > 0 {}
        queue.database.execute("VACUUM meta_events_dedup").await;
        queue.database.execute(&insert(round)).await;
    }
    queue.pass("15 days").await;
    let pages = "SELECT pg_relation_size('meta_events_dedup') / 8192";
    let pages: i64 = queue.database.value(pages).await.parse().unwrap();
    let explained = format!(
        "SET plan_cache_mode = force_custom_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off;
         PREPARE expire(bigint) AS {}; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE expire({STEP})",
        include_str!("../src/sql/expire_dedup.sql")
    );
    // Twice: the second step passes what the first one left behind.
    for _ in 0..2 {
        let plan: serde_json::Value = serde_json::from_str(&queue.database.value(&explained).await).unwrap();
        let plan = &plan[0]["Plan"];
        let touched =
            plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap();
        assert!(
            touched < 16 * STEP,
            "{touched} buffers for {STEP} keys; the table has {pages} pages"
        );
    }
    assert!(pages > 3 * 16 * STEP, "{pages}");
}

#[tokio::test]
async fn a_deleted_dataset_takes_its_keys_and_its_breaker_along_and_leaves_its_events_to_be_seen() {
    let queue = Queue::with_events(&[(1, "", 3), (2, "", 1)]).await;
    for (hash, id) in [([1; 32], 1), ([2; 32], 2)] {
        let put = queue
            .store
            .put_api_key(hash, dataset_id(id), ApiKeyKind::Secret, "test");
        put.await.unwrap();
        queue.set_breaker(id, State::Open, Some(Reason::Errors)).await;
    }
    let batch = queue.claim(1, "", 1).await.unwrap();
    queue
        .database
        .execute("DELETE FROM datasets WHERE dataset_id = 1")
        .await;
    for table in ["api_keys", "circuit_breakers"] {
        assert_eq!(
            queue.rows(&format!("SELECT dataset_id FROM {table}")).await,
            ["2"]
        );
    }
    assert!(queue.store.access_token(dataset_id(1)).await.unwrap().is_none());
    assert!(queue.look(1, "").await.is_none());
    // Its lapsed batches are taken over, to be told that there is no such dataset.
    queue.lapse().await;
    let taken = queue.take_over().await.unwrap();
    assert_eq!(numbers(&taken), numbers(&batch));
    assert!(
        queue
            .settle(&taken, Fate::Dead(DeadLetterReason::DatasetDeleted), None)
            .await
    );

    // The two are one run, which is taken whole.
    assert_eq!(queue.clear_deleted_datasets(1).await, 2);
    assert_eq!(queue.clear_deleted_datasets(10).await, 0);
    let dead = "SELECT reason, count(*), count(event_id) FROM meta_retry_queue GROUP BY 1";
    assert_eq!(queue.rows(dead).await, ["dataset_deleted 3 3"]);
    assert_eq!(queue.store.census().await.unwrap().ready, 1);
    // They can be sent after all, if it comes back.
    queue.store.put_dataset(&dataset(1)).await.unwrap();
    assert!(queue.look(1, "").await.is_none());
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn ready_events_expire_a_step_at_a_time_each_in_its_lane() {
    let queue = Queue::empty().await;
    let old = |code: &str, id: &str| NewEvent {
        send_by: 1_000_000_000,
        ..event(1, code, id)
    };
    for event in [old("", "a"), old("TEST1", "b"), old("", "c"), event(1, "", "d")] {
        queue.accept(&[event]).await;
    }
    assert_eq!(queue.expire_ready(2).await, 2);
    assert_eq!(queue.expire_ready(2).await, 1);
    assert_eq!(queue.expire_ready(2).await, 0);
    let dead =
        "SELECT event_id, test_event_code, reason, last_error, send_by FROM meta_retry_queue ORDER BY 1";
    let said = "expired too old for Meta when its turn came 2001-09-09 01:46:40+00";
    assert_eq!(
        queue.rows(dead).await,
        [
            format!("a  {said}"),
            format!("b TEST1 {said}"),
            format!("c  {said}")
        ]
    );
    assert_eq!(queue.claim(1, "", 10).await.unwrap().events.len(), 1);
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn of_a_run_only_the_events_expire_that_are_too_old() {
    let queue = Queue::empty().await;
    let events: Vec<NewEvent> = (0..9)
        .map(|number| NewEvent {
            send_by: if number % 3 == 0 {
                1_000_000_000
            } else {
                4_000_000_000 + number
            },
            ..event(1, "", &number.to_string())
        })
        .collect();
    queue.accept(&events).await;
    let runs = "SELECT last_number - first_number + 1, send_by FROM send_queue";
    assert_eq!(queue.rows(runs).await, ["9 2001-09-09 01:46:40+00"]);
    assert_eq!(queue.expire_ready(1).await, 3);
    assert_eq!(queue.expire_ready(1).await, 0);
    let dead = "SELECT event_id FROM meta_retry_queue ORDER BY 1";
    assert_eq!(queue.rows(dead).await, ["0", "3", "6"]);
    let earliest = "SELECT count(*) FROM send_queue q WHERE send_by <> (SELECT min(send_by) FROM events e
        WHERE e.event_number BETWEEN q.first_number AND q.last_number)";
    assert_eq!(queue.database.value(earliest).await, "0");
    assert_eq!(queue.claim(1, "", 10).await.unwrap().events.len(), 6);
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn steps_of_giving_up_end_where_they_hold_enough_events() {
    let queue = Queue::with_runs(5, 4).await;
    queue.database.execute("DELETE FROM datasets").await;
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.push(queue.clear_deleted_datasets(6).await);
    }
    assert_eq!(steps, [8, 8, 4, 0]);
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn batches_of_the_dead_are_dissolved_only_where_nobody_may_take_them_over() {
    let queue = Queue::with_events(&[(1, "", 2), (2, "", 2), (3, "TEST1", 2)]).await;
    queue
        .database
        .execute("UPDATE send_queue SET retries = 4 WHERE dataset_id = 1")
        .await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    queue.claim(2, "", 10).await.unwrap();
    queue.claim(3, "TEST1", 10).await.unwrap();
    queue.set_breaker(1, State::HalfOpen, Some(Reason::Errors)).await;
    queue.set_breaker(3, State::Open, Some(Reason::Errors)).await;
    assert_eq!(
        queue.store.dissolve_lapsed(10).await.unwrap(),
        0,
        "their owners live"
    );
    queue.lapse().await;
    assert_eq!(queue.store.dissolve_lapsed(10).await.unwrap(), 2);
    let ready = "SELECT dataset_id, test_event_code, retries FROM ready_events ORDER BY 1";
    assert_eq!(
        queue.rows(ready).await,
        ["1  4", "1  4", "3 TEST1 0", "3 TEST1 0"]
    );
    assert!(!queue.finish(&batch).await, "who was dead has lost it");
    // All that there is of a half-open dataset can be its probe.
    let probe = queue.claim(1, "", 1).await.unwrap();
    assert_eq!(numbers(&probe), numbers(&batch)[..1]);
    assert_eq!(queue.take_over().await.unwrap().id.dataset_id, dataset_id(2));
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn a_breaker_in_unknown_words_stops_its_own_dataset_only_and_is_counted() {
    for unknown in ["state = 'melting'", "manual = 'paused'", "reason = 'mercury'"] {
        let queue = Queue::with_events(&[(1, "", 3), (2, "", 1)]).await;
        let lapsed = queue.claim(1, "", 1).await.unwrap();
        let waiting = queue.claim(1, "", 1).await.unwrap();
        let now = Fate::Wait {
            delay: std::time::Duration::ZERO,
            retries: 1,
        };
        assert!(queue.settle(&waiting, now, None).await);
        queue.set_breaker(1, State::Closed, None).await;
        queue
            .database
            .execute(&format!(
                "ALTER TABLE circuit_breakers DROP CONSTRAINT circuit_breakers_state_check,
                     DROP CONSTRAINT circuit_breakers_manual_check, DROP CONSTRAINT circuit_breakers_reason_check;
                 UPDATE circuit_breakers SET {unknown}"
            ))
            .await;
        assert_eq!(queue.store.unknown_words(), 0);
        let lanes = queue.store.ready_lanes().await.unwrap();
        assert_eq!(lanes.len(), 1, "{unknown}");
        assert_eq!(lanes[0].lane.dataset_id, dataset_id(2));
        assert_eq!(queue.store.unknown_words(), 1);
        assert!(queue.store.watched_breakers(300_000).await.unwrap().is_empty());
        assert_eq!(queue.store.unknown_words(), 2);
        assert!(queue.store.breaker_report(dataset_id(1), 300_000).await.is_err());
        if unknown.starts_with("reason") {
            continue;
        }
        // Nobody acts on what he does not understand.
        queue.lapse().await;
        assert!(queue.take_over().await.is_none(), "{unknown}");
        assert_eq!(queue.store.requeue_due(10).await.unwrap(), 0, "{unknown}");
        assert_eq!(lapsed.id.fence, 1);
        queue.assert_nothing_is_lost().await;
    }
}

#[tokio::test]
async fn a_dead_letter_in_unknown_words_is_shown_as_it_is() {
    let queue = Queue::with_events(&[(1, "", 1)]).await;
    let batch = queue.claim(1, "", 1).await.unwrap();
    assert!(
        queue
            .settle(&batch, Fate::Dead(DeadLetterReason::Refused), None)
            .await
    );
    queue
        .database
        .execute(
            "ALTER TABLE meta_retry_queue DROP CONSTRAINT meta_retry_queue_reason_check;
             UPDATE meta_retry_queue SET reason = 'bored'",
        )
        .await;
    let all = Default::default();
    assert_eq!(
        queue.store.dead_letters(&all, 0, 10).await.unwrap()[0].reason,
        "bored"
    );
    assert_eq!(
        queue.store.dead_letter_groups(&all).await.unwrap()[0].reason,
        "bored"
    );
}

#[tokio::test]
async fn queues_whose_rows_have_left_are_vacuumed() {
    let queue = Queue::empty().await;
    let pass_through = "INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
        SELECT 1, '', n, n, current_date, 'infinity' FROM generate_series(1, 2000) AS n; DELETE FROM send_queue";
    queue.database.execute(pass_through).await;
    // Counted by the server, within a second or so.
    rastro_test_support::eventually("the queue is vacuumed", || async {
        let seen_to = queue.store.vacuum_queues().await.unwrap();
        let vacuumed = "SELECT vacuum_count > 0 FROM pg_stat_user_tables WHERE relname = 'send_queue'";
        (seen_to > 0 && queue.database.value(vacuumed).await == "t").then_some(())
    })
    .await;
}

/// Migrates a schema of a database and returns it as a service sees it.
async fn in_schema(database: &TestDatabase, schema: &str) -> Queue {
    let mut config = database.config();
    config.schema = schema.to_owned();
    let migrating = config.clone();
    let thread = std::thread::spawn(move || Migrator::for_database(&migrating).unwrap().run().unwrap());
    tokio::task::spawn_blocking(move || thread.join().unwrap())
        .await
        .unwrap();
    let store = Store::new(&config, "test").unwrap();
    store.check_ready().await.unwrap();
    // Its own database is only there to be looked at and dropped.
    Queue {
        database: TestDatabase::create_empty().await,
        store,
    }
}

#[tokio::test]
async fn two_schemas_of_a_database_share_nothing() {
    let database = TestDatabase::create_empty().await;
    let one = in_schema(&database, "cell_1").await;
    let other = in_schema(&database, "cell_2").await;
    let in_public = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(database.value(in_public).await, "0");
    for queue in [&one, &other] {
        queue.store.put_dataset(&dataset(1)).await.unwrap();
        let answers = queue
            .accept(&[event(1, "", "a"), event(1, "", "b"), event(1, "", "c")])
            .await;
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Acceptance::Accepted { .. }))
        );
    }
    assert_eq!(one.store.create_partitions_ahead(10).await.unwrap(), 9);
    let batch = one.claim(1, "", 1).await.unwrap();
    assert!(one.finish(&batch).await);
    let batch = one.claim(1, "", 2).await.unwrap();
    let (first, second) = one.store.split_batch(batch, None, LEASE).await.unwrap().unwrap();
    assert!(one.settle(&first, LATER, None).await);
    assert!(one.store.release_batch(&second).await.unwrap());
    assert_eq!(one.store.vacuum_queues().await.unwrap(), 0);
    assert_eq!(one.store.expire_dedup_keys(10).await.unwrap(), 0);
    one.set_breaker(1, State::Open, Some(Reason::Errors)).await;
    assert_eq!(one.store.watched_breakers(60_000).await.unwrap().len(), 1);
    one.assert_nothing_is_lost().await;
    let census = other.store.census().await.unwrap();
    assert_eq!((census.accepted, census.ready, census.delivered), (3, 3, 0));
    // What is old there goes there, and only there.
    database
        .execute(
            "CREATE OR REPLACE FUNCTION cell_1.rastro_now() RETURNS timestamptz LANGUAGE sql STABLE
             AS 'SELECT now() + interval ''100 days'''",
        )
        .await;
    assert!(one.store.drop_old_partitions(90).await.unwrap() > 0);
    assert_eq!(one.store.census().await.unwrap().accepted, 0);
    assert_eq!(other.store.census().await.unwrap().accepted, 3);
}
