//! After the restore of an old backup, what was due when it was made is kept from Meta.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::time::Duration;

use chrono::TimeDelta;
use common::{LEASE, Queue, dataset_id};
use rastro_store::{DeadLetterFilter, DeadLetterReason, Fate, RetryRequest, SetAside};
use uuid::Uuid;

const LATER: Fate = Fate::Wait {
    delay: LEASE,
    retries: 1,
};

#[tokio::test]
async fn what_was_due_before_a_time_is_set_aside_and_sent_only_when_somebody_asks() {
    let queue = Queue::with_events(&[(1, "", 4), (1, "TEST1", 1), (2, "", 2)]).await;
    // One waits, one is in flight, two are a run of which the last was received later.
    let waits = queue.claim(1, "", 1).await.unwrap();
    assert!(queue.settle(&waits, LATER, None).await);
    let flies = queue.claim(1, "", 1).await.unwrap();
    let newest = "(SELECT max(event_number) FROM events WHERE dataset_id = 1 AND test_event_code = '')";
    queue
        .database
        .execute(&format!(
            "UPDATE events SET received_at = received_at + interval '1 minute' WHERE event_number = {newest}"
        ))
        .await;
    let newest = queue.database.value(&format!("SELECT {newest}")).await;
    let before = queue.store.now().await.unwrap() + TimeDelta::seconds(30);

    let found = SetAside {
        ready: 2,
        waiting: 1,
        in_flight: 1,
    };
    let store = &queue.store;
    let counted = store.count_to_set_aside(dataset_id(1), before).await.unwrap();
    assert_eq!(counted, found);
    assert_eq!(queue.count("meta_retry_queue WHERE status = 'failed'").await, 0);
    assert_eq!(
        store.set_aside(dataset_id(1), before, "bia").await.unwrap(),
        found
    );
    let dead =
        "SELECT status, reason, test_event_code, retry_count, next_retry_at IS NULL FROM meta_retry_queue
        ORDER BY test_event_code, retry_count";
    assert_eq!(
        queue.rows(dead).await,
        [
            "failed set_aside  0 t",
            "failed set_aside  1 t",
            "failed set_aside TEST1 0 t"
        ]
    );
    // What came later, and what is another dataset's, is sent as ever.
    let ready = "SELECT event_number FROM ready_events WHERE dataset_id = 1";
    assert_eq!(queue.rows(ready).await, [newest]);
    assert_eq!(queue.count("ready_events WHERE dataset_id = 2").await, 2);
    let logged = "SELECT DISTINCT split_part(error_message, ': received', 1), count(event_id) OVER ()
        FROM meta_events_log WHERE outcome = 'set_aside'";
    assert_eq!(queue.rows(logged).await, ["set aside by bia 3"]);
    let ordered = "SELECT who, action, dataset_id, (detail->>'received_before')::timestamptz
        BETWEEN now() AND now() + interval '1 minute' FROM admin_log";
    assert_eq!(queue.rows(ordered).await, ["bia events.set_aside 1 t"]);
    // Nobody is woken for what somebody did; for the same dead letters of another reason one would be.
    let rule = include_str!("../src/sql/rules/dead_letters.sql").replace("$1", "900");
    assert_eq!(queue.rows(&rule).await, [""; 0]);
    assert_eq!(queue.rows(&rule.replace("set_aside", "missing")).await.len(), 1);
    queue.assert_nothing_is_lost().await;

    // What was in flight is found when its lease is over; again does the rest and nothing else.
    queue.lapse().await;
    let taken = queue.take_over().await.unwrap();
    assert_eq!(taken.events.len(), flies.events.len());
    assert!(queue.settle(&taken, LATER, None).await);
    let rest = SetAside {
        waiting: 1,
        ..SetAside::default()
    };
    assert_eq!(store.set_aside(dataset_id(1), before, "bia").await.unwrap(), rest);
    let nothing = SetAside::default();
    assert_eq!(
        store.set_aside(dataset_id(1), before, "bia").await.unwrap(),
        nothing
    );

    let filter = DeadLetterFilter {
        dataset_id: Some(dataset_id(1)),
        reason: Some(DeadLetterReason::SetAside),
        ..DeadLetterFilter::default()
    };
    let request = RetryRequest {
        dry_run: false,
        spread: Duration::ZERO,
        at_most: 100,
        request_id: Uuid::now_v7(),
        note: "they were not at Meta",
    };
    let retried = store.retry_failed(&filter, &request).await.unwrap();
    assert_eq!((retried.matched, retried.retried, retried.too_old), (4, 4, 0));
    assert_eq!(queue.count("meta_retry_queue WHERE status = 'waiting'").await, 4);
    queue.assert_nothing_is_lost().await;
}
