//! The worker's configuration: `config.default.toml` is its documentation.

use std::time::Duration;

use anyhow::ensure;
use rastro_core::circuit_breaker::BreakerSettings;
use rastro_service::health::HealthConfig;
use rastro_service::telemetry::TelemetryConfig;
use rastro_store::DatabaseConfig;
use serde::Deserialize;

/// The defaults, with a comment for every key.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// Meta takes events of physical stores for 62 days, so one may wait for that long; and a day that has begun is kept.
const LEAST_KEEP_DAYS: i32 = 63;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub database: DatabaseConfig,
    pub telemetry: TelemetryConfig,
    pub health: HealthConfig,
    pub sweep: SweepConfig,
    pub breaker: BreakerSettings,
    pub maintenance: MaintenanceConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepConfig {
    pub interval_milliseconds: u64,
    pub step_events: u32,
    pub spread_after_outage_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceConfig {
    pub interval_milliseconds: u64,
    pub partition_days_ahead: i32,
    pub partitions_every_seconds: u64,
    pub keep_days: i32,
    pub vacuum_every_seconds: u64,
    pub dedup_step: u32,
    pub tidy_every_seconds: u64,
}

impl Config {
    /// Reads and checks the configuration.
    pub fn load() -> anyhow::Result<Self> {
        let config: Config = rastro_service::config::load(DEFAULTS)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        self.database.check()?;
        let (sweep, maintenance) = (&self.sweep, &self.maintenance);
        ensure!(
            (1..=10_000).contains(&sweep.interval_milliseconds),
            "sweep.interval_milliseconds must be 1 to 10000: waiting events are promised to be looked at every 10 seconds"
        );
        ensure!(
            (1..=50_000).contains(&sweep.step_events),
            "sweep.step_events must be 1 to 50000: a step is one statement"
        );
        ensure!(
            maintenance.interval_milliseconds > 0 && (1..=50_000).contains(&maintenance.dedup_step),
            "maintenance.interval_milliseconds must be at least 1, and maintenance.dedup_step 1 to 50000"
        );
        ensure!(
            i64::from(maintenance.partition_days_ahead) >= crate::LEAST_DAYS_AHEAD,
            "maintenance.partition_days_ahead must be at least {}, or the worker is never ready",
            crate::LEAST_DAYS_AHEAD
        );
        ensure!(
            maintenance.keep_days >= LEAST_KEEP_DAYS,
            "maintenance.keep_days must be at least {LEAST_KEEP_DAYS}: Meta takes some events for 62 days"
        );
        self.breaker.validate()?;
        Ok(())
    }

    /// How far back a breaker looks.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(self.breaker.window_ms.unsigned_abs())
    }
}

impl SweepConfig {
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        let required = [
            ("RASTRO__DATABASE__URL", "postgres://localhost/x"),
            ("RASTRO__DATABASE__SEALING_KEY", "secret"),
        ];
        let variables = required.iter().chain(variables).copied();
        let config: Config = rastro_service::config::load_from(DEFAULTS, variables)?;
        config.check()?;
        Ok(config)
    }

    #[test]
    fn the_documented_defaults_are_a_valid_configuration() {
        let config = load(&[]).unwrap();
        // The roadmap's numbers are written once more in `rastro-core`, for those who configure nothing.
        assert_eq!(config.breaker, BreakerSettings::default());
        assert_eq!(config.maintenance.keep_days, 90);
    }

    #[test]
    fn what_meta_would_still_take_cannot_be_configured_away() {
        assert!(load(&[("RASTRO__MAINTENANCE__KEEP_DAYS", "62")]).is_err());
        assert!(load(&[("RASTRO__MAINTENANCE__KEEP_DAYS", "63")]).is_ok());
    }

    #[test]
    fn waiting_events_are_looked_at_every_10_seconds_at_least() {
        assert!(load(&[("RASTRO__SWEEP__INTERVAL_MILLISECONDS", "10001")]).is_err());
        assert!(load(&[("RASTRO__SWEEP__INTERVAL_MILLISECONDS", "0")]).is_err());
        assert!(load(&[("RASTRO__SWEEP__INTERVAL_MILLISECONDS", "10000")]).is_ok());
    }

    #[test]
    fn fewer_partitions_than_readiness_asks_for_are_refused() {
        assert!(load(&[("RASTRO__MAINTENANCE__PARTITION_DAYS_AHEAD", "1")]).is_err());
        assert!(load(&[("RASTRO__MAINTENANCE__PARTITION_DAYS_AHEAD", "2")]).is_ok());
    }
}
