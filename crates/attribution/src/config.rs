//! The service's configuration: `config.default.toml` is its documentation.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use rastro_boot::{CommonConfig, ServiceConfig};
use rastro_core::attribution::Lookback;
use rastro_core::dataset::{Currency, DatasetId};
use rastro_core::payment::{ConversionValue, Margin};
use rastro_graph_api::{AdAccount, GraphApi, GraphApiConfig};
use rastro_store::{PaymentAccount, Store, Unsigned};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::google_ads::GoogleAdsConfig;
use crate::mercado_pago::MercadoPagoConfig;
use crate::meta_spend::MetaSpend;
use crate::sync::SyncConfig;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub common: CommonConfig,
    pub mercado_pago: MercadoPagoConfig,
    pub payments: PaymentsConfig,
    pub reconcile: ReconcileConfig,
    pub account: AccountConfig,
    pub reports: ReportsConfig,
    pub crediting: CreditingConfig,
    pub graph_api: GraphApiConfig,
    pub meta_spend: MetaSpendConfig,
    pub sync: SyncConfig,
    pub google_ads: GoogleAdsConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentsConfig {
    pub idle_poll_milliseconds: u64,
    pub claim: u32,
    pub concurrency: usize,
    pub lease_seconds: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileConfig {
    pub enabled: bool,
    pub interval_seconds: u64,
    pub sweep_every_seconds: i64,
    pub sweep_overlap_seconds: i64,
    pub sweep_lag_seconds: i64,
    pub nightly_days: i64,
    pub weekly_days: i64,
    /// For one slice of a comparison.
    pub lease_seconds: i64,
    /// After so long a comparison stops behind a slice, until everybody else has had a turn.
    pub turn_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditingConfig {
    pub enabled: bool,
    pub lookback_days: u16,
    pub lookback_by_channel: BTreeMap<String, u16>,
    pub interval_seconds: u64,
    pub overlap_seconds: i64,
    pub sweep_days: u64,
}

impl CreditingConfig {
    /// # Errors
    /// When a window is none.
    pub fn lookback(&self) -> anyhow::Result<Lookback> {
        let lookback = Lookback::new(self.lookback_days, self.lookback_by_channel.clone());
        lookback.context("crediting.lookback_days, crediting.lookback_by_channel")
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.interval_seconds > 0 && self.overlap_seconds >= 60,
            "crediting.interval_seconds must be at least 1, and crediting.overlap_seconds 60: a transaction may commit late"
        );
        ensure!(
            (1..=400).contains(&self.sweep_days),
            "crediting.sweep_days must be 1 to 400"
        );
        self.lookback().map(drop)
    }
}

/// Reports of what Mercado Pago really credited.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportsConfig {
    pub enabled: bool,
    pub interval_seconds: u64,
    pub first_days: i64,
}

impl ReportsConfig {
    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.interval_seconds >= 60 && (1..=60).contains(&self.first_days),
            "reports.interval_seconds must be at least 60, and reports.first_days 1 to 60: Mercado Pago makes no longer report"
        );
        Ok(())
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetaSpendConfig {
    account_id: String,
    dataset_id: String,
    access_token: SecretString,
    pub interval_seconds: u64,
    pub first_days: u64,
    poll_milliseconds: u64,
}

impl MetaSpendConfig {
    /// Who reads the configured ad account, if there is one.
    ///
    /// # Errors
    /// When what is configured makes no sense.
    pub fn reader(&self, store: &Store, graph_api: &GraphApiConfig) -> anyhow::Result<Option<MetaSpend>> {
        let Some((dataset, account)) = self.read()? else {
            return Ok(None);
        };
        Ok(Some(MetaSpend {
            store: store.clone(),
            graph_api: GraphApi::new(graph_api)?,
            dataset,
            account,
            access_token: self.access_token.expose_secret().trim().into(),
            poll: Duration::from_millis(self.poll_milliseconds),
        }))
    }

    fn read(&self) -> anyhow::Result<Option<(DatasetId, AdAccount)>> {
        ensure!(
            self.interval_seconds >= 600 && self.poll_milliseconds > 0,
            "meta_spend.interval_seconds must be at least 600, and meta_spend.poll_milliseconds 1"
        );
        ensure!(
            (1..=1_095).contains(&self.first_days),
            "meta_spend.first_days must be 1 to 1095: Meta keeps three years"
        );
        if self.account_id.is_empty() {
            return Ok(None);
        }
        ensure!(
            !self.access_token.expose_secret().trim().is_empty(),
            "meta_spend.access_token is required with meta_spend.account_id"
        );
        let account = AdAccount::parse(&self.account_id).context("meta_spend.account_id must be digits")?;
        Ok(Some((
            self.dataset_id.parse().context("meta_spend.dataset_id")?,
            account,
        )))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    account_id: i64,
    dataset_id: String,
    label: String,
    access_token: SecretString,
    webhook_secrets: Vec<SecretString>,
    unsigned: String,
    live_mode: bool,
    currency: String,
    conversion_value: String,
    margin_percent: f64,
}

impl ServiceConfig for Config {
    const DEFAULTS: &'static str = include_str!("../config.default.toml");

    fn common(&self) -> &CommonConfig {
        &self.common
    }

    fn check(&self) -> anyhow::Result<()> {
        let (payments, reconcile) = (&self.payments, &self.reconcile);
        ensure!(
            (1..=1_000).contains(&payments.claim) && (1..=64).contains(&payments.concurrency),
            "payments.claim must be 1 to 1000, and payments.concurrency 1 to 64"
        );
        ensure!(
            payments.idle_poll_milliseconds > 0,
            "payments.idle_poll_milliseconds must be at least 1"
        );
        // Two processes that read the same payment do no harm, but it is read for nothing.
        let reading = self.mercado_pago.longest_request();
        ensure!(
            u64::from(payments.lease_seconds) > reading.as_secs(),
            "payments.lease_seconds must be more than {}: one payment may be read for so long",
            reading.as_secs()
        );
        ensure!(
            reconcile.interval_seconds > 0 && reconcile.sweep_every_seconds > 0,
            "reconcile.interval_seconds and reconcile.sweep_every_seconds must be at least 1"
        );
        ensure!(
            reconcile.sweep_overlap_seconds >= 900 && reconcile.sweep_lag_seconds >= 0,
            "reconcile.sweep_overlap_seconds must be at least 900: payments move while they are listed"
        );
        ensure!(
            reconcile.lease_seconds >= 5,
            "reconcile.lease_seconds must be at least 5: a slice takes as long as its payments are read"
        );
        ensure!(
            (1..365).contains(&reconcile.nightly_days) && (1..365).contains(&reconcile.weekly_days),
            "reconcile.nightly_days and reconcile.weekly_days must be 1 to 364: Mercado Pago lists a year"
        );
        self.crediting.check()?;
        self.reports.check()?;
        self.meta_spend.read()?;
        self.sync.read()?;
        self.google_ads.read()?;
        GraphApi::new(&self.graph_api)?;
        self.account.read().map(drop)
    }
}

impl AccountConfig {
    /// The account to create, if one is configured and in order.
    ///
    /// # Errors
    /// When it is not.
    pub fn read(&self) -> anyhow::Result<Option<PaymentAccount>> {
        if self.account_id == 0 {
            return Ok(None);
        }
        ensure!(
            self.account_id > 0,
            "account.account_id must be Mercado Pago's number of the user"
        );
        ensure!(
            !self.access_token.expose_secret().trim().is_empty(),
            "account.access_token is required with account.account_id"
        );
        ensure!(
            self.webhook_secrets.len() <= 5,
            "account.webhook_secrets holds more than 5 secrets"
        );
        let secrets = self.webhook_secrets.iter();
        Ok(Some(PaymentAccount {
            dataset_id: self.dataset_id.parse().context("account.dataset_id")?,
            account_id: self.account_id,
            label: self.label.clone(),
            access_token: self.access_token.expose_secret().trim().into(),
            webhook_secrets: secrets
                .filter(|secret| !secret.expose_secret().is_empty())
                .cloned()
                .collect(),
            unsigned: Unsigned::parse(&self.unsigned).context("account.unsigned must be ignore or hint")?,
            signature_max_age_seconds: None,
            live_mode: self.live_mode,
            was_blocked: false,
            currency: Currency::parse(&self.currency)
                .context("account.currency must be an ISO code, such as \"BRL\"")?,
            conversion_value: self.conversion_value()?,
        }))
    }

    fn conversion_value(&self) -> anyhow::Result<ConversionValue> {
        let margin = if self.margin_percent == 0.0 {
            None
        } else {
            let margin = Margin::from_percent(self.margin_percent);
            Some(margin.context("account.margin_percent must be 1 to 100, or 0 where there is none")?)
        };
        ConversionValue::parse(&self.conversion_value, margin).context(
            "account.conversion_value must be gross, net or margin, and account.margin_percent goes with margin only",
        )
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
    fn the_documented_defaults_are_a_valid_configuration_without_an_account() {
        assert!(load(&[]).unwrap().account.read().unwrap().is_none());
    }

    #[test]
    fn an_account_needs_a_token_and_a_dataset_and_no_secret_is_shown() {
        let account = [
            ("RASTRO__ACCOUNT__ACCOUNT_ID", "44444"),
            ("RASTRO__ACCOUNT__DATASET_ID", "123456789012345"),
            ("RASTRO__ACCOUNT__ACCESS_TOKEN", "APP_USR-secret"),
            ("RASTRO__ACCOUNT__WEBHOOK_SECRETS", "first-secret,second-secret"),
        ];
        for missing in [1, 2] {
            let rest: Vec<_> = account
                .iter()
                .enumerate()
                .filter(|(index, _)| *index != missing)
                .map(|(_, variable)| *variable)
                .collect();
            assert!(load(&rest).is_err(), "without {}", account[missing].0);
        }
        let config = load(&account).unwrap();
        let read = config.account.read().unwrap().unwrap();
        assert_eq!((read.account_id, read.webhook_secrets.len()), (44_444, 2));
        let shown = format!("{config:?}{read:?}");
        assert!(
            !shown.contains("first-secret") && !shown.contains("APP_USR"),
            "{shown}"
        );
    }

    #[test]
    fn a_google_account_needs_all_its_secrets_and_none_is_shown() {
        let account = [
            ("RASTRO__GOOGLE_ADS__CUSTOMER_ID", "123-456-7890"),
            ("RASTRO__GOOGLE_ADS__DATASET_ID", "123456789012345"),
            ("RASTRO__GOOGLE_ADS__DEVELOPER_TOKEN", "developer-secret"),
            ("RASTRO__GOOGLE_ADS__CLIENT_ID", "1.apps.googleusercontent.com"),
            ("RASTRO__GOOGLE_ADS__CLIENT_SECRET", "client-secret"),
            ("RASTRO__GOOGLE_ADS__REFRESH_TOKEN", "refresh-secret"),
        ];
        assert!(load(&[]).unwrap().google_ads.read().unwrap().is_none());
        for missing in 1..account.len() {
            let mut rest = account.to_vec();
            let (name, _) = rest.remove(missing);
            // Google asks for none any more.
            let is_needed = name != "RASTRO__GOOGLE_ADS__DEVELOPER_TOKEN";
            assert_eq!(load(&rest).is_err(), is_needed, "without {name}");
        }
        let config = load(&account).unwrap();
        assert!(config.google_ads.read().unwrap().is_some());
        let shown = format!("{config:?}");
        for secret in ["developer-secret", "client-secret", "refresh-secret"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for (name, wrong) in [
            ("RASTRO__GOOGLE_ADS__CUSTOMER_ID", "abc"),
            ("RASTRO__GOOGLE_ADS__LOGIN_CUSTOMER_ID", "me"),
            ("RASTRO__GOOGLE_ADS__VERSION", "26"),
            ("RASTRO__GOOGLE_ADS__TOKEN_URL", "http://example.com/token"),
            ("RASTRO__GOOGLE_ADS__URL", "https://u:p@example.com"),
        ] {
            let mut variables = account.to_vec();
            variables.retain(|(other, _)| *other != name);
            variables.push((name, wrong));
            assert!(load(&variables).is_err(), "{name}={wrong}");
        }
    }

    #[test]
    fn a_margin_needs_its_share_and_nothing_else_has_one() {
        let value = |word, percent| {
            let account = [
                ("RASTRO__ACCOUNT__ACCOUNT_ID", "44444"),
                ("RASTRO__ACCOUNT__DATASET_ID", "123456789012345"),
                ("RASTRO__ACCOUNT__ACCESS_TOKEN", "APP_USR-secret"),
                ("RASTRO__ACCOUNT__CONVERSION_VALUE", word),
                ("RASTRO__ACCOUNT__MARGIN_PERCENT", percent),
            ];
            let account = load(&account).ok()?.account.read().ok()??;
            Some(account.conversion_value)
        };
        let margin = value("margin", "35.5").unwrap().margin().unwrap();
        assert_eq!(margin.millionths(), 355_000);
        assert_eq!(value("net", "0"), Some(ConversionValue::Net));
        for (word, percent) in [
            ("margin", "0"),
            ("margin", "101"),
            ("margin", "-5"),
            ("gross", "35"),
            ("half", "0"),
        ] {
            assert_eq!(value(word, percent), None, "{word} {percent}");
        }
    }

    #[test]
    fn a_window_of_a_touch_is_between_a_day_and_ninety() {
        assert!(load(&[("RASTRO__CREDITING__LOOKBACK_DAYS", "91")]).is_err());
        assert_eq!(
            load(&[]).unwrap().crediting.lookback().unwrap(),
            Lookback::default()
        );
    }

    #[test]
    fn a_lease_outlasts_the_longest_read() {
        assert!(load(&[("RASTRO__PAYMENTS__LEASE_SECONDS", "60")]).is_err());
    }
}
