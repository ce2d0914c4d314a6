//! The statements behind the pages, against rows that were written by hand and numbers that were counted by
//! hand.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rastro_store::KeyRole;
use rastro_store::dashboard::{DeadGroup, DeadSelection, Opening, Search, Trail};
use uuid::Uuid;

use crate::html;
use crate::panel::{OTHER, OWN, Panel};
use crate::rows::{Books, MIDNIGHT, at, standing_clock};

const LIMIT: Duration = Duration::from_secs(5);
const REFUSED: (&str, Option<i32>, Option<i32>) = ("refused", Some(100), Some(2_804_019));
const DELIVERED: (&str, Option<i32>, Option<i32>) = ("delivered", None, None);

/// Three events of before midnight, and ten of today of which each is somewhere else.
async fn a_day(books: &Books) {
    // Delivered today, still ready, and stopped: received before midnight.
    for (number, time) in [(1, "02:50"), (2, "02:55"), (3, "02:58")] {
        books.event(OWN, number, "Lead", time, None).await;
    }
    books.ready(OWN, 2, 2).await;
    books.stops(OWN, 3, "03:30", REFUSED).await;
    // Delivered: one beside an event of yesterday, two alone.
    books
        .event(OWN, 4, "Purchase", "03:05", Some(("10", "BRL")))
        .await;
    books.attempt(OWN, &[1, 4], "03:10", DELIVERED).await;
    for number in [5, 6] {
        books.event(OWN, number, "Lead", "04:00", None).await;
    }
    // The first time it failed.
    books
        .attempt(OWN, &[5, 6], "04:01", ("unavailable", Some(2), None))
        .await;
    books.attempt(OWN, &[5, 6], "04:02", DELIVERED).await;
    for (number, time) in [
        (7, "15:10"),
        (8, "15:11"),
        (9, "15:12"),
        (10, "15:13"),
        (11, "15:14"),
        (12, "15:15"),
    ] {
        books.event(OWN, number, "Lead", time, None).await;
    }
    books.ready(OWN, 7, 8).await;
    books
        .execute(&format!(
            "INSERT INTO send_batches (dataset_id, test_event_code, event_numbers, first_day, last_day, lease_expires_at, owner, claimed_at)
             VALUES ({OWN}, '', '{{9}}', '2026-06-16', '2026-06-16', rastro_now() + interval '1 minute', 'test', rastro_now())"
        ))
        .await;
    books.waits(OWN, 10, "15:40").await;
    books.stops(OWN, 11, "15:20", ("exhausted", None, None)).await;
    books.outcome(OWN, "withheld", Some(12), 1, "15:15").await;
    books.event(OTHER, 13, "Lead", "15:16", None).await;
    books.attempt(OTHER, &[13], "15:17", DELIVERED).await;
    // Repeats: three today in two rows, and one of before.
    books.outcome(OWN, "duplicate", Some(4), 2, "03:20").await;
    books.outcome(OTHER, "duplicate", Some(13), 1, "15:18").await;
    books.outcome(OWN, "duplicate", Some(1), 1, "02:59").await;
}

fn places(trail: &Trail) -> [i64; 6] {
    [
        trail.ready,
        trail.in_flight,
        trail.waiting,
        trail.dead,
        trail.withheld,
        trail.delivered,
    ]
}

#[tokio::test]
async fn the_trail_says_of_each_event_of_today_where_it_is() {
    let books = Books::open().await;
    a_day(&books).await;
    let midnight: DateTime<Utc> = MIDNIGHT.parse().unwrap();
    let look = async || {
        let all = books.store.trail(None, midnight).await.unwrap();
        assert_eq!((all.accepted, places(&all)), (10, [2, 1, 1, 1, 1, 4]));
        assert_eq!((all.duplicates, all.batches), (3, 1));
        assert_eq!(all.oldest_ready_at, Some(at("15:10")));
        assert_eq!(all.next_retry_at, Some(at("15:40")));
        assert_eq!(all.dead_deadline, Some(at("2026-06-23 15:14")));
        let own = books.store.trail(Some(OWN), midnight).await.unwrap();
        assert_eq!((own.accepted, places(&own)), (9, [2, 1, 1, 1, 1, 3]));
        let other = books.store.trail(Some(OTHER), midnight).await.unwrap();
        assert_eq!((other.accepted, places(&other)), (1, [0, 0, 0, 0, 0, 1]));
        assert_eq!((own.duplicates, other.duplicates), (2, 1));
        all.datasets
    };
    look().await;
    // The same once hours are counted and closed, and the running one is counted too.
    for hour in (3..=15).map(|hour| midnight + TimeDelta::hours(hour - 3)) {
        books.store.count_hour(hour, LIMIT).await.unwrap();
    }
    let closed = books
        .database
        .value("SELECT count(*) FROM counted_hours WHERE closed")
        .await;
    assert_ne!(closed, "0", "otherwise nothing is read from counts");
    assert_eq!(look().await, 2);
    // Of a day on which nothing came nothing is anywhere.
    let tomorrow = books
        .store
        .trail(None, midnight + TimeDelta::days(1))
        .await
        .unwrap();
    assert_eq!((tomorrow.accepted, places(&tomorrow)), (0, [0; 6]));
}

#[tokio::test]
async fn what_did_not_arrive_of_seven_days_is_counted_but_for_the_last_hour() {
    let books = Books::open().await;
    // Received eight days ago, and stopped within the seven.
    books.event(OWN, 0, "Lead", "2026-06-08 12:00", None).await;
    books
        .stops(OWN, 0, "2026-06-15 12:00", ("expired", None, None))
        .await;
    a_day(&books).await;
    for hour in ["02:00", "03:00", "04:00", "15:00"] {
        books.store.count_hour(at(hour), LIMIT).await.unwrap();
    }
    books
        .counts(OTHER, &[("2026-06-10 10:00", "accepted", 100)])
        .await;
    // 1 to 6 came, of which 2 is ready and 3 stopped; the rest is of the last hour.
    let own = books.store.undelivered(Some(OWN)).await.unwrap();
    assert_eq!((own.accepted, own.dead, own.late), (6, 1, 1));
    let all = books.store.undelivered(None).await.unwrap();
    assert_eq!((all.accepted, all.dead, all.late), (106, 1, 1));
}

#[tokio::test]
async fn today_until_now_is_held_against_as_much_of_four_weeks() {
    let books = Books::open().await;
    books
        .counts(
            OWN,
            &[
                ("02:00", "success", 1_000),
                ("03:00", "success", 10),
                ("15:00", "success", 7),
                ("15:00", "accepted", 5_000),
                ("2026-06-09 02:00", "success", 1_000),
                ("2026-06-09 03:00", "success", 20),
                // Half of it had passed at half past.
                ("2026-06-09 15:00", "success", 8),
                ("2026-06-09 16:00", "success", 1_000),
                ("2026-05-26 14:00", "success", 3),
                ("2026-05-19 15:00", "success", 1),
            ],
        )
        .await;
    books.counts(OTHER, &[("2026-05-19 14:00", "success", 100)]).await;
    let midnight: DateTime<Utc> = MIDNIGHT.parse().unwrap();
    let sent = async |dataset| {
        let rows = books.store.sent_until_now(dataset, midnight).await.unwrap();
        let weeks: Vec<i32> = rows.iter().map(|row| row.weeks_ago).collect();
        assert_eq!(weeks, [0, 1, 2, 3, 4]);
        rows.iter().map(|row| row.events).collect::<Vec<f64>>()
    };
    assert_eq!(sent(Some(OWN)).await, [17.0, 24.0, 0.0, 3.0, 0.5]);
    assert_eq!(sent(None).await, [17.0, 24.0, 0.0, 3.0, 100.5]);
}

#[tokio::test]
async fn an_opening_is_from_the_first_change_that_stopped_to_the_one_that_let_flow() {
    let books = Books::open().await;
    let errors = Some("errors");
    for (time, state, reason, manual) in [
        // Before what is asked for.
        ("2026-06-01 10:00", "open", errors, "automatic"),
        ("2026-06-01 11:00", "closed", None, "automatic"),
        // Probed, opened again, closed.
        ("2026-06-10 10:00", "open", errors, "automatic"),
        ("2026-06-10 10:20", "half_open", errors, "automatic"),
        ("2026-06-10 10:30", "open", errors, "automatic"),
        ("2026-06-10 10:50", "closed", None, "automatic"),
        // By order, while Meta answered.
        ("2026-06-12 08:00", "closed", None, "forced_open"),
        ("2026-06-12 09:00", "closed", None, "automatic"),
        // Meta failed, and by order it was sent all the same.
        ("2026-06-14 01:00", "closed", None, "forced_closed"),
        ("2026-06-14 01:10", "open", errors, "forced_closed"),
        ("2026-06-14 01:30", "closed", None, "automatic"),
        // Still.
        ("2026-06-16 15:00", "open", Some("blocked"), "automatic"),
    ] {
        books.change(OWN, time, state, reason, manual).await;
    }
    books
        .change(OTHER, "2026-06-11 07:00", "open", Some("refused"), "automatic")
        .await;
    let openings = async |dataset| {
        let rows = books
            .store
            .openings(dataset, at("2026-06-05 00:00"))
            .await
            .unwrap();
        let told = |row: Opening| {
            (
                row.dataset_id,
                row.opened_at,
                row.closed_at,
                row.reason,
                row.manual,
            )
        };
        rows.into_iter().map(told).collect::<Vec<_>>()
    };
    let automatic = || "automatic".to_owned();
    let own = [
        (OWN, at("15:00"), None, Some("blocked".into()), automatic()),
        (
            OWN,
            at("2026-06-12 08:00"),
            Some(at("2026-06-12 09:00")),
            None,
            "forced_open".to_owned(),
        ),
        (
            OWN,
            at("2026-06-10 10:00"),
            Some(at("2026-06-10 10:50")),
            Some("errors".into()),
            automatic(),
        ),
    ];
    assert_eq!(openings(Some(OWN)).await, own);
    let other = (
        OTHER,
        at("2026-06-11 07:00"),
        None,
        Some("refused".into()),
        automatic(),
    );
    let [first, second, third] = own;
    assert_eq!(openings(None).await, [first, second, other, third]);
}

/// Five of one cause, of which one is too old; one that nobody answered; one of another dataset.
async fn dead_letters(books: &Books) {
    let brl = |value| Some((value, "BRL"));
    for (number, name, received, stopped, value) in [
        (1, "Purchase", "2026-06-08 12:00", "2026-06-08 12:01", brl("1000")),
        (
            2,
            "Purchase",
            "2026-06-14 12:00",
            "2026-06-14 12:01",
            brl("100.50"),
        ),
        (3, "Purchase", "2026-06-15 12:00", "2026-06-15 12:01", brl("9.49")),
        (
            4,
            "Purchase",
            "2026-06-15 13:00",
            "2026-06-15 13:01",
            Some(("5", "USD")),
        ),
        (5, "Lead", "2026-06-13 12:00", "2026-06-15 14:00", None),
    ] {
        books.event(OWN, number, name, received, value).await;
        books.stops(OWN, number, stopped, REFUSED).await;
    }
    books.event(OWN, 6, "Lead", "15:00", None).await;
    books.stops(OWN, 6, "15:01", ("exhausted", None, None)).await;
    books
        .event(OTHER, 7, "Purchase", "2026-06-08 12:00", brl("50"))
        .await;
    books
        .stops(OTHER, 7, "2026-06-15 12:00", ("expired", None, None))
        .await;
    // Not dead.
    books.event(OWN, 8, "Lead", "15:02", None).await;
    books.waits(OWN, 8, "15:40").await;
}

async fn groups(books: &Books, wanted: DeadSelection) -> Vec<DeadGroup> {
    books.store.dead_groups(&wanted).await.unwrap()
}

#[tokio::test]
async fn dead_letters_are_told_by_cause_with_their_money_and_what_can_still_be_done() {
    let books = Books::open().await;
    dead_letters(&books).await;
    let all = groups(&books, DeadSelection::default()).await;
    let named: Vec<_> = all
        .iter()
        .map(|group| {
            (
                group.dataset_id,
                group.reason.as_str(),
                group.error_subcode,
                group.events,
            )
        })
        .collect();
    // Those that can still be delivered first, of them the largest.
    assert_eq!(
        named,
        [
            (OWN, "refused", Some(2_804_019), 5),
            (OWN, "exhausted", None, 1),
            (OTHER, "expired", None, 1)
        ]
    );
    let refused = &all[0];
    assert_eq!((refused.purchases, refused.leads, refused.retryable), (4, 1, 4));
    assert_eq!(refused.first_failed_at, at("2026-06-08 12:01"));
    assert_eq!(refused.last_failed_at, at("2026-06-15 14:00"));
    assert_eq!(refused.first_deadline, Some(at("2026-06-20 12:00")));
    assert_eq!(refused.currencies, ["BRL", "USD"]);
    assert!(
        (refused.amounts[0] - 1_109.99).abs() < 1e-9 && refused.amounts[1] == 5.0,
        "{refused:?}"
    );
    assert_eq!(refused.newest_error, "HTTP 400, code 100: id is missing");
    assert_eq!((all[1].retryable, all[2].retryable), (1, 0));
    assert_eq!((all[2].first_deadline, &all[2].amounts), (None, &vec![50.0]));
    // Meta may have counted what it never answered, and nothing that it refused.
    assert_eq!((refused.unanswered, all[1].unanswered), (0, 1));

    let only = |change: fn(&mut DeadSelection)| {
        let mut wanted = DeadSelection::default();
        change(&mut wanted);
        wanted
    };
    for (wanted, events) in [
        (only(|wanted| wanted.dataset_id = Some(OTHER)), vec![1]),
        (only(|wanted| wanted.reason = Some("exhausted".into())), vec![1]),
        (only(|wanted| wanted.code = Some(100)), vec![5]),
        (only(|wanted| wanted.code = Some(2_804_019)), vec![5]),
        (only(|wanted| wanted.event_id = Some("e3".into())), vec![1]),
        (
            only(|wanted| wanted.failed_from = Some(at("2026-06-15 12:01"))),
            vec![3, 1],
        ),
        (
            only(|wanted| wanted.failed_before = Some(at("2026-06-15 12:01"))),
            vec![2, 1],
        ),
    ] {
        let found: Vec<i64> = groups(&books, wanted.clone())
            .await
            .iter()
            .map(|group| group.events)
            .collect();
        assert_eq!(found, events, "{wanted:?}");
    }

    // What a replay names: of those in time the one that expires first.
    let any = DeadSelection::default();
    let group = (OWN, "refused", Some(100), Some(2_804_019));
    let numbers =
        async |wanted: &DeadSelection, most| books.store.dead_numbers(group, wanted, most).await.unwrap();
    assert_eq!(numbers(&any, 10).await, [5, 2, 3, 4]);
    assert_eq!(numbers(&any, 2).await, [5, 2]);
    let newer = only(|wanted| wanted.failed_from = Some(at("2026-06-15 12:01")));
    assert_eq!(numbers(&newer, 10).await, [5, 3, 4]);
    let sample = books.store.dead_sample(refused, &any, 8).await.unwrap();
    let sampled: Vec<i64> = sample.iter().map(|row| row.event_number).collect();
    assert_eq!(sampled, [5, 2, 3, 4, 1], "the one that is too old last");
    assert_eq!(
        (sample[1].value, sample[1].currency.as_deref()),
        (Some(100.5), Some("BRL"))
    );
}

#[tokio::test]
async fn whether_a_cause_goes_on_is_told_by_the_last_hour() {
    let books = Books::open().await;
    dead_letters(&books).await;
    let unanswered = ("unavailable", None, None);
    for (dataset, numbers, time, went) in [
        (OWN, &[11, 12][..], "15:00", REFUSED),
        (OWN, &[13], "15:20", REFUSED),
        // Another cause, before the hour, another dataset.
        (OWN, &[14], "15:20", ("refused", Some(100), None)),
        (OWN, &[15], "14:20", REFUSED),
        (OTHER, &[16], "15:20", REFUSED),
        (OWN, &[17, 18, 19, 20], "15:21", unanswered),
        (OWN, &[21, 22], "15:22", DELIVERED),
        (OWN, &[23, 24, 25], "15:23", DELIVERED),
        (OWN, &[26], "14:29", DELIVERED),
    ] {
        books.attempt(dataset, numbers, time, went).await;
    }
    let all = groups(&books, DeadSelection::default()).await;
    for (group, recent, succeeded) in [(&all[0], 3, 5), (&all[1], 4, 5), (&all[2], 0, 0)] {
        let told = books.store.recurrence(group).await.unwrap();
        assert_eq!((told.recent, told.succeeded), (recent, succeeded), "{group:?}");
    }
}

#[tokio::test]
async fn of_a_replay_it_is_told_how_many_arrived_and_how_many_stopped_again() {
    let books = Books::open().await;
    for number in 1..=5 {
        books.event(OWN, number, "Lead", "2026-06-15 12:00", None).await;
    }
    books.event(OTHER, 6, "Lead", "2026-06-15 12:00", None).await;
    let ask = async |dataset: i64, request: u128, numbers: &[i64], time: &str| {
        for number in numbers {
            books.outcome(dataset, "retried", Some(*number), 1, time).await;
        }
        let request = Uuid::from_u128(request);
        books
            .execute(&format!(
                "UPDATE event_outcomes SET request_id = '{request}', detail = 'retried by Ana' WHERE outcome = 'retried' AND request_id IS NULL"
            ))
            .await;
    };
    ask(OWN, 1, &[1, 2, 3], "15:00").await;
    ask(OTHER, 2, &[6], "14:00").await;
    ask(OWN, 3, &[4, 5], "2026-05-12 12:00").await;
    // 1 arrived; 2 stopped again; 3 is on its way, and had been refused before it was asked for.
    books.attempt(OWN, &[1], "15:05", DELIVERED).await;
    books.attempt(OWN, &[2], "15:05", REFUSED).await;
    books.stops(OWN, 2, "15:05", REFUSED).await;
    books.attempt(OWN, &[3], "14:59", REFUSED).await;
    books.attempt(OTHER, &[6], "13:59", DELIVERED).await;
    let told = async |dataset| {
        let rows = books.store.replays(dataset, 8).await.unwrap();
        rows.iter()
            .map(|row| {
                let request = row.request_id.unwrap().as_u128();
                (request, row.asked_at, row.events, row.delivered, row.dead_again)
            })
            .collect::<Vec<_>>()
    };
    let own = (1, at("15:00"), 3, 1, 1);
    assert_eq!(told(Some(OWN)).await, [own], "35 days ago is long ago");
    let other = (2, at("14:00"), 1, 0, 0);
    assert_eq!(
        told(None).await,
        [own, other],
        "before it was asked for is no answer"
    );
}

#[tokio::test]
async fn an_event_is_found_by_each_name_that_it_goes_by() {
    let books = Books::open().await;
    let made = at("15:00");
    let seconds = u64::try_from(made.timestamp()).unwrap();
    let request = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0));
    // Both datasets have an event of each name; 3 and 4 are of no interest.
    for (dataset, number) in [(OWN, 1), (OTHER, 2), (OWN, 3), (OTHER, 4)] {
        books
            .event(dataset, number, "Purchase", "15:00", Some(("10", "BRL")))
            .await;
    }
    books
        .execute(&format!(
            "UPDATE events SET event_id = 'o meu', trace_id = '4bf92f3577b34da6a3ce929d0e0e4736', request_id = '{request}'
             WHERE event_number <= 2;
             INSERT INTO purchases (dataset_id, order_id, status, amount_minor, currency, details, ads_refused, request_id, event_number,
                event_day, created_at, updated_at)
             SELECT dataset_id, 'pedido 7', 'approved', 1000, 'BRL', '{{}}', false, request_id, event_number, day, received_at, received_at
             FROM events WHERE event_number <= 2"
        ))
        .await;
    books.attempt(OWN, &[1, 3], "15:01", DELIVERED).await;
    books.attempt(OTHER, &[2], "15:01", DELIVERED).await;
    let find = async |dataset, search: &Search| {
        let found = books.store.find_events(dataset, search).await.unwrap();
        let mut numbers: Vec<i64> = found.iter().map(|event| event.event_number).collect();
        numbers.sort_unstable();
        numbers
    };
    let both = [
        Search::EventId("o meu".into()),
        Search::EventId("pedido 7".into()),
        Search::Trace("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        Search::Request(request, made),
    ];
    for search in &both {
        assert_eq!(find(None, search).await, [1, 2], "{search:?}");
        assert_eq!(find(Some(OWN), search).await, [1], "{search:?}");
        assert_eq!(find(Some(OTHER), search).await, [2], "{search:?}");
    }
    // A request to Meta may have carried several.
    assert_eq!(find(None, &Search::Fbtrace("A1x".into())).await, [1, 3]);
    assert_eq!(find(Some(OTHER), &Search::Fbtrace("A1x".into())).await, [0; 0]);
    assert_eq!(find(None, &Search::Number(4)).await, [4]);
    assert_eq!(find(Some(OWN), &Search::Number(4)).await, [0; 0]);
    for nothing in [
        Search::EventId("o".into()),
        Search::Trace("4bf92f3577b34da6a3ce929d0e0e4737".into()),
        Search::Fbtrace("A9x".into()),
        Search::Request(Uuid::now_v7(), made),
    ] {
        assert_eq!(find(None, &nothing).await, [0; 0], "{nothing:?}");
    }
}

/// At noon: of each dataset four were accepted ninety seconds ago and one repeat was kept back; one arrived, two
/// stopped, one is ready. An alert of each is open.
#[tokio::test]
async fn the_pages_show_the_numbers_of_the_database() {
    let panel = Panel::start().await;
    panel.database.execute(&standing_clock()).await;
    panel.seed().await;
    let operator = panel.sign_in(&panel.key(KeyRole::Admin, None).await).await;
    let one = format!("dataset={OWN}");
    for (page, said) in [
        ("/".to_owned(), "10 Recebidos"),
        ("/".to_owned(), "2 Duplicados barrados"),
        ("/".to_owned(), "2 Prontos"),
        ("/".to_owned(), "0 A caminho"),
        ("/".to_owned(), "0 Nova tentativa"),
        ("/".to_owned(), "4 Parados"),
        ("/".to_owned(), "2 Entregues"),
        (
            "/".to_owned(),
            "A conta fecha: 10 recebidos − 2 duplicados = 2 + 0 + 0 + 4 + 2 entregues",
        ),
        (
            format!("/?{one}"),
            "A conta fecha: 5 recebidos − 1 duplicados = 1 + 0 + 0 + 2 + 1 entregues",
        ),
        ("/parados".to_owned(), "4 eventos parados, R$ 3.111 em compras"),
        (
            format!("/parados?{one}"),
            "2 eventos parados, R$ 1.556 em compras",
        ),
        ("/alertas".to_owned(), "2 alertas abertos"),
        (format!("/alertas?{one}"), "1 alerta aberto"),
    ] {
        let text = html::text(&panel.page(&page, &operator).await);
        assert!(text.contains(said), "{page}: no “{said}” in {text}");
    }
}

/// With the settings of our connections. Without an index by hour they read every count from end to end: of a
/// hundred million events half a second each.
#[tokio::test]
async fn the_first_page_reads_of_the_counts_the_hours_that_it_shows() {
    let books = Books::open().await;
    books
        .execute(&format!(
            "INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
             SELECT d, timestamptz '2026-06-16 15:00Z' - n * interval '1 hour', name, 'success', 1
             FROM unnest(ARRAY[{OWN}, {OTHER}]) AS d, generate_series(0, 2000) AS n, unnest(ARRAY['Lead', 'Purchase', 'PageView']) AS name;
             INSERT INTO request_counts (dataset_id, hour, bucket, requests, latency_ms)
             SELECT DISTINCT c.dataset_id, c.hour, bucket, 1, 100 FROM event_counts c, generate_series(1, 3) AS bucket;
             ANALYZE event_counts, request_counts"
        ))
        .await;
    let since = "timestamptz '2026-06-15 15:00Z'";
    for (name, sql) in [
        (
            "sent_until_now",
            include_str!("../../../store/src/sql/dashboard/sent_until_now.sql"),
        ),
        (
            "hour_counts",
            include_str!("../../../store/src/sql/dashboard/hour_counts.sql"),
        ),
        (
            "latency",
            include_str!("../../../store/src/sql/dashboard/latency.sql"),
        ),
    ] {
        let sql = sql
            .replace("$1", "NULL")
            .replace("$2::timestamptz", since)
            .replace("$2", since);
        let plan = books
            .database
            .query(&format!(
                "SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN {sql}"
            ))
            .await;
        let plan: Vec<String> = plan.into_iter().filter_map(|mut row| row[0].take()).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("_counts_by_hour"), "{name}: {plan}");
    }
}
