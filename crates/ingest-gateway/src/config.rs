//! The gateway's configuration: `config.default.toml` is its documentation.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use rastro_boot::{CommonConfig, ServiceConfig};
use rastro_core::dataset::{Currency, DatasetDefaults, DatasetId};
use rastro_core::match_keys::CountryCode;
use rastro_core::origin;
use rastro_graph_api::{GraphApi, GraphApiConfig};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::auth::Limits;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub common: CommonConfig,
    pub gateway: GatewayConfig,
    /// Where access tokens are checked when they are entered. No events are sent from here.
    pub graph_api: GraphApiConfig,
    pub seed: SeedConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    pub listen: SocketAddr,
    pub workers: usize,
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    pub operators_on_public_listener: bool,
    pub max_connections: usize,
    pub max_body_bytes: usize,
    pub max_publishable_body_bytes: usize,
    pub max_waiting_bytes: usize,
    pub request_timeout_seconds: u64,
    pub drain_seconds: u64,
    pub shutdown_timeout_seconds: u64,
    pub max_events_per_second_per_key: u32,
    pub max_events_per_second_per_publishable_key: u32,
    pub not_storing_seconds: u64,
    pub key_refresh_seconds: u64,
}

impl GatewayConfig {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            any_key: NonZeroU32::new(self.max_events_per_second_per_key),
            publishable_key: NonZeroU32::new(self.max_events_per_second_per_publishable_key),
        }
    }
}

/// Networks, or single addresses.
fn networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let network = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let wrong =
        |_| serde::de::Error::custom("expected addresses and networks, such as 10.0.0.7 or 10.0.0.0/8");
    texts.iter().map(|text| network(text).map_err(wrong)).collect()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedConfig {
    dataset_id: String,
    name: String,
    access_token: SecretString,
    secret_key: SecretString,
    publishable_key: SecretString,
    publishable_event_names: Vec<String>,
    admin_key: SecretString,
    default_country: String,
    default_currency: String,
    test_event_code: String,
    test_event_code_until: String,
    allowed_origins: Vec<String>,
    cookie_domain: String,
}

/// What to create at start.
pub struct Seed {
    pub dataset: Option<DatasetSeed>,
    pub admin_key: Option<SecretString>,
}

/// A dataset to create at start.
pub struct DatasetSeed {
    pub dataset_id: DatasetId,
    pub name: String,
    pub access_token: SecretString,
    pub secret_key: Option<SecretString>,
    pub publishable_key: Option<SecretString>,
    /// `None`: the default list.
    pub publishable_event_names: Option<Vec<String>>,
    pub defaults: DatasetDefaults,
    pub test_event_code: Option<(String, DateTime<Utc>)>,
    /// Empty: pages of the gateway's own host.
    pub allowed_origins: Vec<String>,
    pub cookie_domain: Option<String>,
}

impl ServiceConfig for Config {
    const DEFAULTS: &'static str = include_str!("../config.default.toml");

    fn common(&self) -> &CommonConfig {
        &self.common
    }

    fn check(&self) -> anyhow::Result<()> {
        let gateway = &self.gateway;
        ensure!(gateway.workers > 0, "gateway.workers must be at least 1");
        ensure!(
            gateway.max_connections >= gateway.workers,
            "gateway.max_connections must be at least gateway.workers"
        );
        ensure!(
            (1..=gateway.max_body_bytes).contains(&gateway.max_publishable_body_bytes),
            "gateway.max_publishable_body_bytes must be 1 to gateway.max_body_bytes"
        );
        ensure!(
            gateway.key_refresh_seconds > 0,
            "gateway.key_refresh_seconds must be at least 1"
        );
        ensure!(
            gateway.max_waiting_bytes >= 2 * gateway.max_body_bytes,
            "gateway.max_waiting_bytes must hold at least two bodies of gateway.max_body_bytes"
        );
        ensure!(
            gateway.max_waiting_bytes <= u32::MAX as usize,
            "gateway.max_waiting_bytes must be under 4 GiB"
        );
        GraphApi::new(&self.graph_api)?;
        self.seed.read().map(drop)
    }
}

impl SeedConfig {
    /// What to seed, if that is in order.
    pub fn read(&self) -> anyhow::Result<Seed> {
        let admin_key = key(&self.admin_key, "seed.admin_key")?;
        // A key means one thing; of one that meant two, whichever was stored first would count.
        let are_the_same = |one: &SecretString, other: &SecretString| {
            !one.expose_secret().is_empty() && one.expose_secret() == other.expose_secret()
        };
        ensure!(
            !are_the_same(&self.admin_key, &self.secret_key)
                && !are_the_same(&self.admin_key, &self.publishable_key),
            "seed.admin_key must differ from the keys that send events"
        );
        ensure!(
            !are_the_same(&self.secret_key, &self.publishable_key),
            "seed.secret_key must differ from seed.publishable_key, which everyone can read in the page"
        );
        Ok(Seed {
            dataset: self.dataset()?,
            admin_key,
        })
    }

    fn dataset(&self) -> anyhow::Result<Option<DatasetSeed>> {
        if self.dataset_id.is_empty() {
            return Ok(None);
        }
        ensure!(
            !self.access_token.expose_secret().is_empty(),
            "seed.access_token is required with seed.dataset_id"
        );
        let country = match self.default_country.as_str() {
            "" => None,
            code => Some(
                CountryCode::parse(code)
                    .context("seed.default_country must be an ISO code, such as \"br\"")?,
            ),
        };
        let currency = match self.default_currency.as_str() {
            "" => None,
            code => Some(
                Currency::parse(code)
                    .context("seed.default_currency must be an ISO code, such as \"BRL\"")?,
            ),
        };
        let test_event_code = match (self.test_event_code.as_str(), self.test_event_code_until.as_str()) {
            ("", "") => None,
            (code, until) => {
                let until = until
                    .parse()
                    .context("seed.test_event_code_until must be a time: 2026-12-31T23:59:59Z")?;
                ensure!(
                    !code.is_empty(),
                    "seed.test_event_code_until needs a seed.test_event_code"
                );
                Some((code.to_owned(), until))
            }
        };
        for pattern in &self.allowed_origins {
            ensure!(
                origin::is_pattern(pattern),
                "seed.allowed_origins holds {pattern:?}; an origin is written as browsers write it: \
                 \"https://loja.example.com.br\", \"https://*.example.com.br\" or \"null\""
            );
        }
        ensure!(
            self.cookie_domain.is_empty() || origin::is_domain(&self.cookie_domain),
            "seed.cookie_domain must be a domain in small letters, such as \"example.com.br\""
        );
        Ok(Some(DatasetSeed {
            allowed_origins: self.allowed_origins.clone(),
            cookie_domain: Some(self.cookie_domain.clone()).filter(|domain| !domain.is_empty()),
            test_event_code,
            dataset_id: self.dataset_id.parse().context("seed.dataset_id")?,
            name: self.name.clone(),
            access_token: self.access_token.clone(),
            secret_key: key(&self.secret_key, "seed.secret_key")?,
            publishable_key: key(&self.publishable_key, "seed.publishable_key")?,
            publishable_event_names: Some(self.publishable_event_names.clone())
                .filter(|names| !names.is_empty()),
            defaults: DatasetDefaults { country, currency },
        }))
    }
}

fn key(key: &SecretString, name: &str) -> anyhow::Result<Option<SecretString>> {
    const SHORTEST: usize = 20;
    let length = key.expose_secret().len();
    ensure!(
        length == 0 || length >= SHORTEST,
        "{name} must have at least {SHORTEST} characters"
    );
    Ok((length > 0).then(|| key.clone()))
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
        let seed = config.seed.read().unwrap();
        assert!(seed.dataset.is_none() && seed.admin_key.is_none());
        assert_eq!(config.gateway.trusted_proxies.len(), 2);
    }

    #[test]
    fn proxies_are_networks_or_single_addresses() {
        let proxies = |text| load(&[("RASTRO__GATEWAY__TRUSTED_PROXIES", text)]);
        let config = proxies("10.0.0.7, 192.168.0.0/16,::1").unwrap();
        let written: Vec<String> = config
            .gateway
            .trusted_proxies
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(written, ["10.0.0.7/32", "192.168.0.0/16", "::1/128"]);
        assert!(proxies("10.0.0").is_err());
    }

    #[test]
    fn a_test_event_code_needs_an_end() {
        let dataset = [
            ("RASTRO__SEED__DATASET_ID", "123456789012345"),
            ("RASTRO__SEED__ACCESS_TOKEN", "EAAB"),
        ];
        let with = |more: &[(&'static str, &'static str)]| load(&[&dataset, more].concat());
        let code = ("RASTRO__SEED__TEST_EVENT_CODE", "TEST1");
        let until = ("RASTRO__SEED__TEST_EVENT_CODE_UNTIL", "2026-12-31T23:59:59Z");
        assert!(with(&[code]).is_err());
        assert!(with(&[until]).is_err());
        let seed = with(&[code, until])
            .unwrap()
            .seed
            .read()
            .unwrap()
            .dataset
            .unwrap();
        assert_eq!(seed.test_event_code.unwrap().0, "TEST1");
    }

    #[test]
    fn a_misspelt_variable_stops_the_start_and_is_named() {
        let error = format!(
            "{:#}",
            load(&[("RASTRO__GATEWAY__LISTNE", "0.0.0.0:1")]).unwrap_err()
        );
        assert!(error.contains("listne"), "{error}");
    }

    #[test]
    fn a_seed_needs_a_token_and_keys_that_cannot_be_guessed() {
        let dataset = ("RASTRO__SEED__DATASET_ID", "123456789012345");
        assert!(load(&[dataset]).is_err());
        let token = ("RASTRO__SEED__ACCESS_TOKEN", "EAAB");
        assert!(load(&[dataset, token, ("RASTRO__SEED__SECRET_KEY", "short")]).is_err());
        assert!(load(&[dataset, token, ("RASTRO__SEED__DEFAULT_COUNTRY", "Brasil")]).is_err());
        let config = load(&[
            dataset,
            token,
            ("RASTRO__SEED__SECRET_KEY", "sk_0123456789abcdef0123"),
        ])
        .unwrap();
        let seed = config.seed.read().unwrap().dataset.unwrap();
        assert!(seed.secret_key.is_some() && seed.publishable_key.is_none());
    }

    #[test]
    fn an_admin_key_needs_no_dataset_and_is_no_other_key() {
        let key = "ak_0123456789abcdef0123";
        let seed = load(&[("RASTRO__SEED__ADMIN_KEY", key)])
            .unwrap()
            .seed
            .read()
            .unwrap();
        assert!(seed.dataset.is_none() && seed.admin_key.is_some());
        assert!(load(&[("RASTRO__SEED__ADMIN_KEY", "short")]).is_err());
        assert!(
            load(&[
                ("RASTRO__SEED__ADMIN_KEY", key),
                ("RASTRO__SEED__SECRET_KEY", key)
            ])
            .is_err()
        );
    }

    #[test]
    fn origins_and_the_cookie_domain_are_written_as_browsers_write_them() {
        let dataset = [
            ("RASTRO__SEED__DATASET_ID", "123456789012345"),
            ("RASTRO__SEED__ACCESS_TOKEN", "EAAB"),
        ];
        let with = |name: &'static str, value: &'static str| load(&[&dataset[..], &[(name, value)]].concat());
        let origins = |value| with("RASTRO__SEED__ALLOWED_ORIGINS", value);
        let seed = origins("https://www.clinica.com.br,https://*.example.com.br")
            .unwrap()
            .seed
            .read()
            .unwrap()
            .dataset
            .unwrap();
        assert_eq!(
            seed.allowed_origins,
            ["https://www.clinica.com.br", "https://*.example.com.br"]
        );
        let error = origins("https://www.clinica.com.br/").unwrap_err().to_string();
        assert!(error.contains("https://www.clinica.com.br/"), "{error}");
        assert!(with("RASTRO__SEED__COOKIE_DOMAIN", "example.com.br").is_ok());
        for wrong in [
            ".example.com.br",
            "br",
            "https://example.com.br",
            "Example.com.br",
        ] {
            assert!(with("RASTRO__SEED__COOKIE_DOMAIN", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_key_that_everyone_can_read_is_refused() {
        let key = "sk_0123456789abcdef0123";
        let error = load(&[
            ("RASTRO__SEED__SECRET_KEY", key),
            ("RASTRO__SEED__PUBLISHABLE_KEY", key),
        ])
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("seed.publishable_key") && !error.contains(key),
            "{error}"
        );
    }

    #[test]
    fn bounds_that_contradict_each_other_are_refused() {
        assert!(load(&[("RASTRO__GATEWAY__MAX_CONNECTIONS", "1")]).is_err());
        assert!(load(&[("RASTRO__GATEWAY__MAX_PUBLISHABLE_BODY_BYTES", "5000000")]).is_err());
        assert!(load(&[("RASTRO__GATEWAY__MAX_WAITING_BYTES", "8000000")]).is_err());
    }
}
