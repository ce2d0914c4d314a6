//! The worker's configuration: `config.default.toml` is its documentation.

use std::time::Duration;

use anyhow::ensure;
use rastro_boot::{CommonConfig, ServiceConfig};
use serde::Deserialize;

/// Partitions of today and tomorrow are the least that lets everybody sleep; every service makes as many if
/// need be.
const LEAST_DAYS_AHEAD: i32 = 2;

/// A purchase looks for its lead in the last 90 days, and credits go to contacts of as long.
const LEAST_KEEP_PEOPLE_DAYS: i32 = 90;

/// Meta takes events of physical stores for 62 days, so one may wait for that long; and a day that has begun
/// is kept.
const LEAST_KEEP_DAYS: i32 = 63;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub common: CommonConfig,
    pub sweep: SweepConfig,
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
    pub keep_leads_days: i32,
    pub keep_touchpoints_days: i32,
    pub keep_findings_days: i32,
    pub vacuum_every_seconds: u64,
    pub dedup_step: u32,
    pub tidy_every_seconds: u64,
}

impl ServiceConfig for Config {
    const DEFAULTS: &'static str = include_str!("../config.default.toml");

    fn common(&self) -> &CommonConfig {
        &self.common
    }

    fn check(&self) -> anyhow::Result<()> {
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
            maintenance.partition_days_ahead >= LEAST_DAYS_AHEAD,
            "maintenance.partition_days_ahead must be at least {LEAST_DAYS_AHEAD}: any other service makes \
             as many"
        );
        ensure!(
            maintenance.keep_days >= LEAST_KEEP_DAYS,
            "maintenance.keep_days must be at least {LEAST_KEEP_DAYS}: Meta takes some events for 62 days"
        );
        ensure!(
            maintenance.keep_leads_days.min(maintenance.keep_touchpoints_days) >= LEAST_KEEP_PEOPLE_DAYS,
            "maintenance.keep_leads_days and keep_touchpoints_days must be at least {LEAST_KEEP_PEOPLE_DAYS}: \
             purchases look for their lead for so long"
        );
        ensure!(
            maintenance.keep_findings_days > 0,
            "maintenance.keep_findings_days must be at least 1: comparisons are made of their findings"
        );
        Ok(())
    }
}

impl Config {
    /// How far back a breaker looks.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(self.common.breaker.window_ms.unsigned_abs())
    }
}

impl SweepConfig {
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_milliseconds)
    }
}

#[cfg(test)]
mod tests {
    use rastro_boot::testing;

    use super::*;

    fn load(variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        testing::config(variables)
    }

    #[test]
    fn the_documented_defaults_are_a_valid_configuration() {
        assert_eq!(load(&[]).unwrap().maintenance.keep_days, 90);
    }

    #[test]
    fn what_meta_would_still_take_cannot_be_configured_away() {
        assert!(load(&[("RASTRO__MAINTENANCE__KEEP_DAYS", "62")]).is_err());
        assert!(load(&[("RASTRO__MAINTENANCE__KEEP_DAYS", "63")]).is_ok());
    }

    #[test]
    fn leads_and_contacts_are_kept_until_purchases_have_found_them() {
        for name in [
            "RASTRO__MAINTENANCE__KEEP_LEADS_DAYS",
            "RASTRO__MAINTENANCE__KEEP_TOUCHPOINTS_DAYS",
        ] {
            assert!(load(&[(name, "89")]).is_err());
            assert!(load(&[(name, "90")]).is_ok());
        }
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
