//! Everything that was found: as tables for people, as JSON with stable keys for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use crate::bench::claims::{Claims, Expiry};
use crate::bench::doors::{IDEMPOTENT, LEADS, PAGE, PURCHASES, REMEMBERING, Script, WITH_CLICK};
use crate::bench::measure::{Measurement, median};
use crate::bench::watched::{UNWATCHED, WATCHED};
use crate::bench::{BATCH, COPY, DRAIN, NAIVE, Round, SINGLE, THROUGH, THROUGH_OTHER};
use crate::books::{AtMeta, Books};

/// The configurations in the order of a round, and what each is.
const CONFIGURATIONS: [(&str, &str); 15] = [
    (NAIVE, "naive: 3 statements each, pool of 16, 256 conns"),
    (SINGLE, "gateway, 1 event a request, 256 conns"),
    (BATCH, "gateway, 1000 events a request, 8 conns"),
    (PAGE, "the same from a page: CORS, text/plain, key in query"),
    (IDEMPOTENT, "the same with an idempotency key each"),
    (LEADS, "leads captured, each with its event"),
    (PURCHASES, "purchases recorded, each with its event"),
    (REMEMBERING, "plain events without a click, beside those leads"),
    (WITH_CLICK, "the same with a click each: nobody is looked up"),
    (UNWATCHED, "gateway, 1 event a request, dashboard idle"),
    (WATCHED, "the same while its page is loaded ten times a second"),
    (COPY, "COPY into the same three tables"),
    (DRAIN, "forwarder: claim + send + finish, alone"),
    (THROUGH, "in and out at once, 1 event a request"),
    (THROUGH_OTHER, "the same with the other build"),
];

/// The ratios of events per second, by key: this configuration against that one, and what is aimed at.
const RATIOS: [(&str, &str, &str, f64); 10] = [
    ("ratio_single_vs_naive", SINGLE, NAIVE, 5.0),
    ("ratio_batch_vs_naive", BATCH, NAIVE, 8.0),
    ("ratio_batch_vs_copy", BATCH, COPY, 0.45),
    ("ratio_page_vs_single", PAGE, SINGLE, 0.9),
    // At most 1.3 times the cost.
    ("ratio_idempotent_vs_single", IDEMPOTENT, SINGLE, 0.77),
    ("ratio_leads_vs_single", LEADS, SINGLE, 0.5),
    ("ratio_purchases_vs_single", PURCHASES, SINGLE, 0.5),
    // What it costs to look for the click of an event that comes without one.
    ("ratio_remembering_vs_with_click", REMEMBERING, WITH_CLICK, 0.8),
    ("ratio_watched_vs_unwatched", WATCHED, UNWATCHED, 0.95),
    ("ratio_through_vs_other_build", THROUGH, THROUGH_OTHER, 0.85),
];

/// A thousand events a minute. Memory in megabytes.
#[derive(Clone, Debug, Serialize)]
pub struct Everyday {
    #[serde(flatten)]
    pub measurement: Measurement,
    /// The bucket of the gateway's own `rastro_ingest_commit_seconds` in which that share of the commits
    /// ends.
    pub commit_p95_at_most_ms: f64,
    pub commit_p99_at_most_ms: f64,
    pub gateway_rss_idle_mb: f64,
    pub gateway_rss_mb: f64,
    pub forwarder_rss_mb: f64,
    pub worker_rss_mb: f64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub quick: bool,
    pub machine: String,
    pub postgres: BTreeMap<String, String>,
    pub thousand_a_minute: Option<Everyday>,
    /// The same of leads captured.
    pub thousand_leads_a_minute: Option<Measurement>,
    pub rounds: Vec<Round>,
    pub script: Option<Script>,
    /// Bytes of disk per accepted event, by build and table.
    pub bytes_per_event: BTreeMap<&'static str, BTreeMap<String, f64>>,
    pub claims: Option<Claims>,
    pub expiry: Option<Expiry>,
    pub gateway_rss_peak_mb: f64,
    pub books: Option<Books>,
    /// Events that the other build accepted, and what Meta has of them.
    pub books_of_other_build: Option<(u64, AtMeta)>,
}

/// Of each round's own two figures: what the machine was doing then, it was doing to both.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ratio {
    median: f64,
    least: f64,
    most: f64,
}

/// One aim and what was found.
#[derive(Serialize)]
struct Target {
    what: &'static str,
    target: String,
    measured: String,
    reached: bool,
}

impl Report {
    /// What makes the run a failure: events lost or doubled, or requests refused.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = match &self.books {
            Some(books) => books.problems(),
            None => vec!["The books were not drawn up.".to_owned()],
        };
        if let Some((accepted, at_meta)) = self.books_of_other_build
            && (accepted != at_meta.unique || at_meta.repeated > 0)
        {
            problems.push(format!(
                "The other build accepted {accepted} events, and Meta has {at_meta:?}."
            ));
        }
        let refused: u64 = self
            .rounds
            .iter()
            .flat_map(Round::values)
            .map(|found| found.refused)
            .sum();
        if refused > 0 {
            problems.push(format!("Requests that were refused: {refused}."));
        }
        problems
    }

    fn median(&self, name: &str, value: impl Fn(&Measurement) -> f64) -> f64 {
        median(self.rounds.iter().filter_map(|round| round.get(name)).map(value))
    }

    fn rate(&self, name: &str) -> f64 {
        self.median(name, |found| found.events_per_second)
    }

    fn ratio(&self, one: &str, other: &str) -> Option<Ratio> {
        let rate = |round: &Round, name| round.get(name).map(|found| found.events_per_second);
        let ratios = self
            .rounds
            .iter()
            .filter_map(|round| Some(rate(round, one)? / rate(round, other)?));
        let ratios: Vec<f64> = ratios.collect();
        (!ratios.is_empty()).then(|| Ratio {
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            most: ratios.iter().copied().fold(0.0, f64::max),
            median: median(ratios),
        })
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut add = |what, target: &str, measured, reached| {
            let target = target.to_owned();
            targets.push(Target {
                what,
                target,
                measured,
                reached,
            });
        };
        for (key, one, other, aim) in RATIOS {
            if let Some(Ratio { median, least, most }) = self.ratio(one, other) {
                let found = format!("{median:.2}x [{least:.2}-{most:.2}]");
                add(key, &format!("at least {aim}x"), found, median >= aim);
            }
        }
        let drain = self.rate(DRAIN);
        let found = format!("{drain:.0} events/s");
        add("drain", "at least 40000 events/s", found, drain >= 40_000.0);
        if let Some(captures) = &self.thousand_leads_a_minute {
            let found = format!("{:.1} ms", captures.p95_ms);
            add(
                "P95 of capture, 1,000 leads a minute",
                "at most 50 ms",
                found,
                captures.p95_ms <= 50.0,
            );
        }
        if let Some(script) = &self.script {
            let found = format!("{} bytes", script.bytes);
            add(
                "sdk.js as it is served",
                "at most 4200 bytes",
                found,
                script.bytes <= 4_200,
            );
            if let Some(median) = script.track_median_ms {
                let found = format!("{median:.1} ms");
                add(
                    "track on a page's main thread, median",
                    "at most 2 ms",
                    found,
                    median <= 2.0,
                );
            }
        }
        if let Some(Claims { ratio, median_ms, .. }) = &self.claims {
            let found = format!("{ratio:.2}x ({:.1} / {:.1} ms)", median_ms.0, median_ms.1);
            add(
                "claim from 5 M against 0.1 M waiting",
                "at most 1.3x",
                found,
                *ratio <= 1.3,
            );
        }
        if let Some(expiry) = &self.expiry {
            let (ratio, nothing) = (expiry.ratio, expiry.nothing_reused_ms);
            let found = format!("{ratio:.2}x; nothing to forget: {nothing:.1} ms");
            let reached = ratio <= 1.5 && nothing <= 10.0;
            add(
                "expiry of keys on reused pages",
                "at most 1.5x; 10 ms",
                found,
                reached,
            );
        }
        if let Some(books) = &self.books {
            let (lost, doubled) = (books.lost(), books.doubled());
            let found = format!("{lost}, {doubled} of {}", books.told.accepted);
            add("events lost, doubled", "0, 0", found, (lost, doubled) == (0, 0));
        }
        targets
    }

    pub fn json(&self) -> Value {
        let mut json = json!(self);
        json["drain_events_per_s"] = json!(self.rate(DRAIN).round());
        json["in_and_out_events_per_s"] = json!(self.rate(THROUGH).round());
        json["ratio_claim_5m_vs_100k"] = json!(self.claims.as_ref().map(|claims| claims.ratio));
        json["lost"] = json!(self.books.as_ref().map(Books::lost));
        json["doubled"] = json!(self.books.as_ref().map(Books::doubled));
        json["problems"] = json!(self.problems());
        json["targets"] = json!(self.targets());
        for (key, one, other, _) in RATIOS {
            if let Some(Ratio { median, least, most }) = self.ratio(one, other) {
                json[key] = json!(median);
                json[format!("{key}_range")] = json!([least, most]);
            }
        }
        json
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to memory cannot fail");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\n{}; PostgreSQL: {}",
            self.machine,
            flat(&json!(self.postgres))
        )?;
        if self.quick {
            writeln!(
                text,
                "QUICK: fewer and shorter rounds; the backlogs' events have an empty payload."
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
        for (build, bytes) in &self.bytes_per_event {
            let (sum, tables) = (bytes.values().sum::<f64>(), flat(&json!(bytes)));
            writeln!(text, "\nDisk per accepted event, {build}: {sum:.0} B ({tables})")?;
        }
        let more = [
            (
                "1,000 a minute, all services at work",
                json!(self.thousand_a_minute),
            ),
            (
                "1,000 leads captured a minute, all services at work",
                json!(self.thousand_leads_a_minute),
            ),
            ("The script for pages", json!(self.script)),
            (
                "Claims of 1,000 events, large and small backlog",
                json!(self.claims),
            ),
            ("Steps that forget 5,000 event keys", json!(self.expiry)),
            ("Gateway memory at its most, MB", json!(self.gateway_rss_peak_mb)),
            ("The sum of all events", json!(self.books)),
        ];
        for (title, found) in more {
            writeln!(text, "\n{title}: {}", flat(&found))?;
        }
        writeln!(text, "\nTargets")?;
        for target in self.targets() {
            let verdict = if target.reached { "ok" } else { "MISSED" };
            let (what, aim, found) = (target.what, target.target, target.measured);
            writeln!(text, "  {verdict:<7} {what:<40} {aim:<26} {found}")?;
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
        let head = "events/s    [least-most] |  p50 ms    p95    p99 |   gw us    pg   fwd  meta  load | WAL B | others";
        writeln!(text, "{:<48} {head}", "")?;
        for (name, what) in CONFIGURATIONS {
            let rates = || {
                self.rounds
                    .iter()
                    .filter_map(|round| Some(round.get(name)?.events_per_second))
            };
            let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
            if most == 0.0 {
                continue;
            }
            let range = format!("[{least:.0}-{most:.0}]");
            write!(text, "{what:<48} {:>8.0} {range:>15} |", self.rate(name))?;
            for quantile in 0..3 {
                let value = |found: &Measurement| [found.p50_ms, found.p95_ms, found.p99_ms][quantile];
                write!(text, " {:>7.1}", self.median(name, value))?;
            }
            write!(text, " |")?;
            for process in ["gateway", "postgres", "forwarder", "meta", "driver"] {
                write!(text, " {:>6.1}", self.median(name, |found| found.cpu_us(process)))?;
            }
            let wal = self.median(name, |found| found.wal_bytes_per_event);
            let others = self.median(name, |found| found.cores["others"]);
            writeln!(text, " | {wal:>5.0} | {others:>6.2}")?;
        }
        writeln!(
            text,
            "us: processor time per event of gateway (or the baseline in its place), PostgreSQL, forwarder,\n\
             the stand-in for Meta, load generator. others: cores that everything else on the machine took;\n\
             more than 0.15 spoils a figure."
        )
    }
}

/// What was found as a line: each name and its value.
fn flat(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Object(fields) => list(
            fields
                .iter()
                .map(|(name, value)| format!("{name} {}", flat(value)))
                .collect(),
        ),
        Value::Array(items) => list(items.iter().map(flat).collect()),
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            let digits = if number.abs() < 1.0 { 4 } else { 1 };
            format!("{number:.digits$}")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
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
        let mut report = Report::default();
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
        let at_meta = (AtMeta::default(), at_meta);
        report.books = Some(Books::between(told, (&NOTHING, &census), at_meta));
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
        broken.books_of_other_build = Some((3, AtMeta::default()));
        assert_eq!(broken.problems().len(), 3);
        broken.books = None;
        assert!(broken.problems()[0].contains("not drawn up"));
    }

    #[test]
    fn a_target_that_was_missed_is_called_so() {
        let mut report = report();
        let missed = |report: &Report| {
            let text = report.text();
            let lines = text.lines().filter(|line| line.contains("ratio_single_vs_naive"));
            lines.map(|line| line.contains("MISSED")).collect::<Vec<_>>()
        };
        assert_eq!(missed(&report), [false, false]);
        for round in &mut report.rounds {
            round.insert(SINGLE, measured(400.0));
        }
        assert_eq!(missed(&report), [false, true]);
        assert_eq!(report.json()["ratio_single_vs_naive"], 4.0);
    }
}
