//! Moments that chance seldom meets: between a statement's row and its commit, and between two statements at
//! work on the same rows.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::time::Duration;

use common::{Accept as _, LEASE, Queue, dataset_id, event, numbers};
use rastro_store::{
    Acceptance, AttemptOutcome, AttemptRecord, Batch, DeadLetterReason, Fate, NewRequest, Store, StoreError,
    Stored,
};
use rastro_test_support::eventually;

const WAIT: Fate = Fate::Wait {
    delay: Duration::ZERO,
    retries: 1,
};

/// From now on every transaction that does so with the table fails, and only when it commits: after its
/// statement has given its row.
async fn fail_commits(queue: &Queue, doing: &str, table: &str) {
    queue
        .database
        .execute(&format!(
            "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN RAISE 'the commit fails'; END $$;
             CREATE CONSTRAINT TRIGGER fail AFTER {doing} ON {table} DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION fail()"
        ))
        .await;
}

async fn commits_again(queue: &Queue, table: &str) {
    queue
        .database
        .execute(&format!("DROP TRIGGER fail ON {table}"))
        .await;
}

#[tokio::test]
async fn an_event_whose_commit_fails_is_not_called_accepted() {
    let queue = Queue::empty().await;
    fail_commits(&queue, "INSERT", "send_queue").await;
    let event = event(1, "", "a");
    let mut writer = queue.store.event_writer().await.unwrap();
    let accepted = writer.accept(&[&event], &[]).await;
    assert!(accepted.is_err(), "{accepted:?}");
    for table in ["events", "send_queue", "meta_events_dedup"] {
        assert_eq!(queue.count(table).await, 0, "{table}");
    }
    // The same writer goes on, and the key is still free.
    commits_again(&queue, "send_queue").await;
    assert!(writer.accept(&[&event], &[]).await.is_ok());
    assert_eq!(queue.store.census().await.unwrap().accepted, 1);
}

/// The lock is asked for together with BEGIN: PostgreSQL is in a transaction when it is not had.
#[tokio::test]
async fn a_writer_that_an_erasure_kept_out_for_too_long_goes_on_over_the_same_connection() {
    let queue = Queue::empty().await;
    let mut config = queue.database.config();
    config.statement_timeout_seconds = 1;
    let store = Store::new(&config, "impatient").unwrap();
    let mut writer = store.event_writer().await.unwrap();
    let request = NewRequest {
        events: vec![event(1, "", "a")],
        read_at: Some(store.erasure_epoch(dataset_id(1)).await.unwrap()),
        ..NewRequest::default()
    };
    let erasure = queue.connect().await;
    let lock = "SELECT pg_advisory_lock(hashtextextended('erasures of ' || current_schema(), 0))";
    erasure.batch_execute(lock).await.unwrap();
    let kept_out = writer.accept_requests(&[&request]).await;
    assert!(matches!(kept_out, Err(StoreError::Query(_))), "{kept_out:?}");
    let unlock = "SELECT pg_advisory_unlock_all()";
    erasure.batch_execute(unlock).await.unwrap();
    let stored = writer.accept_requests(&[&request]).await.unwrap();
    assert!(
        matches!(&stored[..], [Stored::Now { acceptances, .. }]
            if matches!(acceptances[..], [Acceptance::Accepted { .. }])),
        "{stored:?}"
    );
    let seen_by_others = queue.store.census().await.unwrap();
    assert_eq!(seen_by_others.accepted, 1);
}

#[tokio::test]
async fn a_batch_whose_claim_does_not_commit_is_nobodys() {
    let queue = Queue::with_events(&[(1, "", 3)]).await;
    let lane = queue.look(1, "").await.unwrap();
    fail_commits(&queue, "INSERT", "send_batches").await;
    let claimed = queue.store.claim_batch(&lane, 10, LEASE, "one").await;
    assert!(claimed.is_err(), "{claimed:?}");
    let census = queue.store.census().await.unwrap();
    assert_eq!((census.ready, census.in_flight), (3, 0));
    commits_again(&queue, "send_batches").await;
    assert_eq!(queue.claim(1, "", 10).await.unwrap().events.len(), 3);
}

#[tokio::test]
async fn a_batch_whose_finish_does_not_commit_is_not_called_finished() {
    let queue = Queue::with_events(&[(1, "", 3)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    fail_commits(&queue, "INSERT", "send_attempts").await;
    let delivered = AttemptRecord::of(AttemptOutcome::Delivered);
    let fates = [Fate::Done; 3];
    let finished = queue.store.settle_batch(&batch, &fates, Some(&delivered)).await;
    assert!(finished.is_err(), "{finished:?}");
    let census = queue.store.census().await.unwrap();
    assert_eq!((census.in_flight, census.delivered), (3, 0));
    commits_again(&queue, "send_attempts").await;
    assert!(
        queue.finish(&batch).await,
        "and is recorded when it is said again"
    );
}

#[tokio::test]
async fn a_batch_that_cannot_be_cut_stays_whole() {
    let queue = Queue::with_events(&[(1, "", 4)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    fail_commits(&queue, "INSERT", "send_batches").await;
    let refused = AttemptRecord::of(AttemptOutcome::Refused);
    let split = || queue.store.split_batch(batch.clone(), Some(&refused), LEASE);
    assert!(split().await.is_err());
    let census = queue.store.census().await.unwrap();
    assert_eq!(census.in_flight, 4);
    assert_eq!(queue.count("send_attempts").await, 0);
    let renewed = queue.store.renew_leases(&[batch.id], LEASE).await.unwrap();
    assert_eq!(renewed, [batch.id], "and is still ours");
    commits_again(&queue, "send_batches").await;
    assert!(split().await.unwrap().is_some());
    assert_eq!(queue.count("send_attempts").await, 1);
}

#[tokio::test]
async fn what_cannot_be_moved_stays_where_it_was() {
    let queue = Queue::with_events(&[(1, "", 4)]).await;
    fail_commits(&queue, "INSERT", "meta_retry_queue").await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    let failed = AttemptRecord::of(AttemptOutcome::Unavailable);
    let fates = [WAIT, WAIT, WAIT, Fate::Dead(DeadLetterReason::Expired)];
    let settle = || queue.store.settle_batch(&batch, &fates, Some(&failed));
    assert!(settle().await.is_err());
    assert_eq!(queue.store.census().await.unwrap().in_flight, 4);
    for table in ["send_attempts", "event_outcomes"] {
        assert_eq!(queue.count(table).await, 0, "{table}");
    }

    commits_again(&queue, "meta_retry_queue").await;
    assert!(settle().await.unwrap());
    fail_commits(&queue, "INSERT", "send_queue").await;
    assert!(queue.store.requeue_due(10).await.is_err());
    assert_eq!(queue.store.census().await.unwrap().waiting, 3);
}

#[tokio::test]
async fn a_dataset_whose_revival_fails_keeps_no_other_from_its_own() {
    let queue = Queue::with_events(&[(1, "", 2), (2, "", 2)]).await;
    let failed = AttemptRecord::of(AttemptOutcome::Unavailable);
    for dataset in [1, 2] {
        let batch = queue.claim(dataset, "", 10).await.unwrap();
        assert!(queue.settle(&batch, WAIT, Some(&failed)).await);
    }
    let outages_ended = "INSERT INTO circuit_breakers (dataset_id, state, generation, since, open_count, probe_successes,
            probe_failures, manual, outage_since, updated_at)
        SELECT dataset_id, 'closed', 2, now(), 0, 0, 0, 'automatic', now() - interval '1 minute', now() FROM datasets;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
        CREATE TRIGGER fail BEFORE UPDATE ON meta_retry_queue FOR EACH ROW WHEN (NEW.dataset_id = 1) EXECUTE FUNCTION fail()";
    queue.database.execute(outages_ended).await;
    let revived = queue.store.revive_after_outage(LEASE, LEASE, 10).await;
    assert!(revived.is_err(), "{revived:?}");
    let retries = "SELECT dataset_id, retry_count FROM meta_retry_queue ORDER BY 1";
    assert_eq!(queue.rows(retries).await, ["1 1", "1 1", "2 0", "2 0"]);
}

#[tokio::test]
async fn a_batch_that_cannot_be_given_back_stays_ours() {
    let queue = Queue::with_events(&[(1, "", 2)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    fail_commits(&queue, "INSERT", "send_queue").await;
    assert!(queue.store.release_batch(&batch).await.is_err());
    let census = queue.store.census().await.unwrap();
    assert_eq!((census.ready, census.in_flight), (0, 2));
    assert!(queue.finish(&batch).await);
}

#[tokio::test]
async fn a_batch_whose_taking_over_does_not_commit_stays_with_its_owner() {
    let queue = Queue::with_events(&[(1, "", 2)]).await;
    let batch = queue.claim(1, "", 10).await.unwrap();
    queue.lapse().await;
    fail_commits(&queue, "UPDATE", "send_batches").await;
    let taken = queue.store.take_over_batch(&[], LEASE, "other").await;
    assert!(taken.is_err(), "{taken:?}");
    commits_again(&queue, "send_batches").await;
    assert!(queue.finish(&batch).await);
}

#[tokio::test]
async fn a_claim_passes_by_what_another_claim_is_taking() {
    let queue = Queue::with_runs(30, 1).await;
    let other = queue.connect().await;
    let first_ten = "BEGIN; SELECT FROM send_queue ORDER BY first_number LIMIT 10 FOR UPDATE";
    other.batch_execute(first_ten).await.unwrap();
    // Were it to wait for the other, it would be stopped by the server first.
    let batch = queue.claim(1, "", 15).await.unwrap();
    assert_eq!(batch.events.len(), 15);
    other.batch_execute("ROLLBACK").await.unwrap();
    let rest = queue.claim(1, "", 100).await.unwrap();
    assert_eq!(rest.events.len(), 15);
    let taken = numbers(&batch);
    assert!(numbers(&rest).iter().all(|left| !taken.contains(left)));
}

#[tokio::test]
async fn a_batch_never_holds_an_event_that_another_claim_took_meanwhile() {
    let queue = Queue::with_runs(30, 1).await;
    let other = queue.connect().await;
    let take = "BEGIN; DELETE FROM send_queue WHERE first_number IN (SELECT first_number FROM send_queue ORDER BY 1 LIMIT 10)";
    other.batch_execute(take).await.unwrap();
    let lane = queue.look(1, "").await.unwrap();
    let claiming = tokio::spawn({
        let store = queue.store.clone();
        async move { store.claim_batch(&lane, 20, LEASE, "one").await.unwrap() }
    });
    // The other commits while the claim waits for it; or the claim passed by, and is done.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the claim waits or is done", || async {
        let waiting: i64 = other.query_one(waiting, &[]).await.unwrap().get(0);
        (waiting > 0 || claiming.is_finished()).then_some(())
    })
    .await;
    other.batch_execute("COMMIT").await.unwrap();
    let batch: Batch = claiming.await.unwrap().unwrap();
    let stored = format!(
        "SELECT unnest(event_numbers) FROM send_batches WHERE batch_id = {}",
        batch.id.batch_id
    );
    let held: Vec<String> = numbers(&batch).iter().map(i64::to_string).collect();
    assert_eq!(queue.rows(&stored).await, held);
    assert_eq!(queue.count("send_queue").await + held.len(), 20);
}
