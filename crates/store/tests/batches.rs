//! A batch has one owner, whoever sleeps, dies or comes back; and no event of it gets out of sight.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::{Accept as _, LEASE, Queue, dataset_id, event, numbers};
use rastro_core::circuit_breaker::State;
use rastro_store::{
    AttemptOutcome, AttemptRecord, Batch, DeadLetterFilter, DeadLetterReason, Fate, NewEvent, RetryRequest,
    Store,
};
use uuid::Uuid;

const WAIT: Fate = Fate::Wait {
    delay: LEASE,
    retries: 1,
};

/// Everything that an owner may write to, as text.
async fn everything(queue: &Queue) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for table in [
        "send_batches",
        "send_queue",
        "meta_retry_queue",
        "meta_events_log",
        "send_attempts",
        "event_outcomes",
    ] {
        let mut rows = queue.rows(&format!("SELECT * FROM {table}")).await;
        rows.sort_unstable();
        all.push(rows);
    }
    all
}

#[tokio::test]
async fn a_claim_takes_the_oldest_of_its_own_lane_and_no_more_than_asked() {
    let queue = Queue::with_events(&[(1, "", 25), (1, "TEST1", 5), (1, "TEST2", 1), (2, "", 5)]).await;
    let lanes = queue.store.ready_lanes().await.unwrap();
    let names: Vec<_> = lanes
        .iter()
        .map(|ready| {
            (
                ready.lane.dataset_id.as_i64(),
                ready.lane.test_event_code.as_str(),
            )
        })
        .collect();
    assert_eq!(names, [(1, ""), (1, "TEST1"), (2, "")], "of test codes the first");
    let first = "SELECT min(first_number) FROM send_queue GROUP BY dataset_id, test_event_code
        HAVING test_event_code <> 'TEST2' ORDER BY dataset_id, test_event_code";
    let first_numbers: Vec<String> = lanes.iter().map(|ready| ready.first_number.to_string()).collect();
    assert_eq!(queue.rows(first).await, first_numbers);

    let batch = queue.claim(1, "", 10).await.unwrap();
    assert_eq!((batch.events.len(), batch.attempt, batch.id.fence), (10, 1, 1));
    assert!(batch.events.is_sorted_by_key(|event| event.number));
    let left = "SELECT min(first_number) FROM send_queue WHERE dataset_id = 1 AND test_event_code = ''";
    assert!(batch.events[9].number < queue.database.value(left).await.parse().unwrap());
    for found in &batch.events {
        assert_eq!(found.payload, event(1, "", &found.id).payload);
        assert_eq!(
            (found.name.as_str(), found.retries, found.too_old),
            ("Lead", 0, false)
        );
    }
    let lease = "SELECT extract(epoch FROM lease_expires_at - claimed_at)::int FROM send_batches";
    assert_eq!(queue.database.value(lease).await, "60");
    assert_eq!(queue.claim(1, "TEST1", 1_000).await.unwrap().events.len(), 5);
    assert!(queue.claim(1, "TEST1", 1_000).await.is_none());
    assert_eq!(
        queue.claim(1, "TEST2", 1_000).await.unwrap().events.len(),
        1,
        "then the next"
    );
    queue.assert_nothing_is_lost().await;
}

/// What a writer stores for a dataset in one commit is one row, also beside other datasets and another
/// writer's commits.
#[tokio::test]
async fn the_events_of_one_commit_are_one_run_for_each_dataset() {
    let queue = Queue::with_events(&[(1, "", 0), (2, "", 0)]).await;
    let mut writers = [
        queue.store.event_writer().await.unwrap(),
        queue.store.event_writer().await.unwrap(),
    ];
    for round in 0..4 {
        let events: Vec<NewEvent> = (0..50)
            .map(|number| event(1 + number % 2, "", &format!("{round}-{number}")))
            .collect();
        let writer = &mut writers[round % 2];
        writer
            .accept(&events.iter().collect::<Vec<_>>(), &[])
            .await
            .unwrap();
    }
    let runs = "SELECT dataset_id, last_number - first_number + 1 AS events, count(*) FROM send_queue GROUP BY 1, 2 ORDER BY 1";
    assert_eq!(queue.rows(runs).await, ["1 25 4", "2 25 4"]);
    assert_eq!(queue.store.census().await.unwrap().ready, 200);
}

#[tokio::test]
async fn claims_of_any_size_take_every_event_once_and_in_order_however_long_the_runs_are() {
    let queue = Queue::empty().await;
    for (run, length) in [1, 1, 1, 30, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 7, 1, 1, 12]
        .into_iter()
        .enumerate()
    {
        let events: Vec<NewEvent> = (0..length)
            .map(|number| event(1, "", &format!("{run}-{number}")))
            .collect();
        queue.accept(&events).await;
    }
    let all = queue.ready().await;
    assert_eq!(all.len(), 65);
    let mut claimed = Vec::new();
    for limit in [1, 4, 9, 3, 16, 7, 25] {
        let batch = queue.claim(1, "", limit).await.unwrap();
        assert_eq!(batch.events.len(), limit);
        claimed.extend(numbers(&batch).iter().map(i64::to_string));
        assert_eq!(queue.ready().await, all[claimed.len()..]);
    }
    assert_eq!(claimed, all);
    assert!(queue.claim(1, "", 1).await.is_none());
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn events_that_come_back_share_a_row_again_only_if_they_are_alike() {
    let queue = Queue::with_events(&[(1, "", 6)]).await;
    let batch = queue.claim(1, "", 6).await.unwrap();
    assert!(queue.store.release_batch(&batch).await.unwrap());
    assert_eq!(queue.count("send_queue").await, 1);
    let batch = queue.claim(1, "", 6).await.unwrap();
    let wait = |retries| Fate::Wait {
        delay: Duration::ZERO,
        retries,
    };
    let fates = [wait(1), wait(1), wait(2), Fate::Done, wait(1), wait(1)];
    assert!(queue.store.settle_batch(&batch, &fates, None).await.unwrap());
    assert_eq!(queue.store.requeue_due(10).await.unwrap(), 5);
    let n = numbers(&batch);
    let ready = "SELECT first_number, last_number, retries FROM send_queue ORDER BY 1";
    assert_eq!(
        queue.rows(ready).await,
        [
            format!("{} {} 1", n[0], n[1]),
            format!("{} {} 2", n[2], n[2]),
            format!("{} {} 1", n[4], n[5])
        ]
    );
}

#[tokio::test]
async fn only_lanes_of_datasets_that_exist_are_looked_at() {
    let queue = Queue::with_events(&[(1, "", 1)]).await;
    queue.accept(&[event(2, "", "a")]).await;
    let lanes = queue.store.ready_lanes().await.unwrap();
    assert_eq!(lanes.len(), 1);
    assert_eq!(lanes[0].lane.dataset_id, dataset_id(1));
}

#[tokio::test]
async fn a_claim_leaves_what_came_back_before_its_lane_began_to_the_next_look() {
    let queue = Queue::with_events(&[(1, "", 10)]).await;
    let first = queue.claim(1, "", 5).await.unwrap();
    let ready = queue.look(1, "").await.unwrap();
    assert!(queue.store.release_batch(&first).await.unwrap());
    assert!(
        !queue.store.release_batch(&first).await.unwrap(),
        "it is given back once"
    );

    let claim = || queue.store.claim_batch(&ready, 1_000, LEASE, "one");
    let second = claim().await.unwrap().unwrap();
    assert_eq!(second.events.len(), 5);
    assert_eq!(second.events[0].number, ready.first_number);
    assert!(claim().await.unwrap().is_none());

    let again = queue.claim(1, "", 1_000).await.unwrap();
    assert_eq!(numbers(&again), numbers(&first));
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn nothing_is_claimed_by_one_who_has_not_seen_that_the_breaker_changed() {
    let queue = Queue::with_events(&[(1, "", 5)]).await;
    let ready = queue.look(1, "").await.unwrap();
    queue.set_breaker(1, State::Open, None).await;
    let claimed = queue.store.claim_batch(&ready, 10, LEASE, "one").await.unwrap();
    assert!(claimed.is_none());
    assert_eq!(queue.claim(1, "", 10).await.unwrap().events.len(), 5);
}

#[tokio::test]
async fn concurrent_claims_never_share_an_event() {
    let queue = Queue::with_runs(40, 25).await;
    let claims = (0..10).map(|_| queue.claim(1, "", 100));
    let batches: Vec<Batch> = futures_util::future::join_all(claims)
        .await
        .into_iter()
        .flatten()
        .collect();
    let all: Vec<i64> = batches.iter().flat_map(numbers).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert!(!all.is_empty());
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn a_claim_stays_within_its_limit_under_every_plan() {
    let queue = Queue::with_runs(50, 4).await;
    let name = queue.database.name();
    for setting in [
        "enable_hashjoin",
        "enable_nestloop",
        "enable_mergejoin",
        "enable_indexscan",
        "enable_bitmapscan",
        "enable_sort",
    ] {
        queue
            .database
            .execute(&format!("ALTER DATABASE {name} SET {setting} = off"))
            .await;
        let store = Store::new(&queue.database.config(), "test").unwrap();
        let lanes = store.ready_lanes().await.unwrap();
        let batch = store.claim_batch(&lanes[0], 10, LEASE, "one").await.unwrap();
        let batch = batch.unwrap();
        assert_eq!(batch.events.len(), 10, "{setting}");
        queue.assert_nothing_is_lost().await;
    }
}

#[tokio::test]
async fn a_batch_is_taken_over_only_when_its_lease_has_ended_and_by_one() {
    let queue = Queue::with_events(&[(1, "", 3)]).await;
    let first = queue.claim(1, "", 10).await.unwrap();
    assert!(queue.take_over().await.is_none());
    queue.lapse().await;
    let takers = futures_util::future::join_all((0..5).map(|_| queue.take_over())).await;
    let taken: Vec<Batch> = takers.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1);
    let second = &taken[0];
    assert_eq!(
        (second.id.batch_id, second.id.fence, second.attempt),
        (first.id.batch_id, 2, 2)
    );
    let payloads = |batch: &Batch| {
        batch
            .events
            .iter()
            .map(|event| event.payload.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(payloads(second), payloads(&first));
}

#[tokio::test]
async fn a_batch_is_not_taken_over_for_a_dataset_that_is_not_wanted_or_is_left_alone() {
    let queue = Queue::with_events(&[(1, "", 1), (2, "", 1)]).await;
    for dataset in [1, 2] {
        queue.claim(dataset, "", 10).await.unwrap();
    }
    queue.lapse().await;
    queue.set_breaker(2, State::Open, None).await;
    let not_of = |dataset| async move { [dataset_id(dataset)] };
    let except = not_of(1).await;
    let taken = queue
        .store
        .take_over_batch(&except, LEASE, "other")
        .await
        .unwrap();
    assert!(taken.is_none(), "{taken:?}");
    assert_eq!(queue.take_over().await.unwrap().id.dataset_id, dataset_id(1));
    assert!(queue.take_over().await.is_none());
}

#[tokio::test]
async fn no_write_of_a_former_owner_changes_anything() {
    let queue = Queue::with_events(&[(1, "", 4)]).await;
    let zombie = queue.claim(1, "", 10).await.unwrap();
    queue.lapse().await;
    let owner = queue.take_over().await.unwrap();
    let before = everything(&queue).await;

    let failed = AttemptRecord::of(AttemptOutcome::Unavailable);
    assert!(!queue.finish(&zombie).await);
    for fate in [Fate::Done, WAIT, Fate::Dead(DeadLetterReason::Refused)] {
        assert!(!queue.settle(&zombie, fate, Some(&failed)).await, "{fate:?}");
    }
    assert!(!queue.store.release_batch(&zombie).await.unwrap());
    let renewed = queue
        .store
        .renew_leases(&[zombie.id, owner.id], LEASE)
        .await
        .unwrap();
    assert_eq!(renewed, [owner.id]);
    let split = queue
        .store
        .split_batch(zombie, Some(&failed), LEASE)
        .await
        .unwrap();
    assert!(split.is_none());

    let lease = |rows: &[Vec<String>]| rows[1..].to_vec();
    assert_eq!(lease(&everything(&queue).await), lease(&before));
    assert_eq!(queue.count("send_batches").await, 1);
    assert!(queue.finish(&owner).await);
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn what_is_written_of_a_batch_is_written_once() {
    let queue = Queue::with_events(&[(1, "", 6)]).await;
    let failed = AttemptRecord::of(AttemptOutcome::Unavailable);
    let batch = queue.claim(1, "", 2).await.unwrap();
    assert!(queue.finish(&batch).await);
    let before = everything(&queue).await;
    assert!(!queue.finish(&batch).await);
    assert!(!queue.settle(&batch, WAIT, Some(&failed)).await);
    assert_eq!(everything(&queue).await, before);

    let batch = queue.claim(1, "", 2).await.unwrap();
    assert!(queue.settle(&batch, WAIT, Some(&failed)).await);
    let before = everything(&queue).await;
    assert!(!queue.settle(&batch, WAIT, Some(&failed)).await);
    assert!(!queue.finish(&batch).await);
    assert_eq!(everything(&queue).await, before);

    let batch = queue.claim(1, "", 2).await.unwrap();
    let split = || queue.store.split_batch(batch.clone(), Some(&failed), LEASE);
    assert!(split().await.unwrap().is_some());
    let before = everything(&queue).await;
    assert!(split().await.unwrap().is_none());
    assert!(!queue.store.release_batch(&batch).await.unwrap());
    assert_eq!(everything(&queue).await, before);
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_not_taken_over() {
    let queue = Queue::with_events(&[(1, "", 2)]).await;
    let one = queue.claim(1, "", 1).await.unwrap();
    let other = queue.claim(1, "", 1).await.unwrap();
    assert!(queue.finish(&other).await);
    queue.lapse().await;
    let renewed = queue
        .store
        .renew_leases(&[one.id, other.id], LEASE)
        .await
        .unwrap();
    assert_eq!(renewed, [one.id], "the other ended");
    assert!(queue.take_over().await.is_none());
    let lease = "SELECT round(extract(epoch FROM lease_expires_at - rastro_now())) BETWEEN 50 AND 60 FROM send_batches";
    assert_eq!(queue.database.value(lease).await, "t");
}

#[tokio::test]
async fn each_event_of_a_batch_goes_where_its_fate_says() {
    let queue = Queue::with_events(&[(1, "", 5)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    let fates = [
        Fate::Done,
        Fate::Wait {
            delay: Duration::from_secs(5),
            retries: 2,
        },
        Fate::Dead(DeadLetterReason::Refused),
        Fate::Dead(DeadLetterReason::Expired),
        Fate::Dead(DeadLetterReason::DatasetDeleted),
    ];
    let attempt = AttemptRecord {
        http_status: Some(503),
        error_code: Some(2),
        error_subcode: Some(33),
        error_message: Some("HTTP 503, code 2".into()),
        fbtrace_id: Some("A1".into()),
        latency_ms: Some(12),
        events_received: Some(1),
        ..AttemptRecord::of(AttemptOutcome::Unavailable)
    };
    let settled = queue.store.settle_batch(&batch, &fates, Some(&attempt)).await;
    assert!(settled.unwrap());
    let n = numbers(&batch);
    let attempts = "SELECT batch_id, attempt, test_event_code, latency_ms, outcome, http_status, error_code, error_subcode,
        error_message, fbtrace_id, events_received, event_count, event_numbers, first_number, last_number FROM send_attempts";
    assert_eq!(
        queue.rows(attempts).await,
        [format!(
            "{} 1  12 unavailable 503 2 33 HTTP 503, code 2 A1 1 3 {{{},{},{}}} {} {}",
            batch.id.batch_id, n[0], n[1], n[2], n[0], n[2]
        )],
        "what expired, or has no dataset, was not in the request"
    );
    let kept = "SELECT event_number, event_name, event_id, status, retry_count, reason, next_retry_at - failed_at, last_error,
        error_code, error_subcode FROM meta_retry_queue ORDER BY event_number";
    let id = |index: usize| &batch.events[index].id;
    assert_eq!(
        queue.rows(kept).await,
        [
            format!(
                "{} Lead {} waiting 2  00:00:05 HTTP 503, code 2 2 33",
                n[1],
                id(1)
            ),
            format!("{} Lead {} failed 0 refused  HTTP 503, code 2 2 33", n[2], id(2)),
            format!(
                "{} Lead {} failed 0 expired  too old for Meta when its turn came  ",
                n[3],
                id(3)
            ),
            format!(
                "{} Lead {} failed 0 dataset_deleted  there is no such dataset any more  ",
                n[4],
                id(4)
            ),
        ]
    );
    let unlike = "SELECT count(*) FROM meta_retry_queue r JOIN events e USING (dataset_id, event_number, day)
        WHERE r.send_by IS DISTINCT FROM e.send_by";
    assert_eq!(queue.database.value(unlike).await, "0");
    assert_eq!(
        (queue.count("send_queue").await, queue.count("send_batches").await),
        (0, 0)
    );
    let census = queue.store.census().await.unwrap();
    assert_eq!((census.waiting, census.dead), (1, 3));
}

#[tokio::test]
async fn a_split_batch_is_two_whose_events_are_the_same() {
    let queue = Queue::with_runs(7, 1).await;
    queue
        .database
        .execute(
            "UPDATE send_queue q SET retries = n.n % 5
             FROM (SELECT first_number, row_number() OVER (ORDER BY first_number) AS n FROM send_queue) AS n
             WHERE q.first_number = n.first_number",
        )
        .await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert_eq!(batch.events.len(), 7);
    let all: Vec<_> = batch
        .events
        .iter()
        .map(|event| (event.number, event.retries))
        .collect();
    assert!(all.iter().any(|(_, retries)| *retries > 0));
    let refused = AttemptRecord::of(AttemptOutcome::Refused);
    let halves = queue.store.split_batch(batch, Some(&refused), LEASE).await;
    let (first, second) = halves.unwrap().unwrap();
    assert_eq!((first.events.len(), second.events.len()), (3, 4));
    for half in [&first, &second] {
        let stored = format!(
            "SELECT unnest(event_numbers), unnest(retries) FROM send_batches WHERE batch_id = {}",
            half.id.batch_id
        );
        let held = half
            .events
            .iter()
            .map(|event| format!("{} {}", event.number, event.retries));
        assert_eq!(queue.rows(&stored).await, held.collect::<Vec<_>>());
        assert_eq!((half.id.fence, half.attempt), (1, 1));
    }
    queue.lapse().await;
    let mut taken = Vec::new();
    while let Some(batch) = queue.take_over().await {
        taken.extend(batch.events.iter().map(|event| (event.number, event.retries)));
        assert!(queue.finish(&batch).await);
    }
    taken.sort_unstable();
    assert_eq!(taken, all, "the retries behind an event stay with it");
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn the_halves_of_a_batch_know_what_became_too_old_meanwhile() {
    let queue = Queue::empty().await;
    let now = "SELECT extract(epoch FROM rastro_now())::bigint";
    let now: i64 = queue.database.value(now).await.parse().unwrap();
    let ages = [("a", now + 60), ("b", now + 4_000_000)];
    for (id, send_by) in ages {
        queue
            .accept(&[NewEvent {
                send_by,
                ..event(1, "", id)
            }])
            .await;
    }
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert!(batch.events.iter().all(|event| !event.too_old));
    queue.pass("2 minutes").await;
    let (first, second) = queue
        .store
        .split_batch(batch, None, LEASE)
        .await
        .unwrap()
        .unwrap();
    assert!(first.events[0].too_old && !second.events[0].too_old);
    assert_eq!(queue.count("send_attempts").await, 0);
}

#[tokio::test]
async fn a_batch_of_one_is_not_split_and_stays_whole() {
    let queue = Queue::with_events(&[(1, "", 1)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert!(queue.store.split_batch(batch.clone(), None, LEASE).await.is_err());
    assert!(queue.finish(&batch).await);
}

#[tokio::test]
async fn numbers_beyond_32_bits_are_carried_everywhere() {
    let queue = Queue::empty().await;
    queue
        .database
        .execute("SELECT setval('event_numbers', 8589934000)")
        .await;
    queue.accept(&[event(1, "", "big")]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert_eq!(numbers(&batch), [8_589_934_001]);
    assert!(
        queue
            .settle(
                &batch,
                Fate::Wait {
                    delay: Duration::ZERO,
                    retries: 1
                },
                None
            )
            .await
    );
    assert_eq!(queue.store.requeue_due(10).await.unwrap(), 1);
    let batch = queue.claim(1, "", 10).await.unwrap();
    assert!(queue.finish(&batch).await);
    let logged = "SELECT DISTINCT event_number FROM meta_events_log";
    assert_eq!(queue.rows(logged).await, ["8589934001"]);
    queue.assert_nothing_is_lost().await;
}

#[tokio::test]
async fn nothing_that_meta_says_keeps_an_outcome_from_being_recorded() {
    let queue = Queue::with_events(&[(1, "", 6)]).await;
    // Half an emoji reaches us as the replacement character; a noncharacter as it is.
    let said = format!(
        "a\0b\nc\u{1b}[31m\u{85}\u{fffd}\u{fffe}\u{202e}😀{}",
        "é".repeat(5_000)
    );
    let attempt = AttemptRecord {
        http_status: Some(u16::MAX),
        error_code: Some(i32::MIN),
        error_subcode: Some(i32::MAX),
        error_message: Some(said.clone()),
        fbtrace_id: Some(said),
        latency_ms: Some(i32::MAX),
        events_received: Some(-1),
        ..AttemptRecord::of(AttemptOutcome::Refused)
    };
    let batch = queue.claim(1, "", 2).await.unwrap();
    assert!(queue.settle(&batch, WAIT, Some(&attempt)).await);
    let batch = queue.claim(1, "", 2).await.unwrap();
    let split = queue.store.split_batch(batch, Some(&attempt), LEASE).await;
    assert!(split.unwrap().is_some());
    let batch = queue.claim(1, "", 2).await.unwrap();
    assert!(queue.settle(&batch, Fate::Done, Some(&attempt)).await);
    let texts = "SELECT DISTINCT left(error_message, 16), length(error_message), length(fbtrace_id) FROM send_attempts";
    assert_eq!(
        queue.rows(texts).await,
        ["a b c [31m \u{fffd}\u{fffe}\u{202e}😀é 1000 1000"]
    );
    let kept = "SELECT DISTINCT length(last_error) FROM meta_retry_queue";
    assert_eq!(queue.rows(kept).await, ["1000"]);
}

#[tokio::test]
async fn nothing_that_an_operator_says_keeps_a_retry_from_being_made() {
    let queue = Queue::with_events(&[(1, "", 1)]).await;
    let batch = queue.claim(1, "", 1).await.unwrap();
    assert!(
        queue
            .settle(&batch, Fate::Dead(DeadLetterReason::Refused), None)
            .await
    );
    let request = RetryRequest {
        dry_run: false,
        spread: Duration::ZERO,
        at_most: 10,
        request_id: Uuid::nil(),
        note: "by\0me",
    };
    let count = queue
        .store
        .retry_failed(&DeadLetterFilter::default(), &request)
        .await;
    assert_eq!(count.unwrap().retried, 1);
}

mod missing {
    use super::*;

    /// A batch of five, of which the third event is gone and the content of the fourth was erased.
    async fn batch(queue: &Queue) -> (Batch, Vec<i64>) {
        let all = queue.ready().await;
        let all: Vec<i64> = all.iter().map(|number| number.parse().unwrap()).collect();
        queue
            .database
            .execute(&format!(
                "DELETE FROM events WHERE event_number = {}; UPDATE events SET payload = '' WHERE event_number = {}",
                all[2], all[3]
            ))
            .await;
        (queue.claim(1, "", 10).await.unwrap(), all)
    }

    async fn assert_are_dead_letters(queue: &Queue, all: &[i64]) {
        let dead = "SELECT event_number, reason, last_error <> '' FROM meta_retry_queue WHERE reason = 'missing' ORDER BY 1";
        let [gone, erased] = [all[2], all[3]].map(|number| format!("{number} missing t"));
        assert_eq!(queue.rows(dead).await, [gone.as_str(), erased.as_str()]);
        let logged = "SELECT event_number FROM meta_events_log WHERE outcome = 'missing' ORDER BY 1";
        assert_eq!(queue.rows(logged).await, [all[2].to_string(), all[3].to_string()]);
        let groups = queue
            .store
            .dead_letter_groups(&DeadLetterFilter::default())
            .await
            .unwrap();
        let group = groups.iter().find(|group| group.reason == "missing").unwrap();
        assert_eq!((group.count, group.retryable), (2, 0));
        let letters = queue
            .store
            .dead_letters(&DeadLetterFilter::default(), 0, 10)
            .await
            .unwrap();
        assert_eq!(
            letters.iter().filter(|letter| letter.reason == "missing").count(),
            2
        );
    }

    #[tokio::test]
    async fn events_are_not_sent_and_become_dead_letters_when_their_batch_is_settled() {
        let queue = Queue::with_events(&[(1, "", 5)]).await;
        let (batch, all) = batch(&queue).await;
        assert_eq!(numbers(&batch), [all[0], all[1], all[4]]);
        let missing: Vec<i64> = batch.missing.iter().map(|event| event.number).collect();
        assert_eq!(missing, [all[2], all[3]]);
        assert!(queue.finish(&batch).await);
        assert_are_dead_letters(&queue, &all).await;
        assert_eq!(queue.rows("SELECT event_count FROM send_attempts").await, ["3"]);
    }

    #[tokio::test]
    async fn events_become_dead_letters_when_their_batch_is_released() {
        let queue = Queue::with_events(&[(1, "", 5)]).await;
        let (batch, all) = batch(&queue).await;
        assert!(queue.store.release_batch(&batch).await.unwrap());
        assert_are_dead_letters(&queue, &all).await;
        assert_eq!(queue.ready().await.len(), 3);
    }

    #[tokio::test]
    async fn events_become_dead_letters_when_their_batch_is_split() {
        let queue = Queue::with_events(&[(1, "", 5)]).await;
        let (batch, all) = batch(&queue).await;
        let (first, second) = queue
            .store
            .split_batch(batch, None, LEASE)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            [numbers(&first), numbers(&second)].concat(),
            [all[0], all[1], all[4]]
        );
        assert_are_dead_letters(&queue, &all).await;
    }

    #[tokio::test]
    async fn events_are_known_to_whoever_takes_their_batch_over() {
        let queue = Queue::with_events(&[(1, "", 5)]).await;
        let (_, all) = batch(&queue).await;
        queue.lapse().await;
        let batch = queue.take_over().await.unwrap();
        assert_eq!((batch.events.len(), batch.missing.len()), (3, 2));
        assert!(queue.settle(&batch, WAIT, None).await);
        assert_are_dead_letters(&queue, &all).await;
    }

    #[tokio::test]
    async fn events_become_dead_letters_when_their_batch_is_dissolved() {
        let queue = Queue::with_events(&[(1, "", 5)]).await;
        let (_, all) = batch(&queue).await;
        queue.lapse().await;
        queue.set_breaker(1, State::Open, None).await;
        assert_eq!(queue.store.dissolve_lapsed(10).await.unwrap(), 1);
        assert_are_dead_letters(&queue, &all).await;
        assert_eq!(queue.ready().await.len(), 3);
        assert_eq!(queue.count("send_batches").await, 0);
    }

    #[tokio::test]
    async fn a_batch_of_nothing_else_ends_too() {
        let queue = Queue::with_events(&[(1, "", 2)]).await;
        queue.database.execute("DELETE FROM events").await;
        let batch = queue.claim(1, "", 10).await.unwrap();
        assert_eq!((batch.events.len(), batch.missing.len()), (0, 2));
        assert!(queue.settle(&batch, Fate::Done, None).await);
        assert_eq!(queue.count("meta_retry_queue WHERE reason = 'missing'").await, 2);
        assert_eq!(queue.count("send_attempts").await, 0);
    }
}
