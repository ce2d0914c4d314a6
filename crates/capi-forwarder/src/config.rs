//! The forwarder's configuration: `config.default.toml` is its documentation.

use std::time::Duration;

use anyhow::ensure;
use rastro_boot::{CommonConfig, ServiceConfig};
use rastro_core::retry::RetrySchedule;
use rastro_graph_api::GraphApiConfig;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub common: CommonConfig,
    pub graph_api: GraphApiConfig,
    pub forwarder: ForwarderConfig,
    pub retry: RetrySchedule,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwarderConfig {
    pub batch_size: u16,
    pub max_in_flight: usize,
    pub max_in_flight_per_dataset: usize,
    pub refusals_in_a_row: u32,
    pub lease_seconds: u64,
    pub idle_poll_milliseconds: u64,
    pub gather_milliseconds: u64,
    pub shutdown_timeout_seconds: u64,
}

impl ServiceConfig for Config {
    const DEFAULTS: &'static str = include_str!("../config.default.toml");

    fn common(&self) -> &CommonConfig {
        &self.common
    }

    fn check(&self) -> anyhow::Result<()> {
        let forwarder = &self.forwarder;
        ensure!(
            (1..=1_000).contains(&forwarder.batch_size),
            "forwarder.batch_size must be 1 to 1000"
        );
        ensure!(
            forwarder.max_in_flight > 0 && forwarder.max_in_flight_per_dataset > 0,
            "forwarder.max_in_flight and forwarder.max_in_flight_per_dataset must be at least 1"
        );
        ensure!(
            forwarder.idle_poll_milliseconds > 0 && forwarder.gather_milliseconds > 0,
            "forwarder.idle_poll_milliseconds and forwarder.gather_milliseconds must be at least 1, or it never rests"
        );
        ensure!(
            forwarder.refusals_in_a_row > 0,
            "forwarder.refusals_in_a_row must be at least 1"
        );
        // Or a second forwarder would send what the first is still sending. Waiting for a connection and
        // making one each take the connect timeout.
        let database = &self.common.database;
        let database = 2 * database.connect_timeout_seconds + database.statement_timeout_seconds;
        let busy = database + self.graph_api.request_timeout_seconds + database;
        ensure!(
            forwarder.lease_seconds > busy,
            "forwarder.lease_seconds must be more than {busy}: the request to Meta and a statement before and after it"
        );
        let request_ms = i64::try_from(self.graph_api.request_timeout_seconds * 1_000).unwrap_or(i64::MAX);
        ensure!(
            self.common.breaker.probe_lease_ms > request_ms,
            "breaker.probe_lease_ms must be more than {request_ms}, or a probe counts as lost while Meta \
             still answers"
        );
        Ok(())
    }
}

impl ForwarderConfig {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
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
        let config = load(&[]).unwrap();
        assert_eq!(config.forwarder.batch_size, 1_000);
        // The numbers of the roadmap are written once more in `rastro-core`, for those who configure nothing.
        assert_eq!(config.retry, RetrySchedule::default());
    }

    #[test]
    fn a_lease_that_ends_before_the_request_may_is_refused() {
        assert!(load(&[("RASTRO__FORWARDER__LEASE_SECONDS", "70")]).is_err());
        assert!(load(&[("RASTRO__FORWARDER__LEASE_SECONDS", "71")]).is_ok());
    }

    #[test]
    fn what_would_spin_or_probe_twice_is_refused() {
        for (variable, value) in [
            ("RASTRO__FORWARDER__GATHER_MILLISECONDS", "0"),
            ("RASTRO__FORWARDER__IDLE_POLL_MILLISECONDS", "0"),
            ("RASTRO__FORWARDER__REFUSALS_IN_A_ROW", "0"),
            ("RASTRO__BREAKER__PROBE_LEASE_MS", "30000"),
        ] {
            assert!(load(&[(variable, value)]).is_err(), "{variable}");
        }
    }
}
