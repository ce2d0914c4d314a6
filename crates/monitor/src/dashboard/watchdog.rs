//! What the check cannot say of itself: that it does not run, and that the database is away. The dashboard
//! stays up, so it says both, by the same rules and channels. Its state is in memory; of two dashboards each
//! says it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rastro_core::alert::message::{self, MessageKind, Now};
use rastro_core::alert::state::{self, AlertState};
use rastro_core::alert::{Alert, AlertRules, Measurement, Rule};
use rastro_store::LastRuns;
use tracing::{info, warn};

use crate::check::{check_silent, database_down};
use crate::dashboard::words::Zone;
use crate::notify::{Bundle, BundleKind, Channel, Item, SendError};
use crate::words;

/// For so long a message is tried again, and longer if it says that something is wrong that still is.
const TRIED_FOR: TimeDelta = TimeDelta::hours(1);

pub(super) struct Watchdog {
    channels: Vec<Channel>,
    rules: AlertRules,
    zone: Zone,
    started_at: DateTime<Utc>,
    alerts: BTreeMap<Rule, Alert>,
    /// What was not sent yet: to which channel, to which of its recipients, and since when.
    unsent: Vec<(usize, usize, Bundle, DateTime<Utc>)>,
}

impl Watchdog {
    pub(super) fn new(
        channels: Vec<Channel>,
        rules: AlertRules,
        zone: Zone,
        started_at: DateTime<Utc>,
    ) -> Self {
        Watchdog {
            channels,
            rules,
            zone,
            started_at,
            alerts: BTreeMap::new(),
            unsent: Vec::new(),
        }
    }

    /// One look. `unanswered_for`: how long the database has been away. `runs`: what it said of the check;
    /// `None`: it said nothing, and that rule keeps its state.
    pub(super) async fn look(
        &mut self,
        now: DateTime<Utc>,
        unanswered_for: Duration,
        runs: Option<&LastRuns>,
    ) {
        self.step(Rule::DatabaseDown, &database_down(unanswered_for), now);
        if let Some(runs) = runs {
            self.step(Rule::CheckSilent, &check_silent(runs, self.started_at), now);
        }
        self.send(now).await;
    }

    fn step(&mut self, rule: Rule, measured: &Measurement, now: DateTime<Utc>) {
        let thresholds = self.rules.of(rule).of(None);
        let Some(mut alert) = state::step(rule, self.alerts.get(&rule), Some(measured), &thresholds, now)
        else {
            self.alerts.remove(&rule);
            return;
        };
        let local = now.with_timezone(&self.zone.0).naive_local();
        if let Some((kind, sequence)) = message::due(&mut alert, false, Now { at: now, local }) {
            warn!("{}: {}", rule.as_str(), kind.as_str());
            for (at, channel) in self.channels.iter().enumerate() {
                let bundle = bundle(&alert, channel, (kind, sequence), self.zone, now);
                for recipient in 0..channel.recipients().len() {
                    self.unsent.push((at, recipient, bundle.clone(), now));
                }
            }
        }
        self.alerts.insert(rule, alert);
    }

    async fn send(&mut self, now: DateTime<Utc>) {
        for (at, recipient, bundle, since) in std::mem::take(&mut self.unsent) {
            let Some(channel) = self.channels.get(at) else {
                continue;
            };
            let error = match channel.send(&bundle, recipient).await {
                Ok(_) => {
                    info!("{} was told by {}", bundle.key, channel.name());
                    continue;
                }
                Err(error) => error,
            };
            // That something is wrong is told as soon as the channel works, however late.
            let is_final = matches!(error, SendError::Refused(_) | SendError::Off(_));
            let rule = bundle.items.first().map(|item| item.rule);
            let is_open = rule.and_then(|rule| self.alerts.get(&rule)).is_some_and(|alert| {
                alert.state == AlertState::Firing && bundle.kind == BundleKind::Opened && !is_final
            });
            if is_open || now - since < TRIED_FOR {
                warn!("{} could not be told by {}: {error}", bundle.key, channel.name());
                self.unsent.push((at, recipient, bundle, since));
            } else {
                warn!("{} was not told by {}: {error}", bundle.key, channel.name());
            }
        }
    }
}

fn bundle(
    alert: &Alert,
    channel: &Channel,
    (kind, sequence): (MessageKind, i32),
    zone: Zone,
    now: DateTime<Utc>,
) -> Bundle {
    let since = alert.fired_at.unwrap_or(alert.pending_since);
    let thread = format!("watch-{}-{}", alert.rule.as_str(), since.timestamp());
    Bundle {
        key: format!("{thread}-{}-{sequence}", kind.as_str()),
        kind: match kind {
            MessageKind::Opened => BundleKind::Opened,
            MessageKind::Worse => BundleKind::Worse,
            MessageKind::Reminder => BundleKind::Reminder,
            MessageKind::Resolved => BundleKind::Resolved,
        },
        severity: alert.severity,
        items: vec![Item {
            alert_id: 0,
            rule: alert.rule,
            sentence: words::headline(alert.rule, &alert.facts, now, channel.language()),
            since,
            lasted_seconds: alert.resolved_at.map(|resolved| (resolved - since).num_seconds()),
            is_unstable: alert.is_unstable(),
        }],
        daily: None,
        note: None,
        opened_as: None,
        still_open: alert.state != AlertState::Resolved,
        // There is no page of an alert that is in no table.
        public_url: String::new(),
        local_since: zone.time(since),
        thread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dog() -> Watchdog {
        let config: crate::config::Config = rastro_boot::testing::config(&[]).unwrap();
        let at = "2026-11-26T12:00:00Z".parse().unwrap();
        Watchdog::new(Vec::new(), config.alerts.clone(), Zone(config.zone()), at)
    }

    #[tokio::test]
    async fn a_database_that_is_away_for_ninety_seconds_is_an_alert_and_its_return_ends_it() {
        let mut dog = dog();
        let start = dog.started_at;
        let state = |dog: &Watchdog| dog.alerts.get(&Rule::DatabaseDown).map(|alert| alert.state);
        dog.look(start, Duration::from_secs(89), None).await;
        assert_eq!(state(&dog), None);
        dog.look(start, Duration::from_secs(91), None).await;
        assert_eq!(state(&dog), Some(AlertState::Firing));
        let later = start + TimeDelta::minutes(5);
        dog.look(later, Duration::ZERO, None).await;
        dog.look(later + TimeDelta::minutes(2), Duration::ZERO, None)
            .await;
        assert_ne!(state(&dog), Some(AlertState::Firing));
    }

    #[tokio::test]
    async fn a_check_that_says_nothing_while_the_database_is_away_keeps_its_state() {
        let mut dog = dog();
        let start = dog.started_at;
        let runs = LastRuns {
            now: start,
            last_run: None,
            last_good_run: Some(start - TimeDelta::minutes(6)),
            last_error: None,
            history_days: None,
            history_counted: None,
        };
        dog.look(start, Duration::ZERO, Some(&runs)).await;
        assert_eq!(dog.alerts[&Rule::CheckSilent].state, AlertState::Firing);
        dog.look(start + TimeDelta::hours(2), Duration::from_secs(7_200), None)
            .await;
        assert_eq!(dog.alerts[&Rule::CheckSilent].state, AlertState::Firing);
    }
}
