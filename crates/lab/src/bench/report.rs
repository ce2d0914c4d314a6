//! Everything that was found: as tables for people, as JSON with stable keys for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use crate::bench::claims::{Claims, Expiry};
use crate::bench::measure::{Measurement, median};
use crate::bench::{
    BATCH, Bench, COPY, DRAIN, NAIVE, Plan, Round, SINGLE, STATEMENT, THROUGH, THROUGH_OTHER, usage,
};
use crate::books::{AtMeta, Books, Tables};

/// Above this share of the cores others spoil what is measured.
const NOT_QUIET: f64 = 0.15;

/// A thousand events a minute. Memory in megabytes.
#[derive(Clone, Debug, Serialize)]
pub struct Everyday {
    #[serde(flatten)]
    pub measurement: Measurement,
    /// The bucket of the gateway's own `rastro_ingest_commit_seconds` in which that share of the commits ends.
    pub commit_p95_at_most_ms: f64,
    pub commit_p99_at_most_ms: f64,
    pub gateway_rss_idle_mb: f64,
    pub gateway_rss_mb: f64,
    pub forwarder_rss_mb: f64,
    pub worker_rss_mb: f64,
}

pub struct Report {
    plan: Plan,
    /// Cores, bytes of memory, processor.
    machine: (usize, u64, String),
    settings: BTreeMap<String, String>,
    pub gateway_rss_peak: u64,
    pub everyday: Option<Everyday>,
    pub rounds: Vec<Round>,
    pub costs: Vec<Vec<(Tables, Measurement)>>,
    /// Bytes of disk per accepted event, by table; and those of the other build.
    pub bytes: Vec<(String, f64)>,
    pub other_bytes: Vec<(String, f64)>,
    pub claims: Option<Claims>,
    pub expiry: Option<Expiry>,
    pub books: Option<Books>,
    /// Events that the other build accepted, and what Meta has of them.
    pub other_books: Option<(u64, AtMeta)>,
}

/// The configurations in the order of a round, and what each is.
const CONFIGURATIONS: [(&str, &str); 8] = [
    (NAIVE, "naive: 3 statements each, pool of 16, 256 conns"),
    (STATEMENT, "1 accept transaction each, pool of 16, 256 conns"),
    (SINGLE, "gateway, 1 event a request, 256 conns"),
    (BATCH, "gateway, 1000 events a request, 8 conns"),
    (COPY, "COPY into the same three tables"),
    (DRAIN, "forwarder: claim + send + finish, alone"),
    (THROUGH, "in and out at once, 1 event a request"),
    (THROUGH_OTHER, "the same with the other build"),
];

/// The ratios of events per second that are reported, by key: this configuration against that one, and what is aimed at.
const RATIOS: [(&str, &str, &str, Option<f64>); 6] = [
    ("ratio_single_vs_naive", SINGLE, NAIVE, Some(5.0)),
    ("ratio_single_vs_statement", SINGLE, STATEMENT, None),
    ("ratio_batch_vs_naive", BATCH, NAIVE, Some(8.0)),
    ("ratio_batch_vs_copy", BATCH, COPY, Some(0.45)),
    ("ratio_through_vs_other_build", THROUGH, THROUGH_OTHER, Some(0.85)),
    ("ratio_drain_vs_single", DRAIN, SINGLE, None),
];

/// A ratio of two configurations, taken in each round.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ratio {
    median: f64,
    least: f64,
    most: f64,
}

/// One aim and what was found.
struct Target {
    what: String,
    aim: String,
    found: String,
    reached: bool,
}

impl Report {
    pub async fn new(bench: &Bench) -> anyhow::Result<Self> {
        Ok(Report::of(
            bench.plan,
            usage::machine()?,
            bench.server.describe().await?,
        ))
    }

    fn of(plan: Plan, machine: (usize, u64, String), settings: BTreeMap<String, String>) -> Self {
        Report {
            plan,
            machine,
            settings,
            gateway_rss_peak: 0,
            everyday: None,
            rounds: Vec::new(),
            costs: Vec::new(),
            bytes: Vec::new(),
            other_bytes: Vec::new(),
            claims: None,
            expiry: None,
            books: None,
            other_books: None,
        }
    }

    /// What makes the run a failure: events lost or doubled, or requests refused.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = match &self.books {
            Some(books) => books.problems(),
            None => vec!["The books were not drawn up.".to_owned()],
        };
        if let Some((accepted, at_meta)) = self.other_books
            && (accepted != at_meta.unique || at_meta.repeated > 0)
        {
            problems.push(format!(
                "The other build accepted {accepted} events, and Meta has {at_meta:?}."
            ));
        }
        let measured = self.rounds.iter().flat_map(Round::values);
        let measured = measured.chain(self.everyday.iter().map(|everyday| &everyday.measurement));
        let refused: u64 = measured.map(|measurement| measurement.refused).sum();
        if refused > 0 {
            problems.push(format!("Requests that were refused: {refused}."));
        }
        problems
    }

    fn median(&self, name: &str, value: impl Fn(&Measurement) -> f64) -> f64 {
        median(self.rounds.iter().filter_map(|round| round.get(name)).map(value))
    }

    /// Of each round's own two figures: what the machine was doing then, it was doing to both.
    fn ratio(&self, one: &str, other: &str) -> Option<Ratio> {
        let rate = |round: &Round, name| round.get(name).map(|found| found.events_per_second);
        let ratios: Vec<f64> = { self.rounds.iter() }
            .filter_map(|round| Some(rate(round, one)? / rate(round, other)?))
            .collect();
        (!ratios.is_empty()).then(|| Ratio {
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            most: ratios.iter().copied().fold(0.0, f64::max),
            median: median(ratios),
        })
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut add = |what: &str, aim: String, found: String, reached: bool| {
            let what = what.to_owned();
            targets.push(Target {
                what,
                aim,
                found,
                reached,
            });
        };
        for (key, one, other, least) in RATIOS {
            if let (Some(ratio), Some(least)) = (self.ratio(one, other), least) {
                let found = format!("{:.2}x [{:.2}-{:.2}]", ratio.median, ratio.least, ratio.most);
                add(key, format!("at least {least}x"), found, ratio.median >= least);
            }
        }
        let drain = self.median(DRAIN, |found| found.events_per_second);
        let found = format!("{drain:.0} events/s");
        add(
            "drain",
            "at least 40000 events/s".to_owned(),
            found,
            drain >= 40_000.0,
        );
        if let Some(claims) = &self.claims {
            let (large, small) = claims.median_ms;
            let found = format!("{:.2}x ({large:.1} / {small:.1} ms)", claims.ratio);
            let reached = claims.ratio <= 1.3;
            add(
                "claim from 5 M against 0.1 M waiting",
                "at most 1.3x".to_owned(),
                found,
                reached,
            );
        }
        if let Some(expiry) = &self.expiry {
            let found = format!(
                "{:.2}x; nothing to forget: {:.1} ms",
                expiry.ratio, expiry.nothing_reused_ms
            );
            let reached = expiry.ratio <= 1.5 && expiry.nothing_reused_ms <= 10.0;
            let aim = "at most 1.5x; 10 ms".to_owned();
            add("expiry of keys on reused pages", aim, found, reached);
        }
        if let Some(books) = &self.books {
            let (lost, doubled) = (books.lost(), books.doubled());
            let found = format!("{lost}, {doubled} of {}", books.told.accepted);
            add(
                "events lost, doubled",
                "0, 0".to_owned(),
                found,
                (lost, doubled) == (0, 0),
            );
        }
        targets
    }

    pub fn json(&self) -> Value {
        let mut json = json!({
            "quick": self.plan.quick,
            "drain_events_per_s": self.median(DRAIN, |found| found.events_per_second).round(),
            "in_and_out_events_per_s": self.median(THROUGH, |found| found.events_per_second).round(),
            "thousand_a_minute": self.everyday,
            "ratio_claim_5m_vs_100k": self.claims.as_ref().map(|claims| rounded(claims.ratio)),
            "claims": self.claims,
            "expiry": self.expiry,
            "costs": self.costs().into_iter().map(|(tables, [us, wal, rate])| json!({
                "of": tables.describe(), "postgres_us": rounded(us), "wal_bytes": rounded(wal), "events_per_s": rounded(rate),
            })).collect::<Vec<_>>(),
            "bytes_per_event": self.bytes,
            "bytes_per_event_of_other_build": self.other_bytes,
            "gateway_rss_peak_mb": rounded(self.gateway_rss_peak as f64 / 1e6),
            "lost": self.books.as_ref().map(Books::lost),
            "doubled": self.books.as_ref().map(Books::doubled),
            "books": self.books,
            "books_of_other_build": self.other_books,
            "problems": self.problems(),
            "machine": {"cores": self.machine.0, "memory_bytes": self.machine.1, "processor": self.machine.2},
            "postgres": self.settings,
            "rounds": self.rounds,
            "targets": self.targets().into_iter().map(|target| json!({
                "what": target.what, "target": target.aim, "measured": target.found, "reached": target.reached,
            })).collect::<Vec<_>>(),
        });
        for (key, one, other, _) in RATIOS {
            if let Some(ratio) = self.ratio(one, other) {
                json[key] = json!(rounded(ratio.median));
                json[format!("{key}_range")] = json!([rounded(ratio.least), rounded(ratio.most)]);
            }
        }
        json
    }

    /// PostgreSQL's processor time and WAL per event, and the rate, by what is missing in the tables: medians.
    fn costs(&self) -> Vec<(Tables, [f64; 3])> {
        let of = |tables: Tables, value: fn(&Measurement) -> f64| {
            let all = self.costs.iter().flatten();
            median(
                all.filter(|(kind, _)| *kind == tables)
                    .map(|(_, found)| value(found)),
            )
        };
        let figures = |tables| {
            let us = of(tables, |found| found.cpu_us("postgres"));
            let wal = of(tables, |found| found.wal_bytes_per_event);
            (tables, [us, wal, of(tables, |found| found.events_per_second)])
        };
        Tables::ALL.into_iter().map(figures).collect()
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to memory cannot fail");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let (cores, memory, processor) = &self.machine;
        let gigabytes = *memory as f64 / 1e9;
        writeln!(
            text,
            "\n{cores} cores ({processor}), {gigabytes:.0} GB; PostgreSQL {:?}",
            self.settings
        )?;
        if self.plan.quick {
            writeln!(
                text,
                "QUICK: fewer and shorter rounds; events of the backlogs have an empty payload."
            )?;
        }
        self.write_rounds(text)?;
        writeln!(
            text,
            "\nRatios of events/s: medians of each round's own, [least-most]"
        )?;
        for (key, one, other, _) in RATIOS {
            if let Some(Ratio { median, least, most }) = self.ratio(one, other) {
                writeln!(text, "  {key:<34} {median:>7.2} [{least:.2}-{most:.2}]")?;
            }
        }
        self.write_costs(text)?;
        self.write_steady(text)?;
        writeln!(text, "\nTargets")?;
        for Target {
            what,
            aim,
            found,
            reached,
        } in self.targets()
        {
            let verdict = if reached { "ok" } else { "MISSED" };
            writeln!(text, "  {verdict:<7} {what:<40} {aim:<26} {found}")?;
        }
        if let Some(books) = &self.books {
            writeln!(
                text,
                "\nThe sum: accepted {} = stored {} = delivered {} = arrived {}; repeated {}, lost {}, doubled {}",
                books.told.accepted,
                books.stored,
                books.delivered,
                books.at_meta.unique,
                books.at_meta.repeated,
                books.lost(),
                books.doubled()
            )?;
        }
        let problems = self.problems();
        if problems.is_empty() {
            writeln!(text, "Every accepted event was delivered, each of them once.")?;
        }
        problems
            .iter()
            .try_for_each(|problem| writeln!(text, "NOT AS IT HAS TO BE: {problem}"))
    }

    fn write_rounds(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\nFigures: medians of {} interleaved rounds",
            self.rounds.len()
        )?;
        let (rate, range, times) = ("events/s", "[least-most]", "p50 ms    p95    p99");
        let costs = "gw us    pg   fwd  meta  load";
        writeln!(
            text,
            "{:<48} {rate:>8} {range:>15} | {times} | {costs} | WAL B | others",
            ""
        )?;
        for (name, what) in CONFIGURATIONS {
            let found: Vec<&Measurement> = self.rounds.iter().filter_map(|round| round.get(name)).collect();
            if found.is_empty() {
                continue;
            }
            let of = |value: fn(&Measurement) -> f64| self.median(name, value);
            let rates = || found.iter().map(|found| found.events_per_second);
            let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
            write!(
                text,
                "{what:<48} {:>8.0} {:>15} | {:>6.1} {:>6.1} {:>6.1} |",
                of(|found| found.events_per_second),
                format!("[{least:.0}-{most:.0}]"),
                of(|found| found.p50_ms),
                of(|found| found.p95_ms),
                of(|found| found.p99_ms),
            )?;
            for process in ["gateway", "postgres", "forwarder", "meta", "driver"] {
                write!(text, " {:>5.1}", self.median(name, |found| found.cpu_us(process)))?;
            }
            let (wal, others) = (
                of(|found| found.wal_bytes_per_event),
                of(|found| found.cores["others"]),
            );
            let spoilt = if others > NOT_QUIET { " !" } else { "" };
            writeln!(text, " | {wal:>5.0} | {others:>6.2}{spoilt}")?;
        }
        writeln!(
            text,
            "us: processor time per event of gateway (or the baseline in its place), PostgreSQL, forwarder, the stand-in for Meta,\n\
             load generator. others: cores that everything else on the machine took; more than {NOT_QUIET} (!) spoils a figure."
        )
    }

    fn write_costs(&self, text: &mut String) -> std::fmt::Result {
        let costs = self.costs();
        let Some((_, [all_us, all_wal, _])) = costs.first().filter(|_| !self.costs.is_empty()) else {
            return Ok(());
        };
        writeln!(
            text,
            "\nWhat each thing in the tables costs an event, by COPY without it"
        )?;
        writeln!(
            text,
            "  {:<58} {all_us:>6.1} us of PostgreSQL {all_wal:>6.0} B of WAL",
            "all of it"
        )?;
        for (tables, [us, wal, _]) in &costs[1..] {
            let (us, wal) = (all_us - us, all_wal - wal);
            writeln!(text, "  {:<58} {us:>6.1} {wal:>23.0}", tables.describe())?;
        }
        for (build, bytes) in [
            ("this build", &self.bytes),
            ("the other build", &self.other_bytes),
        ] {
            if bytes.is_empty() {
                continue;
            }
            let sum: f64 = bytes.iter().map(|(_, bytes)| bytes).sum();
            let tables: Vec<String> = bytes
                .iter()
                .map(|(table, bytes)| format!("{table} {bytes:.0}"))
                .collect();
            writeln!(
                text,
                "  Disk per accepted event, {build}: {sum:.0} B ({})",
                tables.join(", ")
            )?;
        }
        if let Some(ratio) = self.ratio(THROUGH, THROUGH_OTHER) {
            let us = |name, process: &'static str| self.median(name, move |found| found.cpu_us(process));
            writeln!(
                text,
                "  Against the other build, in and out: {:.2} of its rate; PostgreSQL {:.1} us an event (was {:.1}), gateway {:.1} \
                 ({:.1}),\n  forwarder {:.1} ({:.1}); WAL {:.0} B ({:.0})",
                ratio.median,
                us(THROUGH, "postgres"),
                us(THROUGH_OTHER, "postgres"),
                us(THROUGH, "gateway"),
                us(THROUGH_OTHER, "gateway"),
                us(THROUGH, "forwarder"),
                us(THROUGH_OTHER, "forwarder"),
                self.median(THROUGH, |found| found.wal_bytes_per_event),
                self.median(THROUGH_OTHER, |found| found.wal_bytes_per_event),
            )?;
        }
        Ok(())
    }

    fn write_steady(&self, text: &mut String) -> std::fmt::Result {
        if let Some(everyday) = &self.everyday {
            let found = &everyday.measurement;
            let cores: Vec<String> = found
                .cores
                .iter()
                .map(|(name, cores)| format!("{name} {cores:.4}"))
                .collect();
            writeln!(
                text,
                "\n1,000 a minute for {:.0} s with all services at work: p50 {:.2} / p95 {:.2} / p99 {:.2} ms; commits: p95 at most {} \
                 ms, p99 at\n  most {} ms; memory: gateway {:.1} MB (just started {:.1}), forwarder {:.1}, worker {:.1};\n  cores: {}",
                found.seconds,
                found.p50_ms,
                found.p95_ms,
                found.p99_ms,
                everyday.commit_p95_at_most_ms,
                everyday.commit_p99_at_most_ms,
                everyday.gateway_rss_mb,
                everyday.gateway_rss_idle_mb,
                everyday.forwarder_rss_mb,
                everyday.worker_rss_mb,
                cores.join(", ")
            )?;
        }
        let peak = self.gateway_rss_peak as f64 / 1e6;
        writeln!(text, "Gateway memory at its most in this run: {peak:.1} MB")?;
        if let Some(claims) = &self.claims {
            let ((large, small), (median_large, median_small)) = (claims.backlogs, claims.median_ms);
            writeln!(
                text,
                "Claim of 1,000 events, median of {}: {median_large:.1} ms from {large} waiting, {median_small:.1} ms from {small}; poll of \
                 the ready lanes\n  {:.2} / {:.2} ms",
                claims.claims, claims.poll_ms.0, claims.poll_ms.1
            )?;
        }
        if let Some(expiry) = &self.expiry {
            writeln!(
                text,
                "Forgetting 5,000 of {} expired keys: {:.1} ms in new tables, {:.1} ms on reused pages; when there is nothing to forget:\n  \
                 {:.2} and {:.2} ms",
                expiry.keys,
                expiry.fresh_ms,
                expiry.reused_ms,
                expiry.nothing_fresh_ms,
                expiry.nothing_reused_ms
            )?;
        }
        Ok(())
    }
}

/// Three digits behind the point: more would be noise.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::{NOTHING, Told};

    fn measured(events_per_second: f64) -> Measurement {
        Measurement {
            events_per_second,
            cores: BTreeMap::from([("others", 0.0)]),
            ..Measurement::default()
        }
    }

    fn report() -> Report {
        let mut report = Report::of(Plan::FULL, (2, 1, "x".to_owned()), BTreeMap::new());
        for (single, naive) in [(900.0, 100.0), (800.0, 200.0), (700.0, 100.0)] {
            report.rounds.push(Round::from([
                (SINGLE, measured(single)),
                (NAIVE, measured(naive)),
                (DRAIN, measured(45_000.0)),
            ]));
        }
        let census = crate::books::Census {
            accepted: 10,
            delivered: 10,
            confirmations: 10,
            ..NOTHING
        };
        let told = Told {
            accepted: 10,
            duplicate: 0,
        };
        let at_meta = AtMeta {
            unique: 10,
            repeated: 0,
        };
        report.books = Some(Books::between(
            told,
            (&NOTHING, &census),
            (AtMeta::default(), at_meta),
        ));
        report
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_own_ratios() {
        let ratio = report().ratio(SINGLE, NAIVE).unwrap();
        assert_eq!((ratio.least, ratio.median, ratio.most), (4.0, 7.0, 9.0));
        assert_eq!(report().ratio(THROUGH, THROUGH_OTHER), None);
    }

    #[test]
    fn a_run_that_loses_or_doubles_or_refuses_is_no_success() {
        assert_eq!(report().problems(), Vec::<String>::new());
        let mut broken = report();
        broken.books.as_mut().unwrap().at_meta.repeated = 1;
        broken.rounds[0].get_mut(SINGLE).unwrap().refused = 2;
        broken.other_books = Some((3, AtMeta::default()));
        assert_eq!(broken.problems().len(), 3);
        broken.books = None;
        assert!(
            broken
                .problems()
                .iter()
                .any(|problem| problem.contains("not drawn up"))
        );
    }

    #[test]
    fn a_target_that_was_missed_is_called_so() {
        let mut report = report();
        let verdict = |report: &Report| {
            let line = report
                .text()
                .lines()
                .find(|line| line.contains("ratio_single_vs_naive  "))
                .map(str::to_owned);
            let missed = report
                .text()
                .lines()
                .any(|line| line.contains("MISSED") && line.contains("ratio_single"));
            (line.is_some(), missed)
        };
        assert_eq!(verdict(&report), (true, false));
        for round in &mut report.rounds {
            round.insert(SINGLE, measured(400.0));
        }
        assert_eq!(verdict(&report), (true, true));
        assert_eq!(report.json()["ratio_single_vs_naive"], 4.0);
    }

    #[test]
    fn what_a_thing_costs_is_what_its_absence_saves() {
        let mut report = report();
        let cost = |us, wal| Measurement {
            cpu_us_per_event: BTreeMap::from([("postgres", us)]),
            wal_bytes_per_event: wal,
            ..measured(1.0)
        };
        report.costs = vec![vec![
            (Tables::AsTheyAre, cost(20.0, 2_000.0)),
            (Tables::WithoutEventIdIndex, cost(17.5, 1_800.0)),
        ]];
        let text = report.text();
        let line = text
            .lines()
            .find(|line| line.contains("index of events by event id"))
            .unwrap();
        assert!(line.contains(" 2.5 ") && line.ends_with(" 200"), "{line}");
    }
}
