//! What is aimed at, and whether this run reached it.

use serde_json::{Value, json};

use super::Report;
use crate::rounds;
use crate::steady::MILLION_A_MINUTE;

/// One aim and what was found.
pub(super) struct Target {
    pub(super) what: &'static str,
    pub(super) aim: String,
    pub(super) found: String,
    pub(super) reached: bool,
}

impl Target {
    pub(super) fn to_json(&self) -> Value {
        json!({ "what": self.what, "target": self.aim, "measured": self.found, "reached": self.reached })
    }
}

pub(super) fn targets(report: &Report) -> Vec<Target> {
    let mut targets: Vec<Target> = [
        ("ratio_single_vs_naive", "single requests against naive", 8.0),
        (
            "ratio_single_vs_statement",
            "single requests against a statement each",
            4.0,
        ),
        (
            "ratio_single_vs_no_database",
            "single requests against no database at all",
            0.4,
        ),
        (
            "ratio_batch_vs_naive",
            "requests of 1,000, events against naive",
            18.0,
        ),
        (
            "ratio_batch_vs_copy",
            "requests of 1,000, events against COPY",
            0.5,
        ),
    ]
    .into_iter()
    .map(|(key, what, least)| {
        let ratio = report.ratio_of(key);
        Target {
            what,
            aim: format!("at least {least}x"),
            found: format!("{:.2}x [{:.2}-{:.2}]", ratio.median, ratio.least, ratio.most),
            reached: ratio.median >= least,
        }
    })
    .collect();
    million(report, &mut targets);
    let drain = report.median(rounds::DRAIN, |found| found.events_per_second);
    targets.push(Target {
        what: "drain: claim + send + finish",
        aim: "at least 50,000 events/s".to_owned(),
        found: format!("{drain:.0} events/s"),
        reached: drain >= 50_000.0,
    });
    if let Some(claims) = &report.claims {
        targets.push(Target {
            what: "claim from 5 M against from 100 k",
            aim: "at most 1.3x".to_owned(),
            found: format!(
                "{:.2}x ({:.1} / {:.1} ms)",
                claims.ratio(),
                claims.large.median_ms,
                claims.small.median_ms
            ),
            reached: claims.ratio() <= 1.3,
        });
    }
    churn(report, &mut targets);
    let cores = report.median(rounds::MILLION, |found| found.serving_cores_at(MILLION_A_MINUTE));
    targets.push(Target {
        what: "gateway + PostgreSQL at 1 M a minute, taking in",
        aim: "at most 1.0 core".to_owned(),
        found: format!("{cores:.2} cores"),
        reached: cores <= 1.0,
    });
    if let Some(everyday) = &report.everyday {
        targets.push(Target {
            what: "accept statement at 1,000 a minute, P99",
            aim: "under 5 ms".to_owned(),
            found: format!(
                "at most {} ms of {} (HTTP P99 {:.1} ms)",
                everyday.commit_p99_at_most_ms, everyday.commits, everyday.measurement.p99_ms
            ),
            reached: everyday.commit_p99_at_most_ms <= 5.0,
        });
    }
    let idle = report.gateway_rss_idle as f64 / 1e6;
    targets.push(Target {
        what: "gateway memory, idle",
        aim: "under 20 MB".to_owned(),
        found: format!("{idle:.1} MB"),
        reached: idle < 20.0,
    });
    if let Some(books) = &report.books {
        targets.push(Target {
            what: "events lost, doubled",
            aim: "0, 0".to_owned(),
            found: format!("{}, {} of {}", books.lost(), books.doubled(), books.accepted),
            reached: books.lost() == 0 && books.doubled() == 0,
        });
    }
    targets
}

/// What must not grow with the events that have passed.
fn churn(report: &Report, targets: &mut Vec<Target>) {
    let Some(churn) = &report.churn else { return };
    for (what, claims) in [
        (
            "claim while a transaction is left open",
            churn.claims_open_transaction,
        ),
        ("claim after millions of events", churn.claims_after),
    ] {
        targets.push(Target {
            what,
            aim: "at most 1.3x of new tables".to_owned(),
            found: format!(
                "{:.2}x ({:.1} / {:.1} ms; before {:.2}x)",
                claims.ratio, claims.product.median_ms, claims.fresh.median_ms, churn.claims_before.ratio
            ),
            reached: claims.ratio <= 1.3,
        });
    }
    let look = churn.claims_open_transaction.product.look_ms;
    targets.push(Target {
        what: "look while a transaction is left open",
        // Beyond that, looking takes more than a twentieth of the forwarder's time.
        aim: "at most 50 ms".to_owned(),
        found: format!("{look:.1} ms ({:.1} before)", churn.claims_before.product.look_ms),
        reached: look <= 50.0,
    });
    targets.push(Target {
        what: "queue files after millions of events",
        aim: "at most 2x of what waits".to_owned(),
        found: format!(
            "{:.2}x ({:.1} / {:.1} MB)",
            churn.queue_ratio(),
            churn.queue_bytes as f64 / 1e6,
            churn.queue_fresh_bytes as f64 / 1e6
        ),
        reached: churn.queue_ratio() <= 2.0,
    });
    targets.push(Target {
        what: "expired keys, old partitions left",
        aim: "0, 0".to_owned(),
        found: format!("{}, {}", churn.keys_left, churn.partitions_left),
        reached: churn.keys_left == 0 && churn.partitions_left == 0,
    });
}

/// A million a minute for a minute, delivered meanwhile.
fn million(report: &Report, targets: &mut Vec<Target>) {
    let Some(million) = &report.million else { return };
    targets.push(Target {
        what: "1 M a minute: all accepted, all delivered",
        aim: format!("{} of each", million.offered),
        found: format!("{} and {}", million.accepted, million.delivered),
        reached: million.accepted == million.offered && million.delivered == million.accepted,
    });
    // A second's worth of events: what a backlog that does not grow may be.
    let second = million.offered as f64 / million.seconds;
    targets.push(Target {
        what: "1 M a minute: backlog at the end",
        aim: format!("at most a second's ({second:.0})"),
        found: format!("{} (most {})", million.backlog_end, million.backlog_most),
        reached: million.backlog_end as f64 <= second,
    });
    let naive = report.median(rounds::NAIVE_STEADY, |found| found.p99_ms);
    targets.push(Target {
        what: "1 M a minute: P99 against naive's at a seventh",
        aim: format!("at most {naive:.1} ms"),
        found: format!("{:.1} ms", million.p99_ms),
        reached: million.p99_ms <= naive,
    });
    targets.push(Target {
        what: "gateway memory at 1 M a minute",
        aim: "under 100 MB".to_owned(),
        found: format!("{:.1} MB", million.gateway_rss_mb),
        reached: million.gateway_rss_mb < 100.0,
    });
}
