//! The monitor's configuration: `config.default.toml` is its documentation.

use anyhow::{Context, ensure};
use chrono::{NaiveDate, Offset, TimeZone};
use chrono_tz::{OffsetComponents, Tz};
use rastro_boot::{CommonConfig, ServiceConfig};
use rastro_core::alert::AlertRules;
use rastro_graph_api::GraphApiConfig;
use rastro_service::config::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::notify;
use crate::words::Language;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub common: CommonConfig,
    pub check: CheckConfig,
    pub dashboard: crate::dashboard::DashboardConfig,
    pub notify: NotifyConfig,
    pub graph_api: GraphApiConfig,
    pub alerts: AlertRules,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckConfig {
    pub heartbeat_url: SecretString,
    pub rule_timeout_seconds: u64,
    pub count_past_seconds: u64,
    pub api_version_ends: String,
    pub quality_hour: u32,
    pub keep_counts_months: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyConfig {
    pub slack_language: Language,
    pub email_language: Language,
    pub daily_mail: bool,
    pub slack: SlackConfig,
    pub email: EmailConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackConfig {
    pub webhook_url: SecretString,
    pub bot_token: SecretString,
    pub channel: String,
    pub api_url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    pub smtp_url: SecretString,
    pub from: String,
    pub to: Vec<String>,
    pub timeout_seconds: u64,
}

impl ServiceConfig for Config {
    const DEFAULTS: &'static str = include_str!("../config.default.toml");

    fn common(&self) -> &CommonConfig {
        &self.common
    }

    fn check(&self) -> anyhow::Result<()> {
        self.alerts.validate()?;
        zone(&self.dashboard.time_zone)?;
        self.dashboard.check()?;
        self.check.api_version_ends()?;
        ensure!(
            self.check.rule_timeout_seconds > 0 && self.check.count_past_seconds > 0,
            "check.rule_timeout_seconds and check.count_past_seconds must be at least 1"
        );
        ensure!(self.check.quality_hour < 24, "check.quality_hour must be 0 to 23");
        ensure!(
            self.check.keep_counts_months >= 4,
            "check.keep_counts_months must be at least 4: the pages show 90 days"
        );
        let heartbeat = self.check.heartbeat_url.expose_secret();
        ensure!(
            heartbeat.is_empty() || reqwest::Url::parse(heartbeat).is_ok(),
            "check.heartbeat_url must be an address"
        );
        notify::check(&self.notify)
    }
}

impl Config {
    /// The reporting zone.
    pub fn zone(&self) -> Tz {
        zone(&self.dashboard.time_zone).expect("it was checked at the start")
    }
}

impl CheckConfig {
    pub(crate) fn api_version_ends(&self) -> anyhow::Result<Option<NaiveDate>> {
        match self.api_version_ends.as_str() {
            "" => Ok(None),
            day => day
                .parse()
                .map(Some)
                .context("check.api_version_ends must look like 2026-12-31"),
        }
    }
}

/// A zone whose days are sums of whole hours in UTC, now and in the years that can be shown.
fn zone(name: &str) -> anyhow::Result<Tz> {
    let zone: Tz = name
        .parse()
        .ok()
        .with_context(|| format!("dashboard.time_zone: {name:?} is no zone of the IANA database"))?;
    for year in 2024..=2040 {
        for month in [1, 7] {
            let day = NaiveDate::from_ymd_opt(year, month, 1).expect("a day");
            let offset = zone.offset_from_utc_date(&day);
            let seconds =
                offset.fix().local_minus_utc() + i32::try_from(offset.dst_offset().num_seconds() % 3_600)?;
            ensure!(
                seconds % 3_600 == 0,
                "dashboard.time_zone: the days of {name} do not begin at a full hour of UTC, and counts are by the hour"
            );
        }
    }
    Ok(zone)
}

#[cfg(test)]
mod tests {
    use rastro_boot::testing;
    use rastro_core::alert::Rule;

    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
        testing::config(variables).map_err(|error: anyhow::Error| format!("{error:#}"))
    }

    /// Row R18 of the requirements: error rate > 5 % in 5 min; latency > 2000 ms; dedup rate > 10 %.
    #[test]
    fn the_documented_defaults_are_valid_and_have_the_thresholds_that_were_asked_for() {
        let alerts = load(&[]).unwrap().alerts;
        assert_eq!(
            (alerts.error_rate.fires, alerts.error_rate.window_seconds),
            (5.0, 300)
        );
        assert_eq!((alerts.latency.fires, alerts.latency.clears), (5.0, 2.0));
        assert_eq!((alerts.duplicates.fires, alerts.duplicates.clears), (10.0, 7.0));
        // The worst case from the first failure to a message: a run a minute, and how long it must last.
        assert!(
            Rule::ALL.iter().all(|&rule| alerts.of(rule).enabled
                || rule.as_str().contains("roas")
                || rule == Rule::CacHigh)
        );
        assert!(alerts.error_rate.for_seconds + 60 + 20 < 300);
    }

    #[test]
    fn a_threshold_is_changed_by_a_variable_and_one_that_cannot_be_meant_stops_the_start() {
        let alerts = load(&[("RASTRO__ALERTS__ERROR_RATE__FIRES", "8")])
            .unwrap()
            .alerts;
        assert_eq!(alerts.error_rate.fires, 8.0);
        let error = load(&[("RASTRO__ALERTS__ERROR_RATE__CLEARS", "9")]).unwrap_err();
        assert!(error.contains("alerts.error_rate"), "{error}");
        let error = load(&[("RASTRO__ALERTS__ERROR_RAET__FIRES", "8")]).unwrap_err();
        assert!(error.contains("RASTRO__ALERTS__ERROR_RAET"), "{error}");
    }

    #[test]
    fn a_zone_without_whole_hours_is_refused() {
        for good in [
            "America/Sao_Paulo",
            "America/Noronha",
            "America/Rio_Branco",
            "UTC",
            "Europe/Lisbon",
        ] {
            assert!(load(&[("RASTRO__DASHBOARD__TIME_ZONE", good)]).is_ok(), "{good}");
        }
        for bad in [
            "Asia/Kolkata",
            "America/St_Johns",
            "Brasil",
            "",
            "Australia/Lord_Howe",
        ] {
            let error = load(&[("RASTRO__DASHBOARD__TIME_ZONE", bad)]).unwrap_err();
            assert!(error.contains("dashboard.time_zone"), "{error}");
        }
    }

    #[test]
    fn what_could_send_a_password_in_plain_text_is_refused() {
        let mail = |url: &'static str| {
            load(&[
                ("RASTRO__NOTIFY__EMAIL__SMTP_URL", url),
                ("RASTRO__NOTIFY__EMAIL__FROM", "Rastro <rastro@exemplo.com.br>"),
                (
                    "RASTRO__NOTIFY__EMAIL__TO",
                    "ana@exemplo.com.br, beto@exemplo.com.br",
                ),
            ])
        };
        for good in [
            "smtps://user:pa%40ss@mail.exemplo.com.br",
            "smtp://user:pass@mail.exemplo.com.br:587?tls=required",
            "smtp://127.0.0.1:2525",
            "smtp://localhost:25",
        ] {
            assert!(mail(good).is_ok(), "{good}: {:?}", mail(good).err());
        }
        for bad in [
            "smtp://mail.exemplo.com.br",
            "smtp://user:secret@mail.exemplo.com.br:587",
            "smtp://user:secret@mail.exemplo.com.br?tls=opportunistic",
            "mail.exemplo.com.br",
            "smtp://127.0.0.1.exemplo.com.br",
        ] {
            let error = mail(bad).unwrap_err();
            assert!(
                error.contains("notify.email.smtp_url") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
