//! Properties of the rules, for any sequence of measurements.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::message::{BUDGET_PER_HOUR, MessageKind, may_go};
use super::rule::Rule;
use super::state::AlertState;
use super::tests::{Life, thresholds};

fn values() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![Just(0.0), Just(4.0), Just(6.0), 0.0..100.0];
    prop::collection::vec((1i64..600, value), 1..400)
}

proptest! {
    #[test]
    fn whatever_is_measured_opened_and_resolved_alternate(
        values in values(), for_seconds in 0u32..300,
    ) {
        let mut life = Life::new(Rule::ErrorRate, thresholds(5.0, 2.5, for_seconds));
        for (seconds, value) in values {
            life.after(seconds, value);
            let count = |kind| life.messages.iter().filter(|&&other| other == kind).count();
            let (opened, resolved) = (count(MessageKind::Opened), count(MessageKind::Resolved));
            prop_assert!(opened >= resolved && resolved + 1 >= opened, "{:?}", life.messages);
            prop_assert!(count(MessageKind::Worse) <= opened);
        }
    }

    #[test]
    fn an_alert_never_fires_before_its_for_and_never_resolves_before_its_quiet_time(
        values in values(), for_seconds in 0u32..300,
    ) {
        let mut life = Life::new(Rule::ErrorRate, thresholds(5.0, 2.5, for_seconds));
        for (seconds, value) in values {
            life.after(seconds, value);
            let Some(alert) = &life.alert else { continue };
            if let Some(fired_at) = alert.fired_at {
                prop_assert!(fired_at - alert.pending_since >= TimeDelta::seconds(for_seconds.into()));
            }
            if alert.state == AlertState::Resolved {
                let quiet = alert.resolved_at.unwrap() - alert.last_true_at;
                prop_assert!(quiet >= TimeDelta::seconds(600));
                prop_assert!(!alert.is_unstable() || quiet >= TimeDelta::minutes(60));
            }
            prop_assert!(alert.worst_value >= 5.0 && alert.worst_value >= alert.told.map_or(0.0, |told| told.value.min(alert.worst_value)));
        }
    }

    #[test]
    fn no_sequence_of_ordinary_messages_exceeds_the_budget(minutes in prop::collection::vec(0usize..5, 60..200)) {
        // Messages sent per minute; in each, what waits is one message.
        let mut sent: Vec<usize> = Vec::new();
        let mut waiting = 0;
        for (now, arriving) in minutes.into_iter().enumerate() {
            waiting += arriving;
            let recent = sent.iter().filter(|&&at| at + 60 > now).count();
            if waiting > 0 && may_go(recent, false) {
                sent.push(now);
                waiting = 0;
            }
            prop_assert!(sent.iter().filter(|&&at| at + 60 > now).count() <= BUDGET_PER_HOUR);
        }
    }
}
