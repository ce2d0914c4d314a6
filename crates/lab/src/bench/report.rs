//! Everything that was found: as tables for people, as JSON with stable keys for programs.

mod targets;
mod text;

use std::fs;
use std::path::Path;

use anyhow::Context;
use rastro_bench::usage;
use serde_json::{Map, Value, json};

use crate::arena::Arena;
use crate::books::Books;
use crate::churn::Churn;
use crate::claims::Claims;
use crate::fairness::Fairness;
use crate::measure::{Measurement, Processors, median};
use crate::options::Plan;
use crate::rounds::{self, Round};
use crate::steady::{Everyday, Million};

#[expect(clippy::print_stdout, reason = "the report is this program's output")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}

pub(crate) struct Report {
    plan: Plan,
    /// Cores, bytes of memory, processor.
    machine: (usize, u64, String),
    settings: Vec<(String, String)>,
    event_bytes: usize,
    stored_bytes: usize,
    gateway_rss_idle: u64,
    pub(crate) gateway_rss_peak: u64,
    pub(crate) everyday: Option<Everyday>,
    pub(crate) rounds: Vec<Round>,
    pub(crate) million: Option<Million>,
    pub(crate) fairness: Option<Fairness>,
    pub(crate) claims: Option<Claims>,
    pub(crate) churn: Option<Churn>,
    pub(crate) books: Option<Books>,
}

/// A ratio of two configurations, taken in each round.
struct Ratio {
    median: f64,
    least: f64,
    most: f64,
}

/// The ratios of events per second that are reported, by key: this configuration against that one.
const RATIOS: [(&str, &str, &str); 8] = [
    ("ratio_single_vs_naive", rounds::SINGLE, rounds::NAIVE),
    ("ratio_single_vs_statement", rounds::SINGLE, rounds::STATEMENT),
    ("ratio_single_vs_no_database", rounds::SINGLE, rounds::NO_DATABASE),
    ("ratio_batch_vs_naive", rounds::BATCH, rounds::NAIVE),
    ("ratio_batch_vs_copy", rounds::BATCH, rounds::COPY),
    ("ratio_batch_vs_copy_rows", rounds::BATCH, rounds::COPY_ROWS),
    ("ratio_statement_vs_naive", rounds::STATEMENT, rounds::NAIVE),
    ("ratio_drain_vs_single", rounds::DRAIN, rounds::SINGLE),
];

impl Report {
    pub(crate) async fn new(arena: &Arena, plan: &Plan) -> anyhow::Result<Self> {
        Ok(Report {
            plan: *plan,
            machine: usage::machine()?,
            settings: arena.server.describe().await?,
            event_bytes: arena.event_bytes,
            stored_bytes: arena.stored.iter().map(String::len).sum::<usize>() / arena.stored.len(),
            gateway_rss_idle: arena.gateway_rss_idle,
            gateway_rss_peak: 0,
            everyday: None,
            rounds: Vec::new(),
            million: None,
            fairness: None,
            claims: None,
            churn: None,
            books: None,
        })
    }

    /// What makes the run a failure: events lost or doubled, or answers of which nobody knows.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match &self.books {
            None => problems.push("the books were not drawn up".to_owned()),
            Some(books) => {
                for (count, what) in [
                    (books.lost(), "events were lost"),
                    (books.doubled(), "events were doubled"),
                    (books.pending, "events are still to be sent"),
                ] {
                    if count != 0 {
                        problems.push(format!("{count} {what}"));
                    }
                }
            }
        }
        if let Some(refused) = self
            .churn
            .as_ref()
            .map(|churn| churn.refused)
            .filter(|refused| *refused > 0)
        {
            problems.push(format!(
                "{refused} requests of a hundred events were refused or got no answer"
            ));
        }
        let single = self.rounds.iter().flat_map(Round::values);
        let steady = self.everyday.iter().map(|everyday| &everyday.measurement);
        let million = self.million.iter().map(|million| &million.measurement);
        for (name, count) in [
            (
                "got no answer",
                single
                    .clone()
                    .chain(steady.clone())
                    .chain(million.clone())
                    .map(|m| m.unanswered)
                    .sum::<u64>(),
            ),
            (
                "were refused",
                single
                    .chain(steady)
                    .chain(million)
                    .map(|m| m.refused)
                    .sum::<u64>(),
            ),
        ] {
            if count > 0 {
                problems.push(format!("{count} requests {name}"));
            }
        }
        problems
    }

    fn values(&self, name: &str, value: impl Fn(&Measurement) -> f64) -> Vec<f64> {
        let found = self.rounds.iter().filter_map(|round| round.get(name));
        found.map(value).collect()
    }

    fn median(&self, name: &str, value: impl Fn(&Measurement) -> f64) -> f64 {
        median(self.values(name, value)).unwrap_or_default()
    }

    /// Of each round's own two figures: what the machine was doing then, it was doing to both.
    fn ratio(&self, one: &str, other: &str) -> Ratio {
        let rate = |round: &Round, name| round.get(name).map(|found| found.events_per_second);
        let ratios: Vec<f64> = self
            .rounds
            .iter()
            .filter_map(|round| Some(rate(round, one)? / rate(round, other)?))
            .collect();
        Ratio {
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            most: ratios.iter().copied().fold(0.0, f64::max),
            median: median(ratios).unwrap_or_default(),
        }
    }

    /// Cores that other processes took during the rounds: the median of all measurements, and the most.
    fn others(&self) -> (f64, f64) {
        let found = self.rounds.iter().flat_map(Round::values);
        let others: Vec<f64> = found.map(|found| found.cores.others).collect();
        let most = others.iter().copied().fold(0.0, f64::max);
        (median(others).unwrap_or_default(), most)
    }

    fn ratio_of(&self, key: &str) -> Ratio {
        let (_, one, other) = RATIOS
            .into_iter()
            .find(|(known, _, _)| *known == key)
            .expect("the keys used are those of the table above");
        self.ratio(one, other)
    }

    /// Writes `report.json` into a folder.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join("report.json");
        let text = serde_json::to_string_pretty(&self.json()?).context("the report cannot be written")?;
        fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    fn json(&self) -> anyhow::Result<Value> {
        let mut json = Map::new();
        let mut put = |key: &str, value: Value| json.insert(key.to_owned(), value);
        for (key, one, other) in RATIOS {
            let ratio = self.ratio(one, other);
            put(key, json!(rounded(ratio.median)));
            put(
                &format!("{key}_range"),
                json!([rounded(ratio.least), rounded(ratio.most)]),
            );
        }
        let drain = self.median(rounds::DRAIN, |found| found.events_per_second);
        put("drain_events_per_s", json!(drain.round()));
        if let Some(claims) = &self.claims {
            put("ratio_claim_5m_vs_100k", json!(rounded(claims.ratio())));
            put("claims", json!(claims));
        }
        if let Some(churn) = &self.churn {
            for (key, claims) in [
                ("ratio_claim_before_churn", churn.claims_before),
                ("ratio_claim_open_transaction", churn.claims_open_transaction),
                ("ratio_claim_after_churn", churn.claims_after),
            ] {
                put(key, json!(rounded(claims.ratio)));
            }
            put("ratio_queue_files_vs_fresh", json!(rounded(churn.queue_ratio())));
            put("churn", json!(churn));
        }
        if let Some(million) = &self.million {
            put("million_a_minute", json!(million));
            put("gateway_rss_mb", json!(rounded(million.gateway_rss_mb)));
        }
        put(
            "gateway_rss_idle_mb",
            json!(rounded(self.gateway_rss_idle as f64 / 1e6)),
        );
        put(
            "gateway_rss_peak_mb",
            json!(rounded(self.gateway_rss_peak as f64 / 1e6)),
        );
        if let Some(books) = &self.books {
            put("lost", json!(books.lost()));
            put("doubled", json!(books.doubled()));
            put("books", json!(books));
        }
        put("thousand_a_minute", json!(self.everyday));
        put("fairness", json!(self.fairness));
        put("problems", json!(self.problems()));
        let (median, most) = self.others();
        put(
            "others_cores",
            json!({ "median": rounded(median), "most": rounded(most) }),
        );
        put("quick", json!(self.plan.quick));
        put("event_bytes", json!(self.event_bytes));
        put("stored_bytes", json!(self.stored_bytes));
        let (cores, memory, processor) = &self.machine;
        put(
            "machine",
            json!({ "cores": cores, "memory_bytes": memory, "processor": processor }),
        );
        let settings: Map<String, Value> = self
            .settings
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        put("postgres", json!(settings));
        put("rounds", json!(self.rounds));
        let targets = targets::targets(self).into_iter().map(|target| target.to_json());
        put("targets", targets.collect());
        Ok(Value::Object(json))
    }
}

impl Measurement {
    /// Cores that gateway and PostgreSQL together need for so many events in a second. Reckoned from what an event
    /// costs: a server that does not keep up uses less.
    fn serving_cores_at(&self, events_per_second: f64) -> f64 {
        let Processors {
            gateway, postgres, ..
        } = self.cpu_us_per_event;
        (gateway + postgres) * events_per_second / 1e6
    }
}

/// Three digits behind the point: more would be noise.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests;
