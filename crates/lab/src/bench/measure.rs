//! One measurement: how fast, how late, and at what cost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::usage;
use crate::books::Server;
use crate::load::{Client, Load, Outcome};

/// The machine is quiet when others took less than this of its cores for so long.
const QUIET_CORES: f64 = 0.15;
const QUIET_FOR: Duration = Duration::from_millis(300);

/// What one measurement found. Latencies in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measurement {
    pub seconds: f64,
    pub events_per_second: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    /// Processor time per event, by who used it.
    pub cpu_us_per_event: BTreeMap<&'static str, f64>,
    /// Cores that were busy with it, on average; `others` is everything else on the machine, which should be
    /// next to nothing.
    pub cores: BTreeMap<&'static str, f64>,
    pub wal_bytes_per_event: f64,
    /// Requests that were not accepted.
    pub refused: u64,
}

/// Reads what everything has used so far.
pub struct Meter<'a> {
    server: &'a Server,
    processes: Vec<(&'static str, u32)>,
}

/// What was used by a time.
#[derive(Clone, Debug)]
pub struct Reading {
    at: Instant,
    used: BTreeMap<&'static str, Duration>,
    machine: Duration,
    wal: u64,
}

impl<'a> Meter<'a> {
    /// Of PostgreSQL, of this program, and of these processes.
    pub fn new(server: &'a Server, processes: &[(&'static str, u32)]) -> Self {
        Meter {
            server,
            processes: [processes, &[("driver", std::process::id())]].concat(),
        }
    }

    pub async fn read(&self) -> anyhow::Result<Reading> {
        let wal = self.server.wal_bytes().await?;
        let postgres = usage::cpu_with_children(self.server.postmaster)?;
        let mut used = BTreeMap::from([("postgres", postgres)]);
        for (name, pid) in &self.processes {
            *used.entry(name).or_default() += usage::cpu(*pid)?;
        }
        Ok(Reading {
            at: Instant::now(),
            used,
            machine: usage::cpu_of_machine()?,
            wal,
        })
    }

    /// Waits until others leave the machine alone, but no longer than the patience that is left; takes what
    /// that took off it.
    pub async fn await_quiet(&self, patience: &mut Duration) -> anyhow::Result<()> {
        let mut before = self.read().await?;
        loop {
            tokio::time::sleep(QUIET_FOR.min(*patience)).await;
            let after = self.read().await?;
            let others = Measurement::between(&before, &after, 0).cores["others"];
            if others < QUIET_CORES || patience.is_zero() {
                return Ok(());
            }
            *patience = patience.saturating_sub(after.at.duration_since(before.at));
            before = after;
        }
    }

    /// Runs a load and measures what it costs in its window.
    pub async fn measure<C: Client>(&self, load: Load<C>) -> anyhow::Result<(Measurement, Outcome)> {
        let running = load.start().await?;
        tokio::time::sleep_until(running.from.into()).await;
        let before = self.read().await?;
        tokio::time::sleep_until(running.until.into()).await;
        let after = self.read().await?;
        let seconds = running.until.duration_since(running.from).as_secs_f64();
        let mut outcome = running.outcome().await?;
        let measurement = Measurement {
            seconds,
            events_per_second: outcome.accepted_in_time as f64 / seconds,
            p50_ms: outcome.quantile_ms(0.50),
            p95_ms: outcome.quantile_ms(0.95),
            p99_ms: outcome.quantile_ms(0.99),
            refused: outcome.refused(),
            ..Measurement::between(&before, &after, outcome.accepted_in_time)
        };
        Ok((measurement, outcome))
    }
}

impl Measurement {
    /// What so many events cost between two readings.
    pub fn between(before: &Reading, after: &Reading, events: u64) -> Self {
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let used = |(name, then): (&&'static str, &Duration)| {
            let now = after.used.get(name).copied().unwrap_or_default();
            (*name, now.saturating_sub(*then).as_secs_f64())
        };
        let mut used: BTreeMap<_, _> = before.used.iter().map(used).collect();
        let machine = after.machine.saturating_sub(before.machine).as_secs_f64();
        used.insert("others", (machine - used.values().sum::<f64>()).max(0.0));
        let times = |factor: f64| used.iter().map(|(name, used)| (*name, used * factor)).collect();
        // Nothing done costs nothing to speak of, not infinitely much.
        let each = events.max(1) as f64;
        Measurement {
            seconds,
            events_per_second: events as f64 / seconds,
            cores: times(1.0 / seconds),
            cpu_us_per_event: times(1e6 / each),
            wal_bytes_per_event: after.wal.saturating_sub(before.wal) as f64 / each,
            ..Measurement::default()
        }
    }

    pub fn cpu_us(&self, name: &str) -> f64 {
        self.cpu_us_per_event.get(name).copied().unwrap_or_default()
    }
}

/// The middle one; of an even number the mean of the two in the middle. 0 of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        assert_eq!(median([]), 0.0);
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    #[test]
    fn costs_are_the_differences_of_two_readings_shared_among_the_events() {
        let at = Instant::now();
        let reading = |seconds: u64, gateway, postgres, wal| Reading {
            at: at + Duration::from_secs(seconds),
            used: BTreeMap::from([
                ("gateway", Duration::from_millis(gateway)),
                ("postgres", Duration::from_millis(postgres)),
            ]),
            machine: Duration::from_millis(gateway + postgres + 1_000 * seconds),
            wal,
        };
        let (before, after) = (reading(0, 100, 1_000, 5_000), reading(2, 1_100, 4_000, 1_005_000));
        let measurement = Measurement::between(&before, &after, 1_000);
        assert_eq!(measurement.events_per_second, 500.0);
        assert_eq!(measurement.wal_bytes_per_event, 1_000.0);
        assert!((measurement.cores["gateway"] - 0.5).abs() < 1e-9);
        assert!((measurement.cpu_us("postgres") - 3_000.0).abs() < 1e-6);
        assert!((measurement.cores["others"] - 1.0).abs() < 1e-9);
    }
}
