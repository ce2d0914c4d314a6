//! Thresholds: of every rule, and of a rule in one dataset.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Deserialize;

use crate::alert::rule::{Direction, Rule};
use crate::dataset::DatasetId;

/// When a rule fires, and when it is quiet again.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    pub enabled: bool,
    /// Fires beyond this value, in the rule's own unit.
    pub fires: f64,
    /// Quiet on the other side of this value; in between nothing changes.
    pub clears: f64,
    /// How long it must be beyond the threshold without a break before it fires.
    pub for_seconds: u32,
    /// How long it must be quiet without a break before it is resolved.
    pub clear_for_seconds: u32,
    /// How far back it looks. Rules that need volume look back further until there is enough.
    #[serde(default)]
    pub window_seconds: u32,
    /// Below this many attempts, requests or events nothing is concluded.
    #[serde(default)]
    pub minimum: u32,
    /// What is different in a dataset.
    #[serde(default)]
    pub dataset: BTreeMap<DatasetId, Override>,
}

/// What of a rule is different in one dataset.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    pub enabled: Option<bool>,
    pub fires: Option<f64>,
    pub clears: Option<f64>,
    pub for_seconds: Option<u32>,
    pub clear_for_seconds: Option<u32>,
    pub window_seconds: Option<u32>,
    pub minimum: Option<u32>,
}

/// What cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("alerts.{rule}{of}: {problem}")]
pub struct SettingsError {
    rule: &'static str,
    of: String,
    problem: &'static str,
}

impl Thresholds {
    /// As they are in one dataset.
    pub fn of(&self, dataset: Option<DatasetId>) -> Thresholds {
        let mut own = Thresholds {
            dataset: BTreeMap::new(),
            ..self.clone()
        };
        let Some(changed) = dataset.and_then(|dataset| self.dataset.get(&dataset)) else {
            return own;
        };
        own.enabled = changed.enabled.unwrap_or(own.enabled);
        own.fires = changed.fires.unwrap_or(own.fires);
        own.clears = changed.clears.unwrap_or(own.clears);
        own.for_seconds = changed.for_seconds.unwrap_or(own.for_seconds);
        own.clear_for_seconds = changed.clear_for_seconds.unwrap_or(own.clear_for_seconds);
        own.window_seconds = changed.window_seconds.unwrap_or(own.window_seconds);
        own.minimum = changed.minimum.unwrap_or(own.minimum);
        own
    }

    pub(crate) fn lasts(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.for_seconds))
    }

    pub(crate) fn quiet_for(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.clear_for_seconds))
    }

    fn check(&self, rule: Rule, of: Option<DatasetId>) -> Result<(), SettingsError> {
        let problem = if !self.fires.is_finite() || !self.clears.is_finite() {
            "fires and clears must be numbers"
        } else if match rule.direction() {
            Direction::Above => self.clears > self.fires.max(1.0),
            Direction::Below => self.clears < self.fires,
        } {
            "clears must lie on the quiet side of fires, or the alert would open and close at once"
        } else {
            return Ok(());
        };
        Err(SettingsError {
            rule: rule.as_str(),
            of: of
                .map(|dataset| format!(".dataset.{dataset}"))
                .unwrap_or_default(),
            problem,
        })
    }
}

macro_rules! all_rules {
    ($($field:ident: $rule:ident,)+) => {
        /// A section of the configuration for each rule.
        #[derive(Clone, Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct AlertRules {
            $(pub $field: Thresholds,)+
        }

        impl AlertRules {
            pub fn of(&self, rule: Rule) -> &Thresholds {
                match rule {
                    $(Rule::$rule => &self.$field,)+
                }
            }
        }
    };
}

all_rules! {
    error_rate: ErrorRate,
    latency: Latency,
    duplicates: Duplicates,
    breaker_errors: BreakerErrors,
    breaker_blocked: BreakerBlocked,
    breaker_refused: BreakerRefused,
    breaker_throttled: BreakerThrottled,
    breaker_forced: BreakerForced,
    dead_letters: DeadLetters,
    expiring: Expiring,
    queue_age: QueueAge,
    retry_overdue: RetryOverdue,
    partitions: Partitions,
    silence: Silence,
    delivery_budget: DeliveryBudget,
    conservation: Conservation,
    partial_ack: PartialAck,
    emq_drop: EmqDrop,
    emq_unreadable: EmqUnreadable,
    test_code: TestCode,
    api_version: ApiVersion,
    spend_stale: SpendStale,
    reconciliation: Reconciliation,
    payments_unread: PaymentsUnread,
    payments_odd: PaymentsOdd,
    roas_low: RoasLow,
    cac_high: CacHigh,
    check_failing: CheckFailing,
    check_silent: CheckSilent,
    database_down: DatabaseDown,
}

impl AlertRules {
    /// Whether the thresholds make sense, everywhere.
    ///
    /// # Errors
    /// The first that cannot be meant.
    pub fn validate(&self) -> Result<(), SettingsError> {
        for &rule in Rule::ALL {
            let thresholds = self.of(rule);
            thresholds.check(rule, None)?;
            for &dataset in thresholds.dataset.keys() {
                thresholds.of(Some(dataset)).check(rule, Some(dataset))?;
            }
        }
        Ok(())
    }
}
