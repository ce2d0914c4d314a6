//! The `[sync]` section, and what of it makes sense.

use std::time::Duration;

use anyhow::{Context, ensure};
use rastro_core::dataset::DatasetId;
use rastro_graph_api::{AdAccount, GraphApi, GraphApiConfig};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Sync;
use super::declared::{Declared, Kind, Rule, What};

const LONGEST_NAME: usize = 100;
const LONGEST_EVENT_NAME: usize = 50;

/// What is declared of an ad account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncConfig {
    account_id: String,
    dataset_id: String,
    access_token: SecretString,
    domain: String,
    conversions: Vec<ConversionConfig>,
    audiences: Vec<AudienceConfig>,
    lookalikes: Vec<LookalikeConfig>,
    poll_milliseconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConversionConfig {
    name: String,
    event: String,
    category: String,
    /// Major units of the dataset's currency.
    #[serde(default)]
    value_above: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AudienceConfig {
    name: String,
    /// The name of a conversion.
    of: String,
    days: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LookalikeConfig {
    name: String,
    /// The name of an audience.
    of: String,
    country: String,
    percent: u8,
}

/// As `POST .../customconversions` takes them.
const CATEGORIES: [&str; 19] = [
    "ADD_PAYMENT_INFO",
    "ADD_TO_CART",
    "ADD_TO_WISHLIST",
    "COMPLETE_REGISTRATION",
    "CONTACT",
    "CONTENT_VIEW",
    "CUSTOMIZE_PRODUCT",
    "DONATE",
    "FIND_LOCATION",
    "INITIATED_CHECKOUT",
    "LEAD",
    "LISTING_INTERACTION",
    "OTHER",
    "PURCHASE",
    "SCHEDULE",
    "SEARCH",
    "START_TRIAL",
    "SUBMIT_APPLICATION",
    "SUBSCRIBE",
];

impl SyncConfig {
    /// What brings the configured ad account to what is declared, if there is one.
    ///
    /// # Errors
    /// When what is configured makes no sense.
    pub fn reader(&self, graph_api: &GraphApiConfig) -> anyhow::Result<Option<Sync>> {
        let Some((dataset, account)) = self.read()? else {
            return Ok(None);
        };
        Ok(Some(Sync {
            graph_api: GraphApi::new(graph_api)?,
            account,
            dataset,
            access_token: self.access_token.expose_secret().trim().into(),
            declared: self.declared()?,
            poll: Duration::from_millis(self.poll_milliseconds),
        }))
    }

    /// Which dataset and account. `None`: none.
    ///
    /// # Errors
    /// As [`reader`](Self::reader).
    pub fn read(&self) -> anyhow::Result<Option<(DatasetId, AdAccount)>> {
        ensure!(
            self.poll_milliseconds > 0,
            "sync.poll_milliseconds must be at least 1"
        );
        if self.account_id.is_empty() {
            return Ok(None);
        }
        ensure!(
            !self.access_token.expose_secret().trim().is_empty(),
            "sync.access_token is required with sync.account_id"
        );
        let domain = self.domain.as_str();
        ensure!(
            domain.contains('.') && rastro_core::origin::is_domain(domain),
            "sync.domain is required with sync.account_id: the site's domain in small letters, such as clinica.com.br"
        );
        self.declared()?;
        let account = AdAccount::parse(&self.account_id).context("sync.account_id must be digits")?;
        Ok(Some((
            self.dataset_id.parse().context("sync.dataset_id")?,
            account,
        )))
    }

    fn declared(&self) -> anyhow::Result<Vec<Declared>> {
        let mut declared: Vec<Declared> = Vec::new();
        for conversion in &self.conversions {
            let name = name(&conversion.name, &declared, Kind::Conversion)?;
            ensure!(
                (1..=LONGEST_EVENT_NAME).contains(&conversion.event.trim().len()),
                "sync.conversions: {name}: event must be the name of an event"
            );
            ensure!(
                CATEGORIES.contains(&conversion.category.as_str()),
                "sync.conversions: {name}: category must be one of {}",
                CATEGORIES.join(", ")
            );
            declared.push(Declared {
                name,
                what: What::Conversion {
                    rule: Rule {
                        event: conversion.event.trim().to_owned(),
                        value_above: conversion.value_above,
                        domain: self.domain.clone(),
                    },
                    category: conversion.category.clone(),
                },
            });
        }
        for audience in &self.audiences {
            let name = name(&audience.name, &declared, Kind::Audience)?;
            let rule = declared.iter().find_map(|other| match &other.what {
                What::Conversion { rule, .. } if other.name == audience.of.trim() => Some(rule.clone()),
                _ => None,
            });
            let rule =
                rule.with_context(|| format!("sync.audiences: {name}: of must be the name of a conversion"))?;
            ensure!(
                (1..=180).contains(&audience.days),
                "sync.audiences: {name}: days must be 1 to 180"
            );
            declared.push(Declared {
                name,
                what: What::Audience {
                    rule,
                    days: audience.days,
                },
            });
        }
        for lookalike in &self.lookalikes {
            let name = name(&lookalike.name, &declared, Kind::Lookalike)?;
            let seed = lookalike.of.trim();
            ensure!(
                declared.iter().any(|other| other.is(Kind::Audience, seed)),
                "sync.lookalikes: {name}: of must be the name of an audience"
            );
            ensure!(
                lookalike.country.len() == 2
                    && lookalike.country.bytes().all(|byte| byte.is_ascii_uppercase()),
                "sync.lookalikes: {name}: country must be an ISO code such as BR"
            );
            ensure!(
                (1..=20).contains(&lookalike.percent),
                "sync.lookalikes: {name}: percent must be 1 to 20, of the country's people"
            );
            declared.push(Declared {
                name,
                what: What::Lookalike {
                    seed: seed.to_owned(),
                    country: lookalike.country.clone(),
                    percent: lookalike.percent,
                },
            });
        }
        Ok(declared)
    }
}

/// A name that nothing else at the same edge has.
fn name(name: &str, declared: &[Declared], kind: Kind) -> anyhow::Result<String> {
    let name = name.trim();
    ensure!(
        (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control),
        "sync: a name must be 1 to {LONGEST_NAME} characters on one line"
    );
    let is_taken = |other: &Declared| other.name == name && other.kind().edge() == kind.edge();
    ensure!(!declared.iter().any(is_taken), "sync: {name} is declared twice");
    Ok(name.to_owned())
}
