//! From the alerts as they were and what was measured to the alerts as they are, and to what is to be said.
//! Pure: no database, no clock.

use std::collections::BTreeSet;

use rastro_core::alert::message::{self, Now};
use rastro_core::alert::mute::muted_by;
use rastro_core::alert::{Alert, AlertRules, AlertState, Rule, Subject, state};
use rastro_store::{AlertChange, AlertChanges, NewMessage, Silence};

use super::evaluate::Evaluated;

/// What else a decision depends on.
pub(crate) struct Situation<'s> {
    pub(crate) rules: &'s AlertRules,
    pub(crate) silences: &'s [Silence],
    /// Where messages go.
    pub(crate) channels: &'s [&'static str],
    pub(crate) now: Now,
}

/// What a run decided.
pub(crate) struct Decided {
    pub(crate) changes: AlertChanges,
    pub(crate) evaluated: Vec<(Rule, Result<(), String>)>,
    /// Alerts that are in another state than before.
    pub(crate) transitions: usize,
}

impl Decided {
    /// Rules that could not be evaluated, with why.
    pub(crate) fn failed(&self) -> impl Iterator<Item = String> {
        self.evaluated
            .iter()
            .filter_map(|(rule, result)| Some(format!("rule {}: {}", rule.as_str(), result.as_ref().err()?)))
    }
}

/// `current`: the open alerts, and of each subject the one that resolved last, if that is not long ago.
pub(crate) fn decide(current: &[Alert], evaluated: Vec<Evaluated>, situation: &Situation<'_>) -> Decided {
    let mut after: Vec<(Option<&Alert>, Alert)> = Vec::new();
    let mut forgotten = Vec::new();
    let mut results = Vec::new();
    let mut is_evaluated = BTreeSet::new();
    for (rule, found) in evaluated {
        let measurements = match found {
            Ok(measurements) => measurements,
            Err(error) => {
                // Unknown: its alerts stay as they are.
                results.push((rule, Err(error)));
                continue;
            }
        };
        results.push((rule, Ok(())));
        is_evaluated.insert(rule);
        let mut subjects: BTreeSet<&Subject> =
            measurements.iter().map(|measured| &measured.subject).collect();
        let open = |alert: &&Alert| alert.rule == rule && alert.is_open();
        subjects.extend(current.iter().filter(open).map(|alert| &alert.subject));
        for subject in subjects {
            let before = latest(current, rule, subject);
            let measured = measurements.iter().find(|measured| measured.subject == *subject);
            let thresholds = situation.rules.of(rule).of(subject.dataset);
            match state::step(rule, before, measured, &thresholds, situation.now.at) {
                Some(alert) => after.push((before.filter(|before| before.is_open()), alert)),
                None => forgotten.extend(
                    before
                        .filter(|before| before.is_open())
                        .and_then(|before| before.id),
                ),
            }
        }
    }
    let untouched = current
        .iter()
        .filter(|alert| alert.is_open() && !is_evaluated.contains(&alert.rule));
    after.extend(untouched.map(|alert| (Some(alert), alert.clone())));

    let all: Vec<Alert> = after.iter().map(|(_, alert)| alert.clone()).collect();
    let mut changed = Vec::new();
    let mut transitions = forgotten.len();
    for (before, mut alert) in after {
        alert.muted_by = muted_by(&alert, &all);
        let silenced = situation
            .silences
            .iter()
            .any(|silence| silence.is_about(alert.rule, alert.subject.dataset));
        let due = message::due(&mut alert, silenced, situation.now);
        let messages = due.map_or_else(Vec::new, |(kind, sequence)| {
            let message = |&channel: &&'static str| NewMessage {
                kind: kind.as_str(),
                sequence,
                channel,
                severity: alert.severity,
                facts: alert.facts.clone(),
            };
            situation.channels.iter().map(message).collect()
        });
        if before.map(|before| before.state) != Some(alert.state) {
            transitions += 1;
        }
        if before != Some(&alert) {
            changed.push(AlertChange { alert, messages });
        }
    }
    Decided {
        changes: AlertChanges {
            changed,
            forgotten,
            evaluated: results.clone(),
        },
        evaluated: results,
        transitions,
    }
}

/// The open alert of a subject, or the one that resolved last.
fn latest<'a>(current: &'a [Alert], rule: Rule, subject: &Subject) -> Option<&'a Alert> {
    let of_subject = || {
        current
            .iter()
            .filter(|alert| alert.rule == rule && alert.subject == *subject)
    };
    of_subject()
        .find(|alert| alert.state != AlertState::Resolved)
        .or_else(|| of_subject().max_by_key(|alert| alert.resolved_at))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
    use rastro_boot::testing;
    use rastro_core::alert::{Facts, Measurement, Severity};

    use super::*;
    use crate::config::Config;

    /// Runs one after the other, as the database would keep them.
    struct Runs {
        rules: AlertRules,
        silences: Vec<Silence>,
        alerts: Vec<Alert>,
        at: DateTime<Utc>,
        next_id: i64,
    }

    impl Runs {
        fn new() -> Self {
            let config: Config = testing::config(&[]).unwrap();
            Runs {
                rules: config.alerts,
                silences: Vec::new(),
                alerts: Vec::new(),
                at: "2026-11-28T15:00:00Z".parse().unwrap(),
                next_id: 1,
            }
        }

        /// A minute later; what was said.
        fn run(&mut self, evaluated: Vec<Evaluated>) -> Vec<(Rule, &'static str, &'static str)> {
            self.at += TimeDelta::minutes(1);
            let local: NaiveDateTime = self.at.naive_utc() - TimeDelta::hours(3);
            let situation = Situation {
                rules: &self.rules,
                silences: &self.silences,
                channels: &["slack", "email"],
                now: Now { at: self.at, local },
            };
            let decided = decide(&self.alerts, evaluated, &situation);
            self.alerts
                .retain(|alert| !alert.id.is_some_and(|id| decided.changes.forgotten.contains(&id)));
            let mut said = Vec::new();
            for AlertChange { mut alert, messages } in decided.changes.changed {
                said.extend(
                    messages
                        .iter()
                        .map(|message| (alert.rule, message.kind, message.channel)),
                );
                match alert.id {
                    Some(id) => self.alerts.retain(|other| other.id != Some(id)),
                    None => {
                        alert.id = Some(self.next_id);
                        self.next_id += 1;
                    }
                }
                self.alerts.push(alert);
            }
            said
        }
    }

    fn measured(dataset: i64, value: f64) -> Measurement {
        Measurement {
            subject: Subject::dataset(dataset.try_into().unwrap()),
            value,
            severity: Severity::Critical,
            facts: Facts::default(),
        }
    }

    #[test]
    fn ten_datasets_that_fail_at_once_are_said_in_one_run_on_both_channels() {
        let mut runs = Runs::new();
        let all = || {
            (
                Rule::ErrorRate,
                Ok((1..=10).map(|id| measured(id, 50.0)).collect()),
            )
        };
        assert!(runs.run(vec![all()]).is_empty());
        assert!(runs.run(vec![all()]).is_empty());
        assert_eq!(runs.run(vec![all()]).len(), 20, "after its two minutes");
        assert!(runs.run(vec![all()]).is_empty(), "and once");
    }

    #[test]
    fn a_rule_that_cannot_be_evaluated_keeps_the_state_of_its_alerts() {
        let mut runs = Runs::new();
        for _ in 0..3 {
            runs.run(vec![(Rule::ErrorRate, Ok(vec![measured(1, 50.0)]))]);
        }
        let before = runs.alerts.clone();
        for _ in 0..100 {
            assert!(
                runs.run(vec![(Rule::ErrorRate, Err("timeout".into()))])
                    .is_empty()
            );
        }
        assert_eq!(runs.alerts[0].state, AlertState::Firing);
        assert_eq!(runs.alerts, before);
    }

    #[test]
    fn an_open_breaker_mutes_what_follows_from_it_and_what_is_left_over_is_said_afterwards() {
        let mut runs = Runs::new();
        let breaker = |open: bool| {
            let found = if open { vec![measured(1, 1.0)] } else { vec![] };
            (Rule::BreakerErrors, Ok(found))
        };
        let errors = || (Rule::ErrorRate, Ok(vec![measured(1, 50.0)]));
        let said = runs.run(vec![breaker(true), errors()]);
        assert_eq!(said.len(), 2, "{said:?}");
        for _ in 0..5 {
            let said = runs.run(vec![breaker(true), errors()]);
            assert!(said.is_empty(), "{said:?}");
        }
        let mut said = Vec::new();
        for _ in 0..12 {
            said.extend(runs.run(vec![breaker(false), errors()]));
        }
        assert_eq!(
            said,
            [
                (Rule::BreakerErrors, "resolved", "slack"),
                (Rule::BreakerErrors, "resolved", "email"),
                (Rule::ErrorRate, "opened", "slack"),
                (Rule::ErrorRate, "opened", "email"),
            ]
        );
    }

    #[test]
    fn a_silence_is_for_its_rule_and_dataset() {
        let mut runs = Runs::new();
        runs.silences.push(Silence {
            silence_id: 1,
            rule: Some("breaker_errors".into()),
            dataset_id: Some(1),
            starts_at: runs.at,
            ends_at: runs.at + TimeDelta::hours(2),
            created_by: "Ana".into(),
            reason: "manutenção".into(),
        });
        let both = || (Rule::BreakerErrors, Ok(vec![measured(1, 1.0), measured(2, 1.0)]));
        assert_eq!(runs.run(vec![both()]).len(), 2, "of the other dataset");
        runs.silences.clear();
        assert_eq!(runs.run(vec![both()]).len(), 2, "of the one that is still open");
    }

    #[test]
    fn pending_alerts_that_are_over_are_forgotten() {
        let mut runs = Runs::new();
        runs.run(vec![(Rule::ErrorRate, Ok(vec![measured(1, 50.0)]))]);
        assert_eq!(runs.alerts.len(), 1);
        runs.run(vec![(Rule::ErrorRate, Ok(vec![measured(1, 0.0)]))]);
        assert!(runs.alerts.is_empty());
    }
}
