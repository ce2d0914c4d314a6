//! One measurement: how fast, how late, and at what cost.

use std::time::{Duration, Instant};

use rastro_bench::database::Server;
use rastro_bench::latency::Latencies;
use rastro_bench::load::{Answers, Load, Pace};
use rastro_bench::process::Service;
use rastro_bench::usage;
use serde::Serialize;

/// The machine is quiet when others took less than this of its cores for so long.
const QUIET_CORES: f64 = 0.15;
const QUIET_FOR: Duration = Duration::from_millis(300);

/// What one measurement found. Latencies in milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Measurement {
    pub(crate) seconds: f64,
    pub(crate) offered_per_second: Option<f64>,
    pub(crate) events_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    /// Cores that were busy with it, on average.
    pub(crate) cores: Processors,
    pub(crate) cpu_us_per_event: Processors,
    pub(crate) wal_bytes_per_event: f64,
    /// Requests that were not accepted.
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
}

/// Processor time by who used it. The driver is the benchmark itself.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Processors {
    pub(crate) gateway: f64,
    pub(crate) postgres: f64,
    pub(crate) forwarder: f64,
    pub(crate) sandbox: f64,
    pub(crate) driver: f64,
    /// Everything else on the machine, which should be next to nothing.
    pub(crate) others: f64,
}

/// Reads what everything has used so far.
pub(crate) struct Meter<'a> {
    pub(crate) server: &'a Server,
    pub(crate) sandbox: &'a Service,
    /// The gateway, or the baseline in its place.
    pub(crate) gateway: Option<u32>,
    pub(crate) forwarder: Option<&'a Service>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    at: Instant,
    gateway: Duration,
    postgres: Duration,
    forwarder: Duration,
    sandbox: Duration,
    driver: Duration,
    machine: Duration,
    wal: u64,
}

impl Meter<'_> {
    pub(crate) async fn read(&self) -> anyhow::Result<Reading> {
        let wal = self.server.wal_bytes().await?;
        Ok(Reading {
            at: Instant::now(),
            gateway: self.gateway.map(usage::cpu).transpose()?.unwrap_or_default(),
            postgres: usage::cpu_with_children(self.server.postmaster)?,
            forwarder: self
                .forwarder
                .map(|forwarder| usage::cpu(forwarder.pid()))
                .transpose()?
                .unwrap_or_default(),
            sandbox: usage::cpu(self.sandbox.pid())?,
            driver: usage::cpu(std::process::id())?,
            machine: usage::cpu_of_machine()?,
            wal,
        })
    }

    /// Waits until others leave the machine alone, but no longer than the patience that is left; takes what that took
    /// off it.
    pub(crate) async fn await_quiet(&self, patience: &mut Duration) -> anyhow::Result<()> {
        let mut before = self.read().await?;
        loop {
            tokio::time::sleep(QUIET_FOR.min(*patience)).await;
            let after = self.read().await?;
            let others = Measurement::of(&before, &after, 0).cores.others;
            if others < QUIET_CORES || patience.is_zero() {
                return Ok(());
            }
            *patience = patience.saturating_sub(after.at.duration_since(before.at));
            before = after;
        }
    }

    /// Runs a load and measures what it costs in its measured time.
    pub(crate) async fn measure(&self, load: Load) -> anyhow::Result<(Measurement, Answers)> {
        let pace = load.pace;
        let running = load.start().await?;
        tokio::time::sleep_until(running.from.into()).await;
        let before = self.read().await?;
        tokio::time::sleep_until(running.until.into()).await;
        let after = self.read().await?;
        let seconds = running.until.duration_since(running.from).as_secs_f64();
        let answers = running.answers().await?;
        let mut measurement = Measurement::of(&before, &after, answers.accepted_in_time);
        measurement.seconds = seconds;
        measurement.events_per_second = answers.accepted_in_time as f64 / seconds;
        measurement.offered_per_second = match pace {
            Pace::Closed => None,
            Pace::PerSecond(rate) => Some(rate),
        };
        measurement.take_latencies(&answers.latencies);
        measurement.refused = answers
            .statuses
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
            .map(|(_, count)| count)
            .sum();
        measurement.unanswered = answers.unanswered;
        Ok((measurement, answers))
    }
}

impl Measurement {
    /// What so many events cost between two readings.
    pub(crate) fn of(before: &Reading, after: &Reading, events: u64) -> Self {
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let between = |of: fn(&Reading) -> Duration| of(after).saturating_sub(of(before)).as_secs_f64();
        let mut used = Processors {
            gateway: between(|reading| reading.gateway),
            postgres: between(|reading| reading.postgres),
            forwarder: between(|reading| reading.forwarder),
            sandbox: between(|reading| reading.sandbox),
            driver: between(|reading| reading.driver),
            others: 0.0,
        };
        let ours = used.gateway + used.postgres + used.forwarder + used.sandbox + used.driver;
        used.others = (between(|reading| reading.machine) - ours).max(0.0);
        // Nothing done costs nothing to speak of, not infinitely much.
        let each = events.max(1) as f64;
        Measurement {
            seconds,
            events_per_second: events as f64 / seconds,
            cores: used.times(1.0 / seconds),
            cpu_us_per_event: used.times(1e6 / each),
            wal_bytes_per_event: after.wal.saturating_sub(before.wal) as f64 / each,
            ..Measurement::default()
        }
    }

    fn take_latencies(&mut self, latencies: &Latencies) {
        self.p50_ms = latencies.quantile_ms(0.50);
        self.p95_ms = latencies.quantile_ms(0.95);
        self.p99_ms = latencies.quantile_ms(0.99);
    }
}

impl Processors {
    fn times(self, factor: f64) -> Self {
        Processors {
            gateway: self.gateway * factor,
            postgres: self.postgres * factor,
            forwarder: self.forwarder * factor,
            sandbox: self.sandbox * factor,
            driver: self.driver * factor,
            others: self.others * factor,
        }
    }
}

/// The middle one; of an even number the mean of the two in the middle. `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn costs_are_the_differences_of_two_readings_shared_among_the_events() {
        let at = Instant::now();
        let reading = |seconds: u64, gateway, postgres, wal| Reading {
            at: at + Duration::from_secs(seconds),
            gateway: Duration::from_millis(gateway),
            postgres: Duration::from_millis(postgres),
            forwarder: Duration::ZERO,
            sandbox: Duration::ZERO,
            driver: Duration::ZERO,
            machine: Duration::from_millis(gateway + postgres + 1_000 * seconds),
            wal,
        };
        let measurement = Measurement::of(
            &reading(0, 100, 1_000, 5_000),
            &reading(2, 1_100, 4_000, 1_005_000),
            1_000,
        );
        assert_eq!(measurement.events_per_second, 500.0);
        assert_eq!(measurement.wal_bytes_per_event, 1_000.0);
        assert!((measurement.cores.gateway - 0.5).abs() < 1e-9);
        assert!((measurement.cpu_us_per_event.postgres - 3_000.0).abs() < 1e-6);
        assert!((measurement.cores.others - 1.0).abs() < 1e-9);
    }
}
