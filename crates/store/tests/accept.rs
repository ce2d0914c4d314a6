//! An event key is claimed once, by however many try at the same moment.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::sync::Arc;

use rastro_core::dedup::EventKey;
use rastro_store::{EventWriter, NewEvent, Store};
use rastro_test_support::TestDatabase;
use tokio::sync::Barrier;
use uuid::Uuid;

const DATASET: i64 = 123_456_789_012_345;

fn event(id: &str) -> NewEvent {
    let dataset_id = DATASET.try_into().unwrap();
    NewEvent {
        key: EventKey::new(dataset_id, "Lead", id),
        dataset_id,
        name: "Lead".into(),
        id: id.into(),
        send_by: 1_790_604_800,
        dedup_window_seconds: 8 * 86_400,
        test_event_code: String::new(),
        payload: format!(r#"{{"event_name":"Lead","event_id":"{id}"}}"#),
        request_id: Uuid::now_v7(),
        traceparent: None,
    }
}

fn sorted(ids: &[String]) -> Vec<NewEvent> {
    let mut events: Vec<NewEvent> = ids.iter().map(|id| event(id)).collect();
    events.sort_by_key(|event| event.key);
    events
}

async fn accept(writer: &mut EventWriter, events: &[NewEvent]) -> usize {
    let fresh = writer.accept(&events.iter().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(fresh.len(), events.len());
    fresh.into_iter().filter(|fresh| *fresh).count()
}

#[tokio::test]
async fn of_two_concurrent_claims_exactly_one_wins_a_thousand_times_over() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let start = Arc::new(Barrier::new(2));
    let contender = |mut writer: EventWriter| {
        let start = start.clone();
        tokio::spawn(async move {
            let mut won = Vec::new();
            for round in 0..1_000 {
                let events = [event(&format!("lead-{round}"))];
                start.wait().await;
                won.push(accept(&mut writer, &events).await == 1);
            }
            won
        })
    };
    let one = contender(store.event_writer().await.unwrap());
    let other = contender(store.event_writer().await.unwrap());
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    for (round, (one, other)) in one.iter().zip(&other).enumerate() {
        assert!(one ^ other, "round {round}: {one} and {other}");
    }
    assert!(one.contains(&true) && other.contains(&true), "the two never met");
    for table in ["meta_events_dedup", "events", "event_segments", "send_queue"] {
        assert_eq!(
            database.value(&format!("SELECT count(*) FROM {table}")).await,
            "1000",
            "{table}"
        );
    }
}

#[tokio::test]
async fn overlapping_groups_never_deadlock_and_never_claim_twice() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let mut writers = Vec::new();
    for writer_number in 0..4_usize {
        let mut writer = store.event_writer().await.unwrap();
        writers.push(tokio::spawn(async move {
            let mut claimed = 0;
            for round in 0..50_usize {
                // Each writer meets the same hundred ids of a round in another order.
                let mut ids: Vec<String> = (0..100).map(|id| format!("{round}-{id}")).collect();
                ids.rotate_left(writer_number * 25);
                claimed += accept(&mut writer, &sorted(&ids)).await;
            }
            claimed
        }));
    }
    let mut claimed = 0;
    for writer in writers {
        claimed += writer.await.unwrap();
    }
    assert_eq!(claimed, 50 * 100);
    assert_eq!(database.value("SELECT count(*) FROM events").await, "5000");
}

#[tokio::test]
async fn a_duplicate_is_logged_and_told_since_when() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let mut writer = store.event_writer().await.unwrap();
    let (first, second) = (event("a"), event("a"));
    assert_eq!(accept(&mut writer, std::slice::from_ref(&first)).await, 1);
    assert_eq!(accept(&mut writer, std::slice::from_ref(&second)).await, 0);
    let never_seen = event("b");
    let since = writer.record_duplicates(&[&second, &never_seen]).await.unwrap();
    let claimed_at = database
        .value("SELECT extract(epoch FROM created_at)::text FROM meta_events_dedup")
        .await;
    assert_eq!(
        since[0].unwrap().timestamp_micros(),
        (claimed_at.parse::<f64>().unwrap() * 1e6).round() as i64
    );
    assert_eq!(since[1], None);
    let logged = database
        .query("SELECT outcome, event_id, request_id::text FROM meta_events_log ORDER BY event_id")
        .await;
    assert_eq!(logged.len(), 2);
    let first_row: Vec<_> = logged[0].iter().flatten().map(String::as_str).collect();
    assert_eq!(first_row, ["duplicate", "a", &second.request_id.to_string()]);
}

#[tokio::test]
async fn a_key_outlives_the_age_at_which_meta_would_take_the_event() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let mut writer = store.event_writer().await.unwrap();
    accept(&mut writer, &[event("a")]).await;
    let kept = database
        .value("SELECT expires_at - created_at FROM meta_events_dedup")
        .await;
    assert_eq!(kept, "8 days");
}

#[tokio::test]
async fn events_of_many_lanes_and_duplicates_among_them_each_keep_what_they_say() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let mut writer = store.event_writer().await.unwrap();
    // More than a segment holds of one lane, some of another, and every tenth was there before.
    let group: Vec<NewEvent> = sorted(&(0..2_600).map(|id| id.to_string()).collect::<Vec<_>>())
        .into_iter()
        .map(|event| NewEvent {
            test_event_code: if event.id.ends_with('7') { "TEST1" } else { "" }.to_owned(),
            traceparent: event.id.ends_with('3').then(|| format!("00-{}", event.id)),
            ..event
        })
        .collect();
    let earlier: Vec<NewEvent> = group
        .iter()
        .filter(|event| event.id.ends_with('0'))
        .cloned()
        .collect();
    assert_eq!(accept(&mut writer, &earlier).await, 260);
    assert_eq!(accept(&mut writer, &group).await, 2_340);

    let stored = database.payloads().await;
    assert_eq!(stored.len(), 2_600);
    for (id, payload) in stored {
        assert_eq!(payload, event(&id).payload);
    }
    let wrong = "SELECT count(*) FROM events WHERE (test_event_code = 'TEST1') <> (event_id LIKE '%7')
        OR coalesce(traceparent, '') <> CASE WHEN event_id LIKE '%3' THEN '00-' || event_id ELSE '' END";
    assert_eq!(database.value(wrong).await, "0");
    let request = "SELECT request_id::text FROM events WHERE event_id = '1234'";
    let sent = group.iter().find(|event| event.id == "1234").unwrap();
    assert_eq!(database.value(request).await, sent.request_id.to_string());

    let number = database
        .value("SELECT event_number FROM events WHERE event_id = '1234'")
        .await;
    let payload = store
        .payload(DATASET.try_into().unwrap(), number.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(payload.as_deref(), Some(sent.payload.as_str()));
    // The line of a duplicate is no event.
    let of_duplicate =
        "SELECT n FROM event_segments, generate_series(segment_number, segment_number + 999) AS n
        WHERE NOT event_numbers @> n AND n < upper(event_numbers) LIMIT 1";
    let number = database.value(of_duplicate).await;
    assert_eq!(
        store
            .payload(DATASET.try_into().unwrap(), number.parse().unwrap())
            .await
            .unwrap(),
        None
    );
    let account = store.account().await.unwrap();
    assert_eq!((account.accepted, account.ready), (2_600, 2_600));
}

#[tokio::test]
async fn a_lane_of_duplicates_beside_a_new_event_stores_and_queues_nothing_and_draws_no_number() {
    let database = TestDatabase::create().await;
    let store = Store::new(&database.config(), "test").unwrap();
    let mut writer = store.event_writer().await.unwrap();
    let trial = |id: &str| NewEvent {
        test_event_code: "TEST1".into(),
        ..event(id)
    };
    assert_eq!(accept(&mut writer, &[trial("a")]).await, 1);
    let mut group = vec![trial("a"), event("b"), event("c")];
    group.sort_by_key(|event| event.key);
    assert_eq!(accept(&mut writer, &group).await, 2);
    // All of a group.
    assert_eq!(accept(&mut writer, &group).await, 0);
    assert_eq!(accept(&mut writer, &[event("d")]).await, 1);

    let segments =
        "SELECT test_event_code, event_count, (segment_number - min(segment_number) OVER ()) / 1000
        FROM event_segments ORDER BY segment_number";
    let found: Vec<Vec<String>> = database
        .query(segments)
        .await
        .into_iter()
        .map(|row| row.into_iter().flatten().collect())
        .collect();
    assert_eq!(found, [["TEST1", "1", "0"], ["", "2", "1"], ["", "1", "2"]]);
    let account = store.account().await.unwrap();
    assert_eq!((account.accepted, account.ready), (4, 4));
}
