//! The sections that every service's configuration has. `common.default.toml` is their documentation.

use std::ffi::OsString;

use rastro_core::circuit_breaker::BreakerSettings;
use rastro_service::config::Embedded;
use rastro_service::health::HealthConfig;
use rastro_service::telemetry::TelemetryConfig;
use rastro_store::DatabaseConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;

const DEFAULTS: &str = include_str!("../common.default.toml");
const SECTIONS: [&str; 4] = ["database", "telemetry", "health", "breaker"];

/// A service's configuration has this as its field `common`; operators write its sections without that word.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommonConfig {
    pub database: DatabaseConfig,
    pub telemetry: TelemetryConfig,
    pub health: HealthConfig,
    pub breaker: BreakerSettings,
}

impl CommonConfig {
    fn check(&self) -> anyhow::Result<()> {
        self.database.check()?;
        self.breaker.validate()?;
        Ok(())
    }
}

/// The whole configuration of one service: its own sections, and `common`.
pub trait ServiceConfig: DeserializeOwned {
    /// The defaults of its own sections, with a comment for every key. What it sets in a common section
    /// counts for it.
    const DEFAULTS: &'static str;

    fn common(&self) -> &CommonConfig;

    /// Whether its own settings make sense, each and together.
    fn check(&self) -> anyhow::Result<()>;
}

/// Reads and checks the configuration of this process.
///
/// # Errors
/// When it cannot be read, or makes no sense.
pub fn load<C: ServiceConfig>() -> anyhow::Result<C> {
    checked(load_unchecked()?)
}

/// Reads the configuration of this process for a command that needs less of it than the service.
///
/// # Errors
/// When it cannot be read.
pub fn load_unchecked<C: ServiceConfig>() -> anyhow::Result<C> {
    rastro_service::config::load(embedded::<C>())
}

/// As [`load`], with the variables given instead of taken from this process.
///
/// # Errors
/// As [`load`].
pub fn load_from<C, K, V>(variables: impl IntoIterator<Item = (K, V)>) -> anyhow::Result<C>
where
    C: ServiceConfig,
    K: Into<OsString>,
    V: Into<OsString>,
{
    checked(rastro_service::config::load_from(embedded::<C>(), variables)?)
}

fn embedded<C: ServiceConfig>() -> Embedded<'static> {
    Embedded {
        toml: [DEFAULTS, C::DEFAULTS],
        common: &SECTIONS,
    }
}

fn checked<C: ServiceConfig>(config: C) -> anyhow::Result<C> {
    config.common().check()?;
    config.check()?;
    Ok(config)
}

/// For tests of other crates.
#[cfg(feature = "testing")]
pub mod testing {
    use super::{ServiceConfig, load_from};

    /// The defaults with what has none, and these variables.
    ///
    /// # Errors
    /// As [`load`](super::load).
    pub fn config<C: ServiceConfig>(variables: &[(&str, &str)]) -> anyhow::Result<C> {
        let required = [
            ("RASTRO__DATABASE__URL", "postgres://127.0.0.1/x"),
            // `openssl rand -base64 32`, once.
            (
                "RASTRO__DATABASE__SEALING_KEY",
                "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=",
            ),
        ];
        let is_overridden = |name: &str| variables.iter().any(|(other, _)| *other == name);
        let required = required.into_iter().filter(|(name, _)| !is_overridden(name));
        load_from(required.chain(variables.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        common: CommonConfig,
        work: Work,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Work {
        size: u16,
    }

    impl ServiceConfig for Config {
        const DEFAULTS: &'static str = "[work]\nsize = 7\n[health]\nlisten = \"127.0.0.1:9999\"\n";

        fn common(&self) -> &CommonConfig {
            &self.common
        }

        fn check(&self) -> anyhow::Result<()> {
            anyhow::ensure!(self.work.size > 0, "work.size must be at least 1");
            Ok(())
        }
    }

    const KEY: &str = "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=";
    const URL: (&str, &str) = ("RASTRO__DATABASE__URL", "postgres://127.0.0.1/x");

    fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
        load_from(variables.iter().copied()).map_err(|error| format!("{error:#}"))
    }

    fn database(variables: &[(&'static str, &'static str)]) -> Result<DatabaseConfig, String> {
        load(&[&[URL], variables].concat()).map(|config| config.common.database)
    }

    #[test]
    fn the_documented_defaults_are_a_valid_configuration_and_a_service_has_its_own() {
        let config = load(&[URL, ("RASTRO__DATABASE__SEALING_KEY", KEY)]).unwrap();
        assert_eq!(config.work.size, 7);
        assert_eq!(config.common.health.listen.port(), 9999);
        // The numbers of the roadmap are written once more in `rastro-core`, for those who configure nothing.
        assert_eq!(config.common.breaker, BreakerSettings::default());
    }

    #[test]
    fn without_a_database_nothing_starts_and_the_variable_is_named() {
        let error = load(&[("RASTRO__DATABASE__SEALING_KEY", KEY)]).unwrap_err();
        assert!(error.contains("RASTRO__DATABASE__URL"), "{error}");
        let error = load(&[URL]).unwrap_err();
        assert!(error.contains("RASTRO__DATABASE__SEALING_KEYS"), "{error}");
    }

    #[test]
    fn sealing_keys_are_a_list_and_one_key_may_be_written_as_before() {
        let both = format!("{KEY}, AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let keys = load(&[URL, ("RASTRO__DATABASE__SEALING_KEYS", &both)]).unwrap();
        assert_eq!(keys.common.database.sealing_keys.len(), 2);
        assert!(database(&[("RASTRO__DATABASE__SEALING_KEY", KEY)]).is_ok());
        let unclear = [
            ("RASTRO__DATABASE__SEALING_KEY", KEY),
            ("RASTRO__DATABASE__SEALING_KEYS", KEY),
        ];
        assert!(database(&unclear).is_err());
        let error = database(&[("RASTRO__DATABASE__SEALING_KEYS", "c2hvcnQ=")]).unwrap_err();
        assert!(
            error.contains("32 bytes in base64") && !error.contains("c2hvcnQ"),
            "{error}"
        );
    }

    #[test]
    fn what_would_end_in_sql_is_a_plain_name() {
        let with = |name, value| database(&[("RASTRO__DATABASE__SEALING_KEY", KEY), (name, value)]);
        assert_eq!(
            with("RASTRO__DATABASE__SCHEMA", "cell_1").unwrap().schema,
            "cell_1"
        );
        for wrong in ["", "Cell", "a b", "a; DROP TABLE events", "1st", "a,public"] {
            assert!(with("RASTRO__DATABASE__SCHEMA", wrong).is_err(), "{wrong:?}");
        }
        assert!(with("RASTRO__DATABASE__PLAN_CACHE_MODE", "auto").is_ok());
        assert!(with("RASTRO__DATABASE__PLAN_CACHE_MODE", "generic").is_err());
    }

    #[test]
    fn a_breaker_that_could_never_work_stops_every_service() {
        let key = ("RASTRO__DATABASE__SEALING_KEY", KEY);
        assert!(load(&[URL, key, ("RASTRO__BREAKER__WINDOW_MS", "0")]).is_err());
        let error = load(&[URL, key, ("RASTRO__BREAKER__WINDOW", "1")]).unwrap_err();
        assert!(error.contains("RASTRO__BREAKER__WINDOW"), "{error}");
    }
}
