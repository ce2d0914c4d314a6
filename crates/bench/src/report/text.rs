//! The report as it is printed.

use std::fmt::Write as _;

use super::{RATIOS, Report, targets};
use crate::measure::Measurement;
use crate::rounds::{self, CONFIGURATIONS};
use crate::steady::MILLION_A_MINUTE;

/// Cores that others may take before figures mean little.
const NOT_QUIET: f64 = 0.15;

impl Report {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text).expect("writing to memory cannot fail");
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        self.write_conditions(text)?;
        self.write_figures(text)?;
        self.write_ratios(text)?;
        self.write_steady(text)?;
        self.write_targets(text)?;
        self.write_books(text)
    }

    fn write_conditions(&self, text: &mut String) -> std::fmt::Result {
        let (cores, memory, processor) = &self.machine;
        writeln!(
            text,
            "\n{cores} cores ({processor}), {:.0} GB",
            *memory as f64 / 1e9
        )?;
        let settings: Vec<String> = self
            .settings
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        writeln!(text, "PostgreSQL: {}", settings.join(", "))?;
        writeln!(
            text,
            "An event: {} bytes as sent, {} as stored. The driver runs on the same cores.",
            self.event_bytes, self.stored_bytes
        )?;
        if self.plan.quick {
            writeln!(
                text,
                "QUICK: {} rounds of {:?} instead of 5 of 4s; 1,000 and 1,000,000 a minute for {:?} and {:?} instead of 60s;\n\
                 events that wait in the 5 M backlog have an empty payload.",
                self.plan.rounds, self.plan.measured, self.plan.everyday, self.plan.million
            )?;
        }
        Ok(())
    }

    fn write_figures(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\nFigures: medians of {} interleaved rounds",
            self.rounds.len()
        )?;
        writeln!(
            text,
            "{:<47} {:>8} {:>15} | {:>6} {:>6} {:>6} | {:>5} {:>5} {:>4} {:>4} {:>4} | {:>5} | {:>6}",
            "",
            "events/s",
            "[least-most]",
            "p50 ms",
            "p95",
            "p99",
            "gw us",
            "pg",
            "fwd",
            "meta",
            "load",
            "WAL B",
            "others"
        )?;
        for (name, what) in CONFIGURATIONS {
            let rates = self.values(name, |found| found.events_per_second);
            let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rates.iter().copied().fold(0.0, f64::max);
            let of = |value: fn(&Measurement) -> f64| self.median(name, value);
            writeln!(
                text,
                "{what:<47} {:>8.0} {:>15} | {:>6.1} {:>6.1} {:>6.1} | {:>5.1} {:>5.1} {:>4.1} {:>4.1} {:>4.1} | {:>5.0} | {:>6.2}",
                of(|found| found.events_per_second),
                format!("[{least:.0}-{most:.0}]"),
                of(|found| found.p50_ms),
                of(|found| found.p95_ms),
                of(|found| found.p99_ms),
                of(|found| found.cpu_us_per_event.gateway),
                of(|found| found.cpu_us_per_event.postgres),
                of(|found| found.cpu_us_per_event.forwarder),
                of(|found| found.cpu_us_per_event.sandbox),
                of(|found| found.cpu_us_per_event.driver),
                of(|found| found.wal_bytes_per_event),
                of(|found| found.cores.others),
            )?;
        }
        writeln!(
            text,
            "us: processor time per event of gateway (or the baseline in its place), PostgreSQL, forwarder, the stand-in for\n\
             Meta, load driver. others: cores that everything else on the machine took meanwhile; more than 0.15 spoils a figure."
        )
    }

    fn write_ratios(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\nRatios of events/s: medians of each round's own, [least-most]"
        )?;
        for (key, one, other) in RATIOS {
            let ratio = self.ratio(one, other);
            writeln!(
                text,
                "  {key:<34} {:>7.2} [{:.2}-{:.2}]",
                ratio.median, ratio.least, ratio.most
            )?;
        }
        Ok(())
    }

    fn write_steady(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\nWith the forwarder at work")?;
        if let Some(everyday) = &self.everyday {
            let found = &everyday.measurement;
            writeln!(
                text,
                "  1,000 a minute for {:.0} s: p50 {:.2} / p95 {:.2} / p99 {:.2} ms; accept statements: 99 % of {} within {} ms;\n    \
                 cores: gateway {:.4}, PostgreSQL {:.4}, forwarder {:.4}",
                found.seconds,
                found.p50_ms,
                found.p95_ms,
                found.p99_ms,
                everyday.commits,
                everyday.commit_p99_at_most_ms,
                found.cores.gateway,
                found.cores.postgres,
                found.cores.forwarder
            )?;
        }
        if let Some(million) = &self.million {
            let found = &million.measurement;
            writeln!(
                text,
                "  1,000,000 a minute for {:.0} s, Meta answering after 50 ms: offered {}, accepted {}, delivered {};\n    \
                 p50 {:.1} / p95 {:.1} / p99 {:.1} ms; backlog at the end {}, at most {}, empty {:.1} s later;\n    \
                 cores: gateway {:.2}, PostgreSQL {:.2}, forwarder {:.2}, driver {:.2}; WAL {:.0} bytes/event; gateway {:.1} MB",
                million.seconds,
                million.offered,
                million.accepted,
                million.delivered,
                million.p50_ms,
                million.p95_ms,
                million.p99_ms,
                million.backlog_end,
                million.backlog_most,
                million.seconds_to_empty,
                found.cores.gateway,
                found.cores.postgres,
                found.cores.forwarder,
                found.cores.driver,
                found.wal_bytes_per_event,
                million.gateway_rss_mb
            )?;
        }
        let ingest = self.median(rounds::MILLION, |found| found.serving_cores_at(MILLION_A_MINUTE));
        writeln!(
            text,
            "  1,000,000 a minute, ingest only: gateway + PostgreSQL {ingest:.2} cores"
        )?;
        if let Some(fairness) = &self.fairness {
            writeln!(
                text,
                "  a small dataset's events, from accepted to delivered (50 ms of it Meta's): median {:.0}, longest {:.0} ms while\n    \
                 a busy one has {} events waiting ({} at the end); median {:.0}, longest {:.0} ms while nothing waits",
                fairness.busy.median_ms,
                fairness.busy.longest_ms,
                fairness.backlog_start,
                fairness.backlog_end,
                fairness.idle.median_ms,
                fairness.idle.longest_ms
            )?;
        }
        if let Some(claims) = &self.claims {
            writeln!(
                text,
                "  claim of 1,000 events, median / p95 of {}: {:.1} / {:.1} ms from {} waiting, {:.1} / {:.1} ms from {};\n    \
                 look at the whole queue {:.2} / {:.2} ms",
                claims.claims,
                claims.large.median_ms,
                claims.large.p95_ms,
                claims.large.events,
                claims.small.median_ms,
                claims.small.p95_ms,
                claims.small.events,
                claims.large.look_ms,
                claims.small.look_ms
            )?;
        }
        if let Some(churn) = &self.churn {
            writeln!(
                text,
                "  {} events had passed through the tables, {} waiting in {} rows ({:.1} MB): queue files {:.1} MB, {:.1} MB\n    \
                 after a transaction was left open for {:.0} s; of {} expired keys and an old day's partitions {} and {} left; forwarder\n    \
                 {:.1} MB at its most",
                churn.events,
                churn.backlog,
                churn.queue_rows,
                churn.queue_fresh_bytes as f64 / 1e6,
                churn.queue_bytes as f64 / 1e6,
                churn.queue_bytes_open_transaction as f64 / 1e6,
                churn.open_transaction_seconds,
                churn.keys_to_expire,
                churn.keys_left,
                churn.partitions_left,
                churn.forwarder_rss_mb
            )?;
            for (when, claims) in [
                ("before all that", &churn.claims_before),
                ("while that transaction was open", &churn.claims_open_transaction),
                ("after it", &churn.claims_after),
            ] {
                writeln!(
                    text,
                    "    {when}: claim {:.1} ms, in turn with {:.1} ms from new tables; look at the whole queue {:.2} ms",
                    claims.product.median_ms, claims.fresh.median_ms, claims.product.look_ms
                )?;
            }
        }
        writeln!(
            text,
            "  gateway memory: {:.1} MB just started, {:.1} MB at its most in this run",
            self.gateway_rss_idle as f64 / 1e6,
            self.gateway_rss_peak as f64 / 1e6
        )
    }

    fn write_targets(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\nTargets")?;
        let (median, most) = self.others();
        if median > NOT_QUIET {
            writeln!(
                text,
                "  The machine was not quiet: other processes took {median:.2} of its cores (at most {most:.2}). Absolute figures,\n  \
                 latencies and, less so, ratios say little; run it again on an idle machine."
            )?;
        }
        for target in targets::targets(self) {
            let verdict = if target.reached { "ok" } else { "MISSED" };
            writeln!(
                text,
                "  {verdict:<7} {:<48} {:<30} {}",
                target.what, target.aim, target.found
            )?;
        }
        Ok(())
    }

    fn write_books(&self, text: &mut String) -> std::fmt::Result {
        if let Some(books) = &self.books {
            writeln!(
                text,
                "\nThe sum: accepted {} = stored {} = delivered {} = arrived at the stand-in for Meta {}; repeated there {}, lost {}, doubled {}",
                books.accepted,
                books.stored,
                books.delivered,
                books.arrived,
                books.repeated,
                books.lost(),
                books.doubled()
            )?;
        }
        let problems = self.problems();
        if problems.is_empty() {
            return writeln!(text, "Every accepted event was delivered, each of them once.");
        }
        writeln!(text, "This is not as it has to be:")?;
        for problem in problems {
            writeln!(text, "  - {problem}")?;
        }
        Ok(())
    }
}
