//! Everything that is known of an event is in meta_events_log: from the moment that it is accepted, on every
//! path.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::time::Duration;

use common::{Accept as _, LEASE, Queue, event, numbers};
use rastro_core::circuit_breaker::{Reason, State};
use rastro_store::{
    AttemptOutcome, AttemptRecord, Batch, DeadLetterFilter, DeadLetterReason, Fate, NewEvent, Refusal,
    RetryRequest,
};
use uuid::Uuid;

const NOW: Fate = Fate::Wait {
    delay: Duration::ZERO,
    retries: 1,
};

/// The log, a line for each row, those of an event together and in the order in which they came.
async fn log(queue: &Queue) -> Vec<String> {
    let rows =
        "SELECT event_id, outcome, attempt, http_status, error_code, error_message, fbtrace_id, event_count
        FROM meta_events_log ORDER BY event_id, created_at, attempt NULLS FIRST";
    queue.rows(rows).await
}

/// Every event has exactly one row that says that it was accepted, with all that is known of it.
async fn assert_all_are_there(queue: &Queue) {
    let without = "SELECT count(*) FROM events e WHERE (
            SELECT count(*) FROM meta_events_log l WHERE l.outcome = 'accepted'
            AND (l.dataset_id, l.day, l.event_number, l.event_name, l.event_id, l.request_id, l.created_at)
                = (e.dataset_id, e.day, e.event_number, e.event_name, e.event_id, e.request_id, e.received_at)
        ) <> 1";
    assert_eq!(queue.database.value(without).await, "0");
    assert_each_story_says_what_the_log_says(queue).await;
}

/// By the log itself, which a story does not use.
async fn assert_each_story_says_what_the_log_says(queue: &Queue) {
    for id in queue
        .rows("SELECT DISTINCT dataset_id || ' ' || event_id FROM events")
        .await
    {
        let (dataset, id) = id.split_once(' ').unwrap();
        let story = queue
            .store
            .event_story(common::dataset_id(dataset.parse().unwrap()), id)
            .await
            .unwrap();
        assert!(story.is_sorted_by_key(|line| line.created_at));
        let mut told: Vec<String> = story
            .iter()
            .map(|line| {
                let attempt = line.attempt.map(|attempt| attempt.to_string());
                let parts = [
                    line.event_number.to_string(),
                    line.event_name.clone().unwrap_or_default(),
                    line.outcome.clone(),
                    line.request_id.map(|id| id.to_string()).unwrap_or_default(),
                    attempt.unwrap_or_default(),
                    line.http_status
                        .map(|status| status.to_string())
                        .unwrap_or_default(),
                    line.error_code.map(|code| code.to_string()).unwrap_or_default(),
                    line.error_message.clone().unwrap_or_default(),
                    line.fbtrace_id.clone().unwrap_or_default(),
                    line.created_at.timestamp_micros().to_string(),
                ];
                parts.join(" ")
            })
            .collect();
        told.sort_unstable();
        let logged = format!(
            "SELECT event_number, event_name, outcome, request_id, attempt, http_status, error_code, error_message, fbtrace_id,
                 (extract(epoch FROM created_at) * 1000000)::bigint
             FROM meta_events_log WHERE dataset_id = {dataset} AND event_number IN (
                 SELECT event_number FROM events WHERE dataset_id = {dataset} AND event_id = '{id}'
             )"
        );
        let mut logged = queue.rows(&logged).await;
        logged.sort_unstable();
        assert_eq!(told, logged);
    }
}

async fn with_event(id: &str) -> (Queue, Batch) {
    let queue = Queue::empty().await;
    queue.accept(&[event(1, "", id)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    (queue, batch)
}

fn answer(outcome: AttemptOutcome, http_status: u16, code: i32) -> AttemptRecord {
    AttemptRecord {
        http_status: Some(http_status),
        error_code: Some(code),
        error_message: Some("said".into()),
        fbtrace_id: Some("A1".into()),
        ..AttemptRecord::of(outcome)
    }
}

#[tokio::test]
async fn an_event_is_in_the_log_before_anything_is_done_about_it() {
    let queue = Queue::empty().await;
    let mut writer = queue.store.event_writer().await.unwrap();
    let sent = NewEvent {
        key_id: Some(7),
        ..event(1, "TEST1", "a")
    };
    writer.accept(&[&sent], &[]).await.unwrap();
    let row = "SELECT dataset_id, event_name, event_id, outcome, request_id, key_id, event_count FROM meta_events_log";
    assert_eq!(
        queue.rows(row).await,
        [format!("1 Lead a accepted {} 7 1", sent.request_id)]
    );
    assert_all_are_there(&queue).await;
}

#[tokio::test]
async fn a_duplicate_and_a_refusal_are_in_the_log_with_the_answer() {
    let queue = Queue::empty().await;
    let mut writer = queue.store.event_writer().await.unwrap();
    let refusal = Refusal {
        dataset_id: common::dataset_id(1),
        event_name: None,
        key_id: Some(9),
        request_id: Uuid::from_u128(1),
        field: "/user_data/em".into(),
        event_count: 3,
    };
    let (a, b) = (event(1, "", "a"), event(1, "", "b"));
    writer.accept(&[&a], &[]).await.unwrap();
    writer.accept(&[&a, &b], &[&refusal]).await.unwrap();
    assert_eq!(
        log(&queue).await,
        [
            "a accepted      1",
            "a duplicate      1",
            "b accepted      1",
            " refused    /user_data/em  3"
        ]
    );
    // A request of which nothing is left.
    writer.accept(&[], &[&refusal]).await.unwrap();
    assert_eq!(queue.count("meta_events_log WHERE outcome = 'refused'").await, 2);
    assert_all_are_there(&queue).await;
}

#[tokio::test]
async fn a_delivered_event() {
    let (queue, batch) = with_event("a").await;
    let delivered = AttemptRecord {
        http_status: Some(200),
        fbtrace_id: Some("A1".into()),
        latency_ms: Some(8),
        ..AttemptRecord::of(AttemptOutcome::Delivered)
    };
    assert!(queue.settle(&batch, Fate::Done, Some(&delivered)).await);
    assert_eq!(log(&queue).await, ["a accepted      1", "a success 1 200   A1 1"]);
    let same = "SELECT count(DISTINCT (event_number, request_id, event_name)) FROM meta_events_log";
    assert_eq!(queue.database.value(same).await, "1");
}

#[tokio::test]
async fn events_refused_as_a_whole_and_in_halves() {
    let queue = Queue::with_events(&[(1, "", 3)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    let refused = answer(AttemptOutcome::Refused, 400, 100);
    let halves = queue
        .store
        .split_batch(batch.clone(), Some(&refused), LEASE)
        .await;
    let (first, second) = halves.unwrap().unwrap();
    let dead = Fate::Dead(DeadLetterReason::Refused);
    assert!(queue.settle(&first, dead, Some(&refused)).await);
    assert!(queue.finish(&second).await);
    let line = |outcome: &str, event: usize| format!("{} {outcome}", batch.events[event].number);
    let rows = "SELECT event_number, outcome FROM meta_events_log ORDER BY event_number, created_at";
    let expected: Vec<String> = (0..3)
        .flat_map(|event| {
            let last = if event < first.events.len() {
                "error"
            } else {
                "success"
            };
            ["accepted", "error", last].map(|outcome| line(outcome, event))
        })
        .collect();
    assert_eq!(queue.rows(rows).await, expected);
    let errors =
        "SELECT DISTINCT http_status, error_code, error_message FROM meta_events_log WHERE outcome = 'error'";
    assert_eq!(queue.rows(errors).await, ["400 100 said"]);
    assert_all_are_there(&queue).await;
}

#[tokio::test]
async fn a_failure_that_passes_and_the_attempt_after_it() {
    let (queue, batch) = with_event("a").await;
    let failed = answer(AttemptOutcome::Unavailable, 503, 2);
    assert!(queue.settle(&batch, NOW, Some(&failed)).await);
    assert_eq!(queue.store.requeue_due(10).await.unwrap(), 1);
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert!(queue.finish(&batch).await);
    assert_eq!(
        log(&queue).await,
        [
            "a accepted      1",
            "a error 1 503 2 said A1 1",
            "a success 1     1"
        ]
    );
}

#[tokio::test]
async fn a_parked_event() {
    for (outcome, status, code) in [
        (AttemptOutcome::Throttled, 400, 4),
        (AttemptOutcome::Blocked, 401, 190),
    ] {
        let (queue, batch) = with_event("a").await;
        let parked = Fate::Wait {
            delay: LEASE,
            retries: 0,
        };
        assert!(
            queue
                .settle(&batch, parked, Some(&answer(outcome, status, code)))
                .await
        );
        let last = format!("a parked 1 {status} {code} said A1 1");
        assert_eq!(log(&queue).await, ["a accepted      1", &last]);
    }
}

#[tokio::test]
async fn an_event_that_was_too_old_when_it_was_claimed() {
    let (queue, batch) = with_event("a").await;
    assert!(
        queue
            .settle(&batch, Fate::Dead(DeadLetterReason::Expired), None)
            .await
    );
    assert_eq!(log(&queue).await, ["a accepted      1", "a expired      1"]);
}

#[tokio::test]
async fn events_that_became_too_old_while_they_waited_or_were_ready() {
    let queue = Queue::empty().await;
    let old = |id: &str| NewEvent {
        send_by: 1_000_000_000,
        ..event(1, "", id)
    };
    queue.accept(&[old("a")]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    let failed = answer(AttemptOutcome::Unavailable, 503, 2);
    assert!(queue.settle(&batch, NOW, Some(&failed)).await);
    assert_eq!(queue.store.expire_waiting(10).await.unwrap(), 1);
    queue.accept(&[old("b"), event(1, "", "c")]).await;
    assert_eq!(queue.expire_ready(10).await, 1);
    assert_eq!(
        log(&queue).await,
        [
            "a accepted      1",
            "a error 1 503 2 said A1 1",
            "a expired    too old for Meta; last: said  1",
            "b accepted      1",
            "b expired      1",
            "c accepted      1"
        ]
    );
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn an_expired_event_whose_row_is_gone() {
    let queue = Queue::empty().await;
    queue
        .accept(&[NewEvent {
            send_by: 1_000_000_000,
            ..event(1, "", "a")
        }])
        .await;
    queue.database.execute("DELETE FROM events").await;
    assert_eq!(queue.expire_ready(10).await, 1);
    assert_eq!(log(&queue).await, [" expired      1"]);
    assert_eq!(queue.count("meta_retry_queue WHERE reason = 'expired'").await, 1);
}

#[tokio::test]
async fn a_missing_event() {
    let (queue, batch) = with_event("a").await;
    assert!(queue.store.release_batch(&batch).await.unwrap());
    queue.database.execute("DELETE FROM events").await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert!(queue.settle(&batch, Fate::Done, None).await);
    let number = batch.missing[0].number;
    let row = "SELECT event_number, outcome FROM meta_events_log";
    assert_eq!(queue.rows(row).await, [format!("{number} missing")]);
}

#[tokio::test]
async fn events_of_a_deleted_dataset() {
    let queue = Queue::with_events(&[(1, "", 1), (2, "", 1)]).await;
    let batch = queue.claim(2, "", 10).await.unwrap();
    queue.database.execute("DELETE FROM datasets").await;
    assert!(
        queue
            .settle(&batch, Fate::Dead(DeadLetterReason::DatasetDeleted), None)
            .await
    );
    assert_eq!(queue.clear_deleted_datasets(10).await, 1);
    let rows = "SELECT dataset_id, outcome, event_name, event_id FROM meta_events_log ORDER BY dataset_id, created_at";
    assert_eq!(
        queue.rows(rows).await,
        [
            "1 accepted Lead 0",
            "1 dataset_deleted Lead 0",
            "2 accepted Lead 0",
            "2 dataset_deleted Lead 0"
        ]
    );
    let dead = "SELECT dataset_id, reason, event_id, last_error FROM meta_retry_queue ORDER BY dataset_id";
    assert_eq!(
        queue.rows(dead).await,
        [
            "1 dataset_deleted 0 there is no such dataset any more",
            "2 dataset_deleted 0 there is no such dataset any more"
        ]
    );
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn a_dead_letter_that_an_operator_sends_again() {
    let (queue, batch) = with_event("a").await;
    let refused = answer(AttemptOutcome::Refused, 400, 100);
    assert!(
        queue
            .settle(&batch, Fate::Dead(DeadLetterReason::Refused), Some(&refused))
            .await
    );
    let request = RetryRequest {
        dry_run: false,
        spread: Duration::ZERO,
        at_most: 10,
        request_id: Uuid::from_u128(1),
        note: "ana: fixed",
    };
    let count = queue
        .store
        .retry_failed(&DeadLetterFilter::default(), &request)
        .await
        .unwrap();
    assert_eq!((count.matched, count.retried, count.too_old), (1, 1, 0));
    assert_eq!(queue.store.requeue_due(10).await.unwrap(), 1);
    assert_eq!(
        log(&queue).await,
        [
            "a accepted      1",
            "a error 1 400 100 said A1 1",
            "a retried    ana: fixed  1"
        ]
    );
    let asked = "SELECT request_id FROM meta_events_log WHERE outcome = 'retried'";
    assert_eq!(queue.rows(asked).await, ["00000000-0000-0000-0000-000000000001"]);
}

#[tokio::test]
async fn a_probe_and_what_is_sent_again_after_an_outage() {
    let (queue, batch) = with_event("a").await;
    let failed = answer(AttemptOutcome::Unavailable, 503, 2);
    assert!(
        queue
            .settle(&batch, Fate::Dead(DeadLetterReason::Exhausted), Some(&failed))
            .await
    );
    queue.set_breaker(1, State::Open, Some(Reason::Errors)).await;
    queue.set_breaker(1, State::HalfOpen, Some(Reason::Errors)).await;
    assert_eq!(queue.store.requeue_for_probe(1, LEASE).await.unwrap(), 1);
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert!(queue.finish(&batch).await);
    assert_eq!(
        log(&queue).await,
        [
            "a accepted      1",
            "a error 1 503 2 said A1 1",
            "a success 1     1"
        ]
    );
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn a_batch_that_is_taken_over_is_a_second_attempt() {
    let (queue, first) = with_event("a").await;
    queue.lapse().await;
    let second = queue.take_over().await.unwrap();
    assert_eq!(numbers(&second), numbers(&first));
    assert!(queue.finish(&second).await);
    assert_eq!(log(&queue).await, ["a accepted      1", "a success 2     1"]);
}
