//! A report whose figures are made up, to see what is made of them.

use std::time::Duration;

use super::*;
use crate::claims::{Aged, Backlog};

fn measured(events_per_second: f64) -> Measurement {
    Measurement {
        events_per_second,
        ..Measurement::default()
    }
}

fn report() -> Report {
    let round = |naive: f64, single: f64| {
        Round::from([
            (rounds::NAIVE, measured(naive)),
            (rounds::SINGLE, measured(single)),
        ])
    };
    Report {
        plan: Plan {
            quick: true,
            rounds: 3,
            warm_up: Duration::ZERO,
            measured: Duration::ZERO,
            everyday: Duration::ZERO,
            million: Duration::ZERO,
            busy_backlog: 0,
            small_events: 0,
            backlogs: (0, 0),
            claims: 0,
            churn_events: 0,
            churn_backlog: 0,
            open_transaction: Duration::ZERO,
            keys_to_expire: 0,
            patience: Duration::ZERO,
        },
        machine: (2, 1, "a processor".to_owned()),
        settings: Vec::new(),
        event_bytes: 650,
        stored_bytes: 1_100,
        gateway_rss_idle: 1,
        gateway_rss_peak: 1,
        everyday: None,
        // The machine was twice as fast in the second round: for both.
        rounds: vec![
            round(1_000.0, 9_000.0),
            round(2_000.0, 18_000.0),
            round(1_000.0, 5_000.0),
        ],
        million: None,
        fairness: None,
        claims: None,
        churn: None,
        books: Some(Books {
            accepted: 10,
            stored: 10,
            pending: 0,
            delivered: 10,
            confirmations: 10,
            arrived: 10,
            repeated: 0,
            refused_requests: 0,
            missing: 0,
        }),
    }
}

#[test]
fn a_ratio_is_the_median_of_the_rounds_own_ratios() {
    let ratio = report().ratio_of("ratio_single_vs_naive");
    assert_eq!((ratio.median, ratio.least, ratio.most), (9.0, 5.0, 9.0));
    let json = report().json().unwrap();
    assert_eq!(json["ratio_single_vs_naive"], 9.0);
    assert_eq!(json["ratio_single_vs_naive_range"], json!([5.0, 9.0]));
}

#[test]
fn a_run_that_loses_or_doubles_or_refuses_is_no_success() {
    assert!(report().problems().is_empty());
    let mut lossy = report();
    lossy.books.as_mut().unwrap().arrived = 9;
    assert_eq!(lossy.problems(), ["1 events were lost"]);
    assert_eq!(lossy.json().unwrap()["lost"], 1);
    let mut refusing = report();
    refusing.rounds[0].get_mut(rounds::SINGLE).unwrap().refused = 3;
    assert_eq!(refusing.problems(), ["3 requests were refused"]);
    let mut silent = report();
    silent.rounds[2].get_mut(rounds::NAIVE).unwrap().unanswered = 1;
    assert_eq!(silent.problems(), ["1 requests got no answer"]);
    let mut unbalanced = report();
    unbalanced.books = None;
    assert_eq!(unbalanced.problems(), ["the books were not drawn up"]);
}

#[test]
fn the_text_says_what_was_shortened_and_which_targets_were_missed() {
    let text = report().text();
    assert!(text.contains("QUICK: 3 rounds"), "{text}");
    let verdict_of = |what: &str| {
        text.lines()
            .find(|line| line.contains(what))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert!(verdict_of("single requests against naive").starts_with("ok"));
    assert!(verdict_of("requests of 1,000, events against naive").starts_with("MISSED"));
}

#[test]
fn what_passed_events_leave_behind_is_compared_with_what_was_there_before() {
    let backlog = |median_ms| Backlog {
        events: 45_000,
        median_ms,
        p95_ms: 20.0,
        look_ms: 0.5,
    };
    // On a machine that became slower meanwhile.
    let claims = |product, fresh| Aged {
        ratio: product / fresh,
        product: backlog(product),
        fresh: backlog(fresh),
    };
    let mut report = report();
    report.churn = Some(Churn {
        events: 10_000_000,
        backlog: 1_000_000,
        queue_rows: 10_000,
        queue_fresh_bytes: 1_000_000,
        queue_bytes: 1_500_000,
        queue_bytes_open_transaction: 3_000_000,
        open_transaction_seconds: 60.0,
        claims_before: claims(8.0, 7.9),
        claims_open_transaction: claims(12.0, 8.0),
        claims_after: claims(8.8, 8.0),
        forwarder_rss_mb: 26.0,
        keys_to_expire: 500,
        keys_left: 2,
        partitions_left: 0,
        refused: 0,
    });
    assert!(report.problems().is_empty());
    let json = report.json().unwrap();
    assert_eq!(json["ratio_claim_open_transaction"], 1.5);
    assert_eq!(json["ratio_claim_after_churn"], 1.1);
    assert_eq!(json["ratio_queue_files_vs_fresh"], 1.5);
    let verdicts: Vec<(&str, bool)> = targets::targets(&report)
        .into_iter()
        .map(|target| (target.what, target.reached))
        .collect();
    for (what, reached) in [
        ("claim while a transaction is left open", false),
        ("look while a transaction is left open", true),
        ("claim after millions of events", true),
        ("queue files after millions of events", true),
        ("expired keys, old partitions left", false),
    ] {
        assert!(verdicts.contains(&(what, reached)), "{what}: {verdicts:?}");
    }
    report.churn.as_mut().unwrap().refused = 4;
    assert_eq!(
        report.problems(),
        ["4 requests of a hundred events were refused or got no answer"]
    );
}
