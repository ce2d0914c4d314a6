//! An event key is claimed once, by however many try at the same moment; and what is accepted is all there.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod common;

use std::sync::Arc;

use common::{Accept as _, Queue, dataset_id, event};
use rastro_core::dataset::DatasetDefaults;
use rastro_core::event::{Event, Facts, Intake};
use rastro_core::json::Json;
use rastro_core::page::Page;
use rastro_core::user_data::Visitor;
use rastro_store::{Acceptance, EventWriter, FirstClaim, NewEvent, Origin, Refusal};
use tokio::sync::Barrier;
use uuid::Uuid;

const DATASET: i64 = 123_456_789_012_345;

fn lead(id: &str) -> NewEvent {
    event(DATASET, "", id)
}

/// How many of them were new.
async fn accept(writer: &mut EventWriter, events: &[NewEvent]) -> usize {
    let events: Vec<&NewEvent> = events.iter().collect();
    let acceptances = writer.accept(&events, &[]).await.unwrap();
    assert_eq!(acceptances.len(), events.len());
    let is_new = |acceptance: &&Acceptance| matches!(acceptance, Acceptance::Accepted { .. });
    acceptances.iter().filter(is_new).count()
}

#[tokio::test]
async fn of_two_concurrent_claims_exactly_one_wins_a_thousand_times_over() {
    let queue = Queue::empty().await;
    let start = Arc::new(Barrier::new(2));
    let contender = |mut writer: EventWriter| {
        let start = start.clone();
        tokio::spawn(async move {
            let mut won = Vec::new();
            for round in 0..1_000 {
                let events = [lead(&format!("lead-{round}"))];
                start.wait().await;
                won.push(accept(&mut writer, &events).await == 1);
            }
            won
        })
    };
    let one = contender(queue.store.event_writer().await.unwrap());
    let other = contender(queue.store.event_writer().await.unwrap());
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    for (round, (one, other)) in one.iter().zip(&other).enumerate() {
        assert!(one ^ other, "round {round}: {one} and {other}");
    }
    assert!(one.contains(&true) && other.contains(&true), "the two never met");
    for table in ["meta_events_dedup", "events", "send_queue"] {
        assert_eq!(queue.count(table).await, 1_000, "{table}");
    }
    // Whoever lost was told who has the key.
    let unlike = "SELECT count(*) FROM event_outcomes o JOIN events e USING (event_id) WHERE o.event_number <> e.event_number";
    assert_eq!(queue.database.value(unlike).await, "0");
    assert_eq!(
        queue.count("event_outcomes WHERE outcome = 'duplicate'").await,
        1_000
    );
}

#[tokio::test]
async fn overlapping_groups_never_deadlock_and_never_claim_twice() {
    let queue = Queue::empty().await;
    let mut writers = Vec::new();
    for writer_number in 0..4_usize {
        let mut writer = queue.store.event_writer().await.unwrap();
        writers.push(tokio::spawn(async move {
            let mut claimed = 0;
            for round in 0..50_usize {
                // Each writer meets the same hundred ids of a round in another order.
                let mut ids: Vec<String> = (0..100).map(|id| format!("{round}-{id}")).collect();
                ids.rotate_left(writer_number * 25);
                let events: Vec<NewEvent> = ids.iter().map(|id| lead(id)).collect();
                claimed += accept(&mut writer, &events).await;
            }
            claimed
        }));
    }
    let mut claimed = 0;
    for writer in writers {
        claimed += writer.await.unwrap();
    }
    assert_eq!(claimed, 50 * 100);
    assert_eq!(queue.count("events").await, 5_000);
}

#[tokio::test]
async fn a_duplicate_is_told_and_logged_with_who_has_its_key_and_who_came_second() {
    let queue = Queue::empty().await;
    let (first, second) = (lead("a"), lead("a"));
    let first = NewEvent {
        key_id: Some(7),
        ..first
    };
    let second = NewEvent {
        key_id: Some(8),
        ..second
    };
    let Acceptance::Accepted { event_number } = queue.accept(std::slice::from_ref(&first)).await[0] else {
        panic!("the first of a key is accepted");
    };
    let answer = queue.accept(std::slice::from_ref(&second)).await;
    let Acceptance::Duplicate(Some(claim)) = answer[0] else {
        panic!("{answer:?}");
    };
    assert_eq!(claim.event_number, event_number);
    let claimed_at = "SELECT (extract(epoch FROM created_at) * 1000000)::bigint FROM meta_events_dedup";
    assert_eq!(
        claim.at.timestamp_micros().to_string(),
        queue.database.value(claimed_at).await
    );
    let logged = "SELECT outcome, event_number, event_name, event_id, key_id, request_id, event_count FROM meta_events_log
        ORDER BY outcome";
    assert_eq!(
        queue.rows(logged).await,
        [
            format!("accepted {event_number} Lead a 7 {} 1", first.request_id),
            format!("duplicate {event_number} Lead a 8 {} 1", second.request_id)
        ]
    );
}

#[tokio::test]
async fn of_a_key_that_comes_twice_in_a_group_the_first_event_wins() {
    let queue = Queue::empty().await;
    let other_payload = NewEvent {
        payload: "{}".into(),
        ..lead("a")
    };
    let answers = queue.accept(&[lead("b"), lead("a"), other_payload]).await;
    let [
        Acceptance::Accepted { .. },
        Acceptance::Accepted { event_number },
        Acceptance::Duplicate(Some(FirstClaim {
            event_number: claimed_by,
            ..
        })),
    ] = answers[..]
    else {
        panic!("{answers:?}");
    };
    assert_eq!(claimed_by, event_number);
    let payload = queue
        .store
        .payload(dataset_id(DATASET), event_number)
        .await
        .unwrap();
    assert_eq!(payload, Some(lead("a").payload));
}

#[tokio::test]
async fn a_duplicate_whose_first_was_forgotten_meanwhile_is_still_answered() {
    let queue = Queue::empty().await;
    queue.accept(&[lead("a")]).await;
    // What expiring keys does between two statements of the acceptance.
    queue
        .database
        .execute(
            "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN DELETE FROM meta_events_dedup; RETURN NULL; END $$;
             CREATE TRIGGER forget AFTER INSERT ON meta_events_dedup FOR EACH STATEMENT EXECUTE FUNCTION forget()",
        )
        .await;
    assert_eq!(queue.accept(&[lead("a")]).await, [Acceptance::Duplicate(None)]);
    let logged = "SELECT count(*) FROM meta_events_log WHERE outcome = 'duplicate' AND event_number IS NULL";
    assert_eq!(queue.database.value(logged).await, "1");
}

#[tokio::test]
async fn a_key_outlives_the_age_at_which_meta_would_take_the_event() {
    let queue = Queue::empty().await;
    queue.accept(&[lead("a")]).await;
    let kept = "SELECT expires_at - created_at FROM meta_events_dedup";
    assert_eq!(queue.database.value(kept).await, "8 days");
}

#[tokio::test]
async fn the_same_key_of_two_datasets_is_two_keys() {
    let queue = Queue::empty().await;
    let mine = event(1, "", "a");
    let theirs = NewEvent {
        key: mine.key,
        ..event(2, "", "a")
    };
    let mut writer = queue.store.event_writer().await.unwrap();
    assert_eq!(accept(&mut writer, &[mine]).await, 1);
    assert_eq!(accept(&mut writer, &[theirs]).await, 1);
}

#[tokio::test]
async fn events_of_many_lanes_and_duplicates_among_them_each_keep_what_they_say() {
    let queue = Queue::empty().await;
    let mut writer = queue.store.event_writer().await.unwrap();
    // Some of another lane, some traced, and every tenth was there before.
    let trace = |id: &str| format!("00-{id:0>32}-{id:0>16}-01");
    let group: Vec<NewEvent> = (0..2_600)
        .map(|id| lead(&id.to_string()))
        .map(|event| NewEvent {
            test_event_code: if event.id.ends_with('7') { "TEST1" } else { "" }.to_owned(),
            traceparent: event.id.ends_with('3').then(|| trace(&event.id)),
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

    let stored = queue.database.payloads().await;
    assert_eq!(stored.len(), 2_600);
    for (id, payload) in stored {
        assert_eq!(payload, lead(&id).payload);
    }
    let wrong = "SELECT count(*) FROM events WHERE (test_event_code = 'TEST1') <> (event_id LIKE '%7')
        OR coalesce(trace_id, '') <> CASE WHEN event_id LIKE '%3' THEN lpad(event_id, 32, '0') ELSE '' END
        OR coalesce(span_id, '') <> CASE WHEN event_id LIKE '%3' THEN lpad(event_id, 16, '0') ELSE '' END";
    assert_eq!(queue.database.value(wrong).await, "0");
    let unlike = "SELECT count(*) FROM events e LEFT JOIN ready_events q USING (dataset_id, test_event_code, event_number, day)
        LEFT JOIN meta_events_dedup d USING (dataset_id, event_number, day)
        WHERE q.send_by IS DISTINCT FROM e.send_by OR d.created_at IS DISTINCT FROM e.received_at";
    assert_eq!(queue.database.value(unlike).await, "0");
    let sent = group.iter().find(|event| event.id == "1234").unwrap();
    let row = "SELECT event_number, request_id FROM events WHERE event_id = '1234'";
    let row = queue.rows(row).await.remove(0);
    let (number, request) = row.split_once(' ').unwrap();
    assert_eq!(request, sent.request_id.to_string());
    let number: i64 = number.parse().unwrap();
    let payload = |number| queue.store.payload(dataset_id(DATASET), number);
    assert_eq!(payload(number).await.unwrap().as_ref(), Some(&sent.payload));
    assert_eq!(payload(i64::MAX).await.unwrap(), None);
    let census = queue.store.census().await.unwrap();
    assert_eq!((census.accepted, census.ready), (2_600, 2_600));
    assert_eq!(census.duplicates, 260);
}

#[tokio::test]
async fn duplicates_beside_new_events_store_and_queue_nothing() {
    let queue = Queue::empty().await;
    let mut writer = queue.store.event_writer().await.unwrap();
    let trial = || event(DATASET, "TEST1", "a");
    assert_eq!(accept(&mut writer, &[trial()]).await, 1);
    let group = [trial(), lead("b"), lead("c")];
    assert_eq!(accept(&mut writer, &group).await, 2);
    // All of a group.
    assert_eq!(accept(&mut writer, &group).await, 0);
    assert_eq!(accept(&mut writer, &[lead("d")]).await, 1);
    let stored = "SELECT test_event_code, event_id FROM events ORDER BY event_id";
    let queued = "SELECT q.test_event_code, event_id FROM ready_events q JOIN events USING (event_number) ORDER BY event_id";
    let expected = ["TEST1 a", " b", " c", " d"];
    assert_eq!(queue.rows(stored).await, expected);
    assert_eq!(queue.rows(queued).await, expected);
}

#[tokio::test]
async fn every_column_holds_what_its_name_says() {
    let queue = Queue::empty().await;
    let text = |text: &str| Some(text.to_owned());
    let purchase = NewEvent {
        name: "Purchase".into(),
        event_time: 1_790_000_001,
        send_by: 1_790_604_800,
        action_source: "physical_store",
        facts: Facts {
            value: text("-12.50"),
            currency: text("BRL"),
            order_id: text("P-1"),
            page: Page {
                host: text("host"),
                path: text("/path"),
                utm_source: text("source"),
                utm_medium: text("medium"),
                utm_campaign: text("campaign"),
                utm_content: text("content"),
                utm_term: text("term"),
                fbclid: text("fb"),
                gclid: text("g"),
                gbraid: text("gb"),
                wbraid: text("wb"),
                msclkid: text("ms"),
                ttclid: text("tt"),
            },
            is_bot: false,
        },
        key_id: Some(3),
        request_id: Uuid::from_u128(5),
        traceparent: text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ..event(DATASET, "TEST1", "a")
    };
    queue.accept(&[purchase]).await;
    let columns = "SELECT event_name, event_id, extract(epoch FROM event_time)::bigint, extract(epoch FROM send_by)::bigint,
        action_source, value, currency, order_id, page_host, page_path, utm_source, utm_medium, utm_campaign, utm_content,
        utm_term, fbclid, gclid, gbraid, wbraid, msclkid, ttclid, test_event_code, key_id, request_id, trace_id, span_id,
        dataset_id, day = (received_at AT TIME ZONE 'UTC')::date FROM events";
    assert_eq!(
        queue.rows(columns).await,
        [
            "Purchase a 1790000001 1790604800 physical_store -12.50 BRL P-1 host /path source medium campaign content term \
          fb g gb wb ms tt TEST1 3 00000000-0000-0000-0000-000000000005 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 \
          123456789012345 t"
        ]
    );
}

#[tokio::test]
async fn a_value_of_any_size_is_a_number() {
    let queue = Queue::empty().await;
    for (id, value) in ["0", "1e-7", "0.1", "100000000000000000000000000000000000000"]
        .into_iter()
        .enumerate()
    {
        let facts = Facts {
            value: Some(value.to_owned()),
            ..Facts::default()
        };
        queue
            .accept(&[NewEvent {
                facts,
                ..lead(&id.to_string())
            }])
            .await;
    }
    let values = "SELECT value FROM events ORDER BY event_id";
    assert_eq!(
        queue.rows(values).await,
        ["0", "0.0000001", "0.1", "100000000000000000000000000000000000000"]
    );
}

#[tokio::test]
async fn no_text_of_a_refusal_fails_the_group() {
    let queue = Queue::empty().await;
    let refusal = |field: &str| Refusal {
        dataset_id: dataset_id(DATASET),
        event_name: Some("Lead".into()),
        key_id: Some(4),
        request_id: Uuid::from_u128(9),
        field: field.into(),
        event_count: 2,
    };
    let refusals = [
        refusal("/custom_data/a\0b\u{1b}[2J"),
        refusal(&"x".repeat(100_000)),
    ];
    let mut writer = queue.store.event_writer().await.unwrap();
    let accepted = writer
        .accept(&[&lead("a")], &refusals.iter().collect::<Vec<_>>())
        .await;
    assert!(accepted.is_ok(), "{accepted:?}");
    let logged = "SELECT event_name, key_id, request_id, event_count, error_message, event_number, event_id
        FROM meta_events_log WHERE outcome = 'refused' ORDER BY length(error_message)";
    let logged = queue.rows(logged).await;
    assert_eq!(
        logged[0],
        "Lead 4 00000000-0000-0000-0000-000000000009 2 /custom_data/a b [2J  "
    );
    assert!(logged[1].len() < 2_000);
    assert_eq!(queue.count("events").await, 1);
}

#[tokio::test]
async fn no_text_of_an_accepted_event_fails_the_group() {
    let queue = Queue::empty().await;
    let body =
        br#"{"event_name":"Purchase","event_id":"a","event_time":1700000000,"action_source":"physical_store",
        "event_source_url":"https://loja.example/%00?utm_source=a%00b&fbclid=%ff",
        "user_data":{"em":"ana@example.com"},
        "custom_data":{"value":1e-3,"currency":"BRL","order_id":"P\u0000\u001f1","note":"\u0000"}}"#;
    let intake = Intake {
        now_ms: 1_700_000_060_000,
        current_year: 2023,
        defaults: DatasetDefaults::default(),
        visitor: Visitor::default(),
        ..Default::default()
    };
    let (event, _) = Event::read(Json::parse(body).unwrap(), &intake).unwrap();
    let origin = Origin {
        dataset_id: dataset_id(DATASET),
        test_event_code: String::new(),
        key_id: Some(1),
        request_id: Uuid::nil(),
        traceparent: None,
        withheld: false,
    };
    let answers = queue.accept(&[lead("b"), NewEvent::new(&event, origin)]).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Acceptance::Accepted { .. }))
    );
    let columns = "SELECT value, currency, order_id, page_host, utm_source FROM events WHERE event_id = 'a'";
    assert_eq!(queue.rows(columns).await, ["0.001 BRL P1 loja.example ab"]);
}
