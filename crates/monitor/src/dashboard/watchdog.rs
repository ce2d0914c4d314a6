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
use tracing::{error, info, warn};

use crate::check::{check_silent, database_down};
use crate::dashboard::words::Zone;
use crate::notify::{Bundle, BundleKind, Channel, Item, SendError};
use crate::words;

/// For so long a message is tried again, and longer if it says that something is wrong that still is.
const TRIED_FOR: TimeDelta = TimeDelta::hours(1);
/// Between two tries, twice as long each time. A channel that says wait is left alone at least so long, at
/// most a day.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(15);
const LONGEST_ASKED: TimeDelta = TimeDelta::days(1);
/// A database that was away for so long has kept a check from running; shorter ones cost it a run at most,
/// and however many of them there are, they excuse no silence.
const LONG_AWAY: Duration = Duration::from_secs(60);

pub(super) struct Watchdog {
    channels: Vec<Channel>,
    rules: AlertRules,
    zone: Zone,
    public_url: String,
    /// Since when a check could have run, as far as we know: since the start, or since the database came
    /// back.
    awake_since: DateTime<Utc>,
    /// How long the database had been away at the last look.
    was_away_for: Duration,
    alerts: BTreeMap<Rule, Alert>,
    unsent: Vec<Unsent>,
}

/// A message that one recipient of one channel does not have, as far as we know.
struct Unsent {
    channel: usize,
    recipient: usize,
    bundle: Bundle,
    since: DateTime<Utc>,
    /// Not before: each try may arrive and its answer be lost.
    due: DateTime<Utc>,
    /// For so long after the next try, if that fails.
    wait: TimeDelta,
}

impl Unsent {
    /// It failed at `now`. `asked`: how long the channel wants to be left alone.
    fn wait_on(&mut self, now: DateTime<Utc>, asked: Option<Duration>) {
        let asked = asked.map_or(TimeDelta::zero(), |wait| {
            TimeDelta::from_std(wait).unwrap_or(LONGEST_ASKED)
        });
        self.due = now + self.wait.max(asked.min(LONGEST_ASKED));
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }
}

impl Watchdog {
    /// `public_url`: the address of the dashboard, or nothing.
    pub(super) fn new(
        channels: Vec<Channel>,
        rules: AlertRules,
        zone: Zone,
        public_url: String,
        started_at: DateTime<Utc>,
    ) -> Self {
        Watchdog {
            channels,
            rules,
            zone,
            public_url,
            awake_since: started_at,
            was_away_for: Duration::ZERO,
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
        // The next run may be a minute away: what the database kept from running is not said to be silent.
        if unanswered_for.is_zero() && self.was_away_for >= LONG_AWAY {
            self.awake_since = now;
        }
        self.was_away_for = unanswered_for;
        if let Some(runs) = runs {
            self.step(Rule::CheckSilent, &check_silent(runs, self.awake_since), now);
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
                let bundle = Bundle {
                    public_url: self.public_url.clone(),
                    ..bundle(&alert, channel, (kind, sequence), self.zone, now)
                };
                for recipient in 0..channel.recipients().len() {
                    self.unsent.push(Unsent {
                        channel: at,
                        recipient,
                        bundle: bundle.clone(),
                        since: now,
                        due: now,
                        wait: FIRST_WAIT,
                    });
                }
            }
        }
        self.alerts.insert(rule, alert);
    }

    async fn send(&mut self, now: DateTime<Utc>) {
        for mut one in std::mem::take(&mut self.unsent) {
            if one.due > now {
                self.unsent.push(one);
                continue;
            }
            let Some(channel) = self.channels.get(one.channel) else {
                continue;
            };
            let bundle = &one.bundle;
            let error = match channel.send(bundle, one.recipient).await {
                Ok(_) => {
                    info!("{} was told by {}", bundle.key, channel.name());
                    continue;
                }
                Err(error) => error,
            };
            let asked = match &error {
                SendError::Later { wait, .. } => *wait,
                SendError::Away(_) => None,
                // Neither the same message nor the same channel is taken the next time.
                SendError::Refused(_) | SendError::Off(_) => {
                    error!("{} was not told by {}: {error}", bundle.key, channel.name());
                    continue;
                }
            };
            // That something is wrong is told as soon as the channel works, however late.
            let rule = bundle.items.first().map(|item| item.rule);
            let is_open = rule
                .and_then(|rule| self.alerts.get(&rule))
                .is_some_and(|alert| alert.state == AlertState::Firing && bundle.kind == BundleKind::Opened);
            if is_open || now - one.since < TRIED_FOR {
                warn!("{} could not be told by {}: {error}", bundle.key, channel.name());
                one.wait_on(now, asked);
                self.unsent.push(one);
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
            worst: None,
            stopped: None,
            is_unstable: alert.is_unstable(),
        }],
        daily: None,
        note: None,
        opened_as: None,
        still_open: alert.state != AlertState::Resolved,
        public_url: String::new(),
        local_since: zone.time(since),
        thread,
    }
}

#[cfg(test)]
mod tests {
    use rastro_sandbox::slack::{SlackFault, SlackSandbox};

    use super::*;

    const PANEL: &str = "https://painel.exemplo.com.br";

    fn dog() -> Watchdog {
        with("")
    }

    /// One that speaks to a Slack webhook.
    fn with(webhook: &str) -> Watchdog {
        let mut config: crate::config::Config = rastro_boot::testing::config(&[]).unwrap();
        config.notify.slack.webhook_url = webhook.into();
        let channels = crate::notify::channels(&config).unwrap();
        let (zone, at) = (Zone(config.zone()), "2026-11-26T12:00:00Z".parse().unwrap());
        Watchdog::new(channels, config.alerts.clone(), zone, PANEL.to_owned(), at)
    }

    /// The database is away from the start: looks every five seconds, and the seconds at which Slack was
    /// called.
    async fn calls(slack: &SlackSandbox, for_seconds: u64) -> Vec<u64> {
        let mut dog = with(&slack.webhook_url());
        let (start, mut at, mut seen) = (dog.awake_since, Vec::new(), slack.calls());
        for second in (0..for_seconds).step_by(5) {
            let now = start + Duration::from_secs(second);
            dog.look(now, Duration::from_secs(91 + second), None).await;
            at.extend((seen..slack.calls()).map(|_| second));
            seen = slack.calls();
        }
        at
    }

    #[tokio::test]
    async fn an_answer_that_is_lost_does_not_flood_the_channel() {
        let slack = SlackSandbox::start().await.unwrap();
        for _ in 0..1_000 {
            slack.fail_with(SlackFault::FailAfter);
        }
        // After 30 s, twice as long each time, at most a quarter of an hour.
        assert_eq!(calls(&slack, 2_700).await, [0, 30, 90, 210, 450, 930, 1_830]);
    }

    #[tokio::test]
    async fn a_channel_that_says_when_is_asked_no_sooner_and_one_that_refuses_not_again() {
        let slack = SlackSandbox::start().await.unwrap();
        let answers = |status, retry_after| SlackFault::Status {
            status,
            body: "no".into(),
            retry_after,
        };
        slack.fail_with(answers(429, Some(600)));
        assert_eq!(calls(&slack, 1_800).await, [0, 600]);
        assert_eq!(slack.messages().len(), 1);
        slack.fail_with(answers(404, None));
        assert_eq!(calls(&slack, 1_800).await, [0]);
        assert_eq!(slack.messages().len(), 1);
    }

    #[tokio::test]
    async fn a_database_that_is_away_for_ninety_seconds_is_an_alert_and_its_return_ends_it() {
        let mut dog = dog();
        let start = dog.awake_since;
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

    /// What the database says of a check whose last good run was at that time.
    fn ran_at(last_good_run: DateTime<Utc>, now: DateTime<Utc>) -> LastRuns {
        LastRuns {
            now,
            last_run: Some(last_good_run),
            last_good_run: Some(last_good_run),
            last_error: None,
            history_days: None,
            history_counted: None,
        }
    }

    fn is_silent(dog: &Watchdog) -> bool {
        let alert = dog.alerts.get(&Rule::CheckSilent);
        alert.is_some_and(|alert| alert.state == AlertState::Firing)
    }

    #[tokio::test]
    async fn a_check_that_says_nothing_while_the_database_is_away_keeps_its_state() {
        let mut dog = dog();
        let start = dog.awake_since;
        let now = start + TimeDelta::minutes(6);
        dog.look(now, Duration::ZERO, Some(&ran_at(start, now))).await;
        assert!(is_silent(&dog));
        dog.look(now + TimeDelta::hours(2), Duration::from_secs(7_200), None)
            .await;
        assert!(is_silent(&dog));
    }

    #[tokio::test]
    async fn a_check_that_could_not_run_is_silent_only_after_the_database_has_been_back_for_five_minutes() {
        let mut dog = dog();
        let start = dog.awake_since;
        let (ran, away) = (start - TimeDelta::minutes(1), start + TimeDelta::seconds(400));
        dog.look(away, Duration::from_secs(400), None).await;
        let back = away + TimeDelta::seconds(5);
        dog.look(back, Duration::ZERO, Some(&ran_at(ran, back))).await;
        let rules: Vec<Rule> = dog.alerts.keys().copied().collect();
        assert_eq!(rules, [Rule::DatabaseDown]);
        // The runs that were due since have not come either.
        let later = back + TimeDelta::seconds(301);
        dog.look(later, Duration::ZERO, Some(&ran_at(ran, later))).await;
        assert!(is_silent(&dog));
    }

    #[tokio::test]
    async fn a_database_that_is_away_for_seconds_every_minute_hides_no_silence() {
        let mut dog = dog();
        let start = dog.awake_since;
        for minute in 1..=6 {
            let blip = start + TimeDelta::minutes(minute);
            dog.look(blip, Duration::from_secs(5), None).await;
            let back = blip + TimeDelta::seconds(5);
            dog.look(back, Duration::ZERO, Some(&ran_at(start, back))).await;
        }
        assert!(is_silent(&dog));
    }

    #[tokio::test]
    async fn what_it_says_leads_to_what_to_do() {
        let slack = SlackSandbox::start().await.unwrap();
        let mut dog = with(&slack.webhook_url());
        let now = dog.awake_since;
        dog.look(now, Duration::from_secs(91), None).await;
        let [message] = slack.messages().try_into().unwrap();
        let said = message.body.to_string();
        for link in ["/alertas", "/runbook#database-down"] {
            assert!(said.contains(&format!("\"{PANEL}{link}\"")), "{said}");
        }
    }
}
