//! What pages read of dead letters, breakers and replays, against rows made by hand.
#![expect(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use common::Queue;
use rastro_store::dashboard::DeadSelection;

/// Dataset 1 of nothing, at noon of 24 November 2026.
async fn at_noon() -> Queue {
    let queue = Queue::empty().await;
    queue
        .database
        .execute(
            "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
                 AS 'SELECT timestamptz ''2026-11-24 12:00+00''';
             SELECT create_day_partition(t, d::date) FROM unnest(day_tables()) AS t,
                 generate_series('2026-11-14'::date, '2026-11-24'::date, interval '1 day') AS d",
        )
        .await;
    queue
}

/// An event of dataset 1 that was received then, and stopped.
async fn dead(
    queue: &Queue,
    number: i64,
    received: &str,
    failed: &str,
    reason: &str,
    code: &str,
    error: &str,
) {
    queue
        .database
        .execute(&format!(
            "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by,
                action_source, test_event_code, request_id, payload)
             VALUES (1, ('{received}'::timestamptz AT TIME ZONE 'UTC')::date, {number}, 'Lead', 'e{number}', '{received}',
                '{received}', '{received}'::timestamptz + interval '7 days', 'website', '', gen_random_uuid(), '');
             INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by,
                retry_count, last_error, error_code, status, reason, failed_at)
             VALUES (1, {number}, ('{received}'::timestamptz AT TIME ZONE 'UTC')::date, '', 'Lead', 'e{number}',
                '{received}'::timestamptz + interval '7 days', 3, '{error}', {code}, 'failed', '{reason}', '{failed}')"
        ))
        .await;
}

#[tokio::test]
async fn only_an_answer_of_4xx_says_that_meta_did_not_count_an_event() {
    let queue = at_noon().await;
    let gone = "HTTP 500, code 2: Service temporarily unavailable";
    for (number, received, failed, reason, code, error) in [
        // Meta's own failure carries a code too.
        (
            1,
            "2026-11-24 11:50+00",
            "2026-11-24 11:55+00",
            "exhausted",
            "2",
            gone,
        ),
        (
            2,
            "2026-11-21 11:50+00",
            "2026-11-21 11:55+00",
            "exhausted",
            "2",
            gone,
        ),
        // Sent again after three days, and failed again a minute ago: Meta may have the first of them.
        (
            3,
            "2026-11-21 11:00+00",
            "2026-11-24 11:59+00",
            "exhausted",
            "2",
            gone,
        ),
        // Too old to be sent again: nothing can be counted twice.
        (
            4,
            "2026-11-16 11:00+00",
            "2026-11-16 11:05+00",
            "exhausted",
            "2",
            gone,
        ),
        (
            5,
            "2026-11-24 11:00+00",
            "2026-11-24 11:05+00",
            "exhausted",
            "NULL",
            "no answer within 10 s",
        ),
        (
            6,
            "2026-11-21 11:00+00",
            "2026-11-21 11:05+00",
            "exhausted",
            "4",
            "HTTP 400, code 4: too many calls",
        ),
        (
            7,
            "2026-11-21 11:00+00",
            "2026-11-21 11:05+00",
            "refused",
            "100",
            "HTTP 400, code 100: Invalid parameter",
        ),
    ] {
        dead(&queue, number, received, failed, reason, code, error).await;
    }
    let groups = queue.store.dead_groups(&DeadSelection::default()).await.unwrap();
    let mut told: Vec<_> = groups
        .iter()
        .map(|group| {
            (
                group.error_code,
                group.events,
                group.retryable,
                group.unanswered,
                group.late,
            )
        })
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            (None, 1, 1, 1, 0),
            (Some(2), 4, 3, 4, 2),
            (Some(4), 1, 1, 0, 0),
            (Some(100), 1, 1, 0, 0),
        ]
    );
}

#[tokio::test]
async fn an_opening_says_how_many_events_stopped_for_it() {
    let queue = at_noon().await;
    queue
        .database
        .execute(
            "INSERT INTO breaker_transitions (dataset_id, changed_at, generation, state, reason, manual, note) VALUES
                (1, '2026-11-15 10:00+00', 1, 'open', 'blocked', 'automatic', ''),
                (1, '2026-11-23 10:00+00', 2, 'closed', NULL, 'automatic', ''),
                (1, '2026-11-23 15:00+00', 3, 'open', 'errors', 'automatic', ''),
                (1, '2026-11-23 16:00+00', 4, 'closed', NULL, 'automatic', ''),
                (1, '2026-11-24 11:00+00', 5, 'open', 'errors', 'automatic', '')",
        )
        .await;
    for (number, received, failed, reason) in [
        // Before it, meanwhile, just after it, and long after it.
        (1, "2026-11-15 08:00+00", "2026-11-15 09:59+00", "exhausted"),
        (2, "2026-11-15 10:30+00", "2026-11-22 10:30+00", "expired"),
        (3, "2026-11-23 09:00+00", "2026-11-23 10:05+00", "exhausted"),
        (4, "2026-11-23 09:00+00", "2026-11-23 10:11+00", "exhausted"),
        // Its own fault.
        (5, "2026-11-23 15:10+00", "2026-11-23 15:11+00", "refused"),
        // While one still lasts.
        (6, "2026-11-24 10:00+00", "2026-11-24 11:30+00", "exhausted"),
    ] {
        dead(&queue, number, received, failed, reason, "NULL", "no answer").await;
    }
    let since = "2026-11-01T00:00:00Z".parse().unwrap();
    let openings = queue.store.openings(Some(1), since).await.unwrap();
    let told: Vec<_> = openings
        .iter()
        .map(|opening| {
            (
                opening.reason.as_deref(),
                opening.closed_at.is_some(),
                opening.stopped,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some("errors"), false, 1),
            (Some("errors"), true, 0),
            (Some("blocked"), true, 2),
        ]
    );
}

#[tokio::test]
async fn a_long_resend_is_looked_up_for_its_first_thousand_events_and_says_what_stopped_again_of_all() {
    let queue = at_noon().await;
    queue
        .database
        .execute(
            "INSERT INTO event_outcomes (dataset_id, day, event_number, outcome, detail, request_id, created_at)
             SELECT 1, '2026-11-24', n, 'retried', 'retried by Ana', '00000000-0000-0000-0000-000000000001',
                '2026-11-24 10:00+00'
             FROM generate_series(1, 1200) AS n;
             -- Of the first thousand 990 arrived, and all behind them.
             INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome,
                http_status, event_count, event_numbers, first_number, last_number, first_day, last_day)
             SELECT 1, '2026-11-24', 1, 1, '', '2026-11-24 10:01+00', 90, 'delivered', 200, 1190,
                array_agg(n ORDER BY n), 11, 1200, '2026-11-24', '2026-11-24' FROM generate_series(11, 1200) AS n",
        )
        .await;
    dead(
        &queue,
        3,
        "2026-11-24 09:00+00",
        "2026-11-24 10:05+00",
        "exhausted",
        "NULL",
        "no answer",
    )
    .await;
    let replays = queue.store.replays(Some(1), 8).await.unwrap();
    let told: Vec<_> = replays
        .iter()
        .map(|replay| (replay.events, replay.delivered, replay.dead_again))
        .collect();
    assert_eq!(told, [(1_200, 990, 1)]);
}
