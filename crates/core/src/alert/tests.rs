//! The rules, example by example.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::facts::Facts;
use super::measure::{Budget, Tally, burn, enough, error_rate, percentile};
use super::message::{MessageKind, Now, due, may_go};
use super::mute::muted_by;
use super::rule::{Rule, Severity};
use super::settings::Thresholds;
use super::state::{Alert, AlertState, Measurement, Side, Subject, side, step};

pub(super) fn thresholds(fires: f64, clears: f64, for_seconds: u32) -> Thresholds {
    Thresholds {
        enabled: true,
        fires,
        clears,
        for_seconds,
        clear_for_seconds: 600,
        window_seconds: 300,
        minimum: 20,
        dataset: Default::default(),
    }
}

/// Row R18: error rate > 5 % in 5 min.
fn error_rate_thresholds() -> Thresholds {
    thresholds(5.0, 2.5, 120)
}

fn dataset(id: i64) -> Subject {
    Subject::dataset(id.try_into().unwrap())
}

pub(super) fn measured(value: f64) -> Measurement {
    Measurement {
        subject: dataset(1),
        value,
        severity: Severity::Critical,
        facts: Facts::default(),
    }
}

/// Noon in São Paulo, 15:00 UTC.
pub(super) fn noon() -> DateTime<Utc> {
    "2026-11-28T15:00:00Z".parse().unwrap()
}

pub(super) fn local(at: DateTime<Utc>) -> Now {
    Now {
        at,
        local: NaiveDateTime::parse_from_str("2026-11-28T12:00:00", "%Y-%m-%dT%H:%M:%S").unwrap()
            + (at - noon()),
    }
}

/// One rule with one subject, run once a minute.
pub(super) struct Life {
    rule: Rule,
    thresholds: Thresholds,
    pub(super) alert: Option<Alert>,
    pub(super) at: DateTime<Utc>,
    pub(super) messages: Vec<MessageKind>,
}

impl Life {
    pub(super) fn new(rule: Rule, thresholds: Thresholds) -> Self {
        Life {
            rule,
            thresholds,
            alert: None,
            at: noon(),
            messages: Vec::new(),
        }
    }

    /// A run in which this was measured, after so many seconds.
    pub(super) fn after(&mut self, seconds: i64, value: f64) -> &mut Self {
        self.at += TimeDelta::seconds(seconds);
        let after = step(
            self.rule,
            self.alert.as_ref(),
            Some(&measured(value)),
            &self.thresholds,
            self.at,
        );
        // What was not stored is what it was before, resolved.
        self.alert = after.or_else(|| self.alert.take().filter(|alert| !alert.is_open()));
        if let Some(alert) = &mut self.alert {
            self.messages
                .extend(due(alert, false, local(self.at)).map(|(kind, _)| kind));
        }
        self
    }

    fn state(&self) -> Option<AlertState> {
        self.alert.as_ref().map(|alert| alert.state)
    }
}

#[test]
fn every_rule_is_found_by_its_name_and_has_an_anchor() {
    for &rule in Rule::ALL {
        assert_eq!(Rule::parse(rule.as_str()), Some(rule));
        assert!(!rule.anchor().contains('_'));
    }
    assert_eq!(Rule::ErrorRate.anchor(), "error-rate");
    assert_eq!(Rule::parse("error-rate"), None);
}

#[test]
fn one_failure_of_one_attempt_never_fires() {
    let one = |window_seconds| Tally {
        window_seconds,
        total: 1,
        bad: 1,
        bad_requests: 1,
    };
    // In no window are there twenty attempts, so nothing is concluded.
    assert_eq!(error_rate(&[300, 900, 3_600, 21_600].map(one), 20), None);
}

#[test]
fn one_batch_of_a_thousand_that_fails_once_is_no_outage() {
    let batch = Tally {
        window_seconds: 300,
        total: 2_000,
        bad: 1_000,
        bad_requests: 1,
    };
    assert_eq!(error_rate(&[batch], 20).unwrap().percent(), 0.0);
    let two = Tally {
        bad_requests: 2,
        ..batch
    };
    assert_eq!(error_rate(&[two], 20).unwrap().percent(), 50.0);
    let few = Tally {
        total: 20,
        bad: 2,
        bad_requests: 2,
        ..batch
    };
    assert_eq!(error_rate(&[few], 20).unwrap().percent(), 0.0, "two of twenty");
}

#[test]
fn a_window_grows_until_it_holds_twenty_attempts() {
    let windows = [(300, 3), (900, 19), (3_600, 20), (21_600, 90)].map(|(window_seconds, total)| Tally {
        window_seconds,
        total,
        ..Tally::default()
    });
    assert_eq!(enough(&windows, 20).unwrap().window_seconds, 3_600);
    assert_eq!(enough(&windows, 3).unwrap().window_seconds, 300);
    assert_eq!(enough(&windows, 91), None);
}

#[test]
fn exactly_five_percent_is_not_above_five_percent() {
    let limits = error_rate_thresholds();
    assert_eq!(side(Rule::ErrorRate, 5.0, &limits), Side::Between);
    assert_eq!(side(Rule::ErrorRate, 5.000_1, &limits), Side::Beyond);
    assert_eq!(side(Rule::ErrorRate, 2.5, &limits), Side::Between);
    assert_eq!(side(Rule::ErrorRate, 2.49, &limits), Side::Quiet);
    // Fewer than 2 days of partitions fire, 5 clear.
    let days = thresholds(2.0, 5.0, 0);
    assert_eq!(side(Rule::Partitions, 1.0, &days), Side::Beyond);
    assert_eq!(side(Rule::Partitions, 2.0, &days), Side::Between);
    assert_eq!(side(Rule::Partitions, 5.0, &days), Side::Quiet);
}

#[test]
fn an_alert_fires_after_its_for_and_not_a_second_before() {
    let mut life = Life::new(Rule::ErrorRate, error_rate_thresholds());
    life.after(0, 9.0).after(119, 9.0);
    assert_eq!(life.state(), Some(AlertState::Pending));
    assert!(life.messages.is_empty());
    life.after(1, 9.0);
    assert_eq!(life.state(), Some(AlertState::Firing));
    assert_eq!(life.messages, [MessageKind::Opened]);
}

#[test]
fn what_is_true_with_a_break_does_not_fire() {
    let mut life = Life::new(Rule::ErrorRate, error_rate_thresholds());
    life.after(0, 9.0).after(60, 4.0).after(60, 9.0).after(60, 9.0);
    assert_eq!(life.state(), Some(AlertState::Pending));
    life.after(60, 9.0);
    assert_eq!(life.state(), Some(AlertState::Firing));
}

#[test]
fn a_rate_between_the_two_thresholds_changes_nothing() {
    let mut life = Life::new(Rule::ErrorRate, error_rate_thresholds());
    for _ in 0..60 {
        life.after(60, 4.0);
    }
    assert_eq!(
        (life.state(), life.messages.len()),
        (None, 0),
        "quiet stays quiet"
    );
    life.after(60, 9.0).after(120, 9.0);
    for _ in 0..60 {
        life.after(60, 4.0);
    }
    assert_eq!(life.state(), Some(AlertState::Firing), "firing stays firing");
    assert_eq!(life.messages, [MessageKind::Opened]);
}

#[test]
fn it_resolves_when_it_was_quiet_for_ten_minutes_without_a_break_and_says_so_once() {
    let mut life = Life::new(Rule::ErrorRate, error_rate_thresholds());
    life.after(0, 9.0).after(120, 9.0).after(60, 1.0).after(599, 1.0);
    assert_eq!(life.state(), Some(AlertState::Firing));
    life.after(1, 4.0).after(60, 1.0).after(599, 1.0);
    assert_eq!(
        life.state(),
        Some(AlertState::Firing),
        "the ten minutes began anew"
    );
    life.after(1, 1.0).after(60, 1.0);
    assert_eq!(life.state(), Some(AlertState::Resolved));
    assert_eq!(life.messages, [MessageKind::Opened, MessageKind::Resolved]);
}

#[test]
fn a_value_that_swings_every_minute_for_an_hour_is_three_messages_at_most() {
    for for_seconds in [0, 60, 120] {
        let mut life = Life::new(Rule::ErrorRate, thresholds(5.0, 2.5, for_seconds));
        for minute in 0..60 {
            life.after(60, if minute % 2 == 0 { 20.0 } else { 0.0 });
        }
        assert!(life.messages.len() <= 3, "{:?}", life.messages);
    }
    // Also where it swings just so slowly that each time it resolves: the third time says that it is
    // unstable, and no more.
    let mut life = Life::new(Rule::ErrorRate, thresholds(5.0, 2.5, 0));
    for round in 0..12 {
        life.after(60, 9.0);
        for _ in 0..11 {
            life.after(60, 0.0);
        }
        if round >= 2 {
            assert!(life.alert.as_ref().unwrap().is_unstable(), "round {round}");
        }
    }
    use MessageKind::{Opened, Resolved};
    assert_eq!(life.messages, [Opened, Resolved, Opened, Resolved, Opened]);
    for _ in 0..62 {
        life.after(60, 0.0);
    }
    assert_eq!(life.messages.last(), Some(&Resolved), "an hour of quiet ends it");
}

/// What a run does with a rule that could not be evaluated: nothing. See also the test of the run itself.
#[test]
fn an_unknown_measurement_changes_no_state() {
    let mut life = Life::new(Rule::ErrorRate, error_rate_thresholds());
    life.after(0, 9.0);
    // For ten minutes nobody could ask; then it is true again.
    life.at += TimeDelta::minutes(10);
    life.after(0, 9.0);
    assert_eq!(
        life.state(),
        Some(AlertState::Firing),
        "it was true before and after"
    );
}

#[test]
fn a_subject_of_which_nothing_is_found_is_quiet() {
    let limits = thresholds(0.0, 1.0, 0);
    let before = step(Rule::DeadLetters, None, Some(&measured(3.0)), &limits, noon()).unwrap();
    let quiet = step(
        Rule::DeadLetters,
        Some(&before),
        None,
        &limits,
        noon() + TimeDelta::minutes(1),
    )
    .unwrap();
    assert_eq!(quiet.clear_since, Some(noon() + TimeDelta::minutes(1)));
    let after = step(
        Rule::DeadLetters,
        Some(&quiet),
        None,
        &limits,
        noon() + TimeDelta::minutes(11),
    )
    .unwrap();
    assert_eq!(after.state, AlertState::Resolved);
}

#[test]
fn a_rule_that_is_switched_off_opens_nothing_and_closes_what_is_open() {
    let off = Thresholds {
        enabled: false,
        ..thresholds(5.0, 2.5, 0)
    };
    assert_eq!(
        step(Rule::ErrorRate, None, Some(&measured(50.0)), &off, noon()),
        None
    );
    let open = step(
        Rule::ErrorRate,
        None,
        Some(&measured(50.0)),
        &thresholds(5.0, 2.5, 0),
        noon(),
    );
    let after = step(
        Rule::ErrorRate,
        open.as_ref(),
        Some(&measured(50.0)),
        &off,
        noon(),
    )
    .unwrap();
    assert_eq!(after.clear_since, Some(noon()));
}

#[test]
fn thresholds_of_one_dataset_are_its_own() {
    let mut all = error_rate_thresholds();
    let id = 7_i64.try_into().unwrap();
    all.dataset.insert(
        id,
        super::settings::Override {
            fires: Some(20.0),
            ..Default::default()
        },
    );
    assert_eq!(all.of(Some(id)).fires, 20.0);
    assert_eq!(all.of(Some(id)).clears, 2.5);
    assert_eq!(all.of(Some(8_i64.try_into().unwrap())).fires, 5.0);
    assert_eq!(all.of(None).fires, 5.0);
}

#[test]
fn worse_is_said_once() {
    let mut life = Life::new(Rule::ErrorRate, error_rate_thresholds());
    life.after(0, 9.0).after(120, 9.0).after(60, 17.9);
    assert_eq!(life.messages, [MessageKind::Opened]);
    life.after(60, 18.0).after(60, 60.0).after(60, 100.0);
    assert_eq!(life.messages, [MessageKind::Opened, MessageKind::Worse]);
}

#[test]
fn critical_alerts_are_said_again_after_four_hours_and_then_every_morning() {
    let mut life = Life::new(Rule::ErrorRate, error_rate_thresholds());
    life.after(0, 9.0).after(120, 9.0); // 12:02
    life.after(4 * 3_600 - 60, 9.0);
    assert_eq!(life.messages.len(), 1);
    life.after(60, 9.0); // 16:02
    assert_eq!(life.messages, [MessageKind::Opened, MessageKind::Reminder]);
    for _ in 0..(16 * 60 + 57) {
        life.after(60, 9.0);
    } // 08:59
    assert_eq!(life.messages.len(), 2);
    life.after(60, 9.0).after(60, 9.0);
    assert_eq!(life.messages.len(), 3, "09:00");
}

#[test]
fn warnings_are_said_again_in_the_morning_and_never_at_night() {
    let mut life = Life::new(Rule::Duplicates, thresholds(10.0, 7.0, 0));
    let warning = Measurement {
        severity: Severity::Warning,
        ..measured(12.0)
    };
    let mut alert = step(Rule::Duplicates, None, Some(&warning), &life.thresholds, life.at).unwrap();
    assert_eq!(
        due(&mut alert, false, local(life.at)),
        Some((MessageKind::Opened, 1))
    );
    let mut reminders = Vec::new();
    for _ in 0..(48 * 60) {
        life.at += TimeDelta::minutes(1);
        if due(&mut alert, false, local(life.at)).is_some() {
            reminders.push(local(life.at).local.format("%d %H:%M").to_string());
        }
    }
    assert_eq!(reminders, ["29 09:00", "30 09:00"]);
}

#[test]
fn acknowledged_means_no_reminders_and_snoozed_means_nothing_and_then_as_if_new() {
    let mut life = Life::new(Rule::ErrorRate, error_rate_thresholds());
    life.after(0, 9.0).after(120, 9.0);
    life.alert.as_mut().unwrap().acknowledged = true;
    life.after(5 * 3_600, 9.0);
    assert_eq!(life.messages, [MessageKind::Opened]);
    let alert = life.alert.as_mut().unwrap();
    alert.snoozed_until = Some(life.at + TimeDelta::hours(1));
    life.after(3_599, 100.0);
    assert_eq!(life.messages, [MessageKind::Opened], "not even worse");
    life.after(1, 100.0).after(60, 100.0);
    assert_eq!(life.messages, [MessageKind::Opened, MessageKind::Opened]);
    assert_eq!(life.alert.as_ref().unwrap().openings, 2);
}

#[test]
fn information_is_for_the_daily_mail_until_it_becomes_worse() {
    let limits = thresholds(7_200.0, 1.0, 0);
    let of = |severity| Measurement {
        severity,
        ..measured(8_000.0)
    };
    let mut alert = step(
        Rule::BreakerForced,
        None,
        Some(&of(Severity::Info)),
        &limits,
        noon(),
    )
    .unwrap();
    assert_eq!(due(&mut alert, false, local(noon())), None);
    let mut alert = step(
        Rule::BreakerForced,
        Some(&alert),
        Some(&of(Severity::Warning)),
        &limits,
        noon(),
    )
    .unwrap();
    assert_eq!(
        due(&mut alert, false, local(noon())),
        Some((MessageKind::Opened, 1))
    );
}

#[test]
fn silence_keeps_an_alert_open_and_says_nothing_until_it_is_over() {
    let mut alert = step(
        Rule::ErrorRate,
        None,
        Some(&measured(9.0)),
        &thresholds(5.0, 2.5, 0),
        noon(),
    )
    .unwrap();
    assert_eq!(due(&mut alert, true, local(noon())), None);
    assert_eq!(
        due(&mut alert, false, local(noon())),
        Some((MessageKind::Opened, 1))
    );
}

#[test]
fn an_open_breaker_mutes_what_follows_from_it_in_its_own_dataset() {
    let firing = |rule, id: i64| {
        let measured = Measurement {
            subject: dataset(id),
            ..measured(1.0)
        };
        step(rule, None, Some(&measured), &thresholds(0.0, 1.0, 0), noon()).unwrap()
    };
    let open = [firing(Rule::BreakerErrors, 1)];
    for rule in [
        Rule::ErrorRate,
        Rule::Latency,
        Rule::QueueAge,
        Rule::DeliveryBudget,
    ] {
        assert_eq!(
            muted_by(&firing(rule, 1), &open),
            Some(Rule::BreakerErrors),
            "{rule:?}"
        );
        assert_eq!(
            muted_by(&firing(rule, 2), &open),
            None,
            "{rule:?} of another dataset"
        );
    }
    assert_eq!(muted_by(&firing(Rule::Duplicates, 1), &open), None);
    let mut dead = firing(Rule::DeadLetters, 1);
    assert_eq!(muted_by(&dead, &open), None, "refused events are news");
    dead.facts.reason = Some("exhausted".into());
    assert_eq!(muted_by(&dead, &open), Some(Rule::BreakerErrors));
    assert_eq!(muted_by(&open[0], &open), None, "nothing mutes itself");
    let pending = step(
        Rule::BreakerErrors,
        None,
        Some(&measured(1.0)),
        &thresholds(0.0, 1.0, 60),
        noon(),
    )
    .unwrap();
    assert_eq!(
        muted_by(&firing(Rule::ErrorRate, 1), &[pending]),
        None,
        "a cause that is not said mutes nothing"
    );
    let database = Alert {
        subject: Subject::system(),
        ..firing(Rule::DatabaseDown, 1)
    };
    assert_eq!(
        muted_by(&firing(Rule::Duplicates, 1), &[database]),
        Some(Rule::DatabaseDown)
    );
}

#[test]
fn silence_of_everything_mutes_the_silence_of_its_parts() {
    let firing = |subject: Subject| {
        let measured = Measurement {
            subject,
            ..measured(0.000_1)
        };
        step(
            Rule::Silence,
            None,
            Some(&measured),
            &thresholds(0.001, 0.001, 0),
            noon(),
        )
        .unwrap()
    };
    let (all, orders) = (firing(dataset(1)), firing(dataset(1).group("Purchase")));
    let open = [all.clone(), orders.clone()];
    assert_eq!(muted_by(&orders, &open), Some(Rule::Silence));
    assert_eq!(muted_by(&all, &open), None);
    assert_eq!(muted_by(&firing(dataset(2).group("Purchase")), &open), None);
}

#[test]
fn above_the_budget_messages_wait_to_be_one_and_a_critical_one_passes() {
    assert!(may_go(11, false));
    assert!(!may_go(12, false));
    assert!(may_go(500, true));
}

/// SRE workbook, chapter 5: 14.4 times the budget over an hour spends 2 % of 30 days' budget; both windows
/// must agree.
#[test]
fn the_budget_burns_when_both_windows_say_so() {
    let window = |accepted, undelivered| Budget {
        accepted,
        undelivered,
    };
    let idle = window(100_000, 0);
    // 1.5 % of events in both: 15 times the budget.
    let burning = burn(window(10_000, 150), window(1_000, 15), idle, idle, 1_000);
    assert!((burning - 15.0 / 14.4).abs() < 1e-9, "{burning}");
    assert_eq!(
        burn(window(10_000, 150), window(1_000, 0), idle, idle, 1_000),
        0.0,
        "it is over"
    );
    assert_eq!(
        burn(window(999, 150), window(100, 15), idle, idle, 1_000),
        0.0,
        "too few to say"
    );
    let slow = burn(idle, idle, window(50_000, 350), window(5_000, 35), 1_000);
    assert!((slow - 7.0 / 6.0).abs() < 1e-9, "{slow}");
}

/// By hand: 100 requests, 90 below 100 ms, 8 from 100 to 200 ms, 2 unanswered. The 95th is five eighths into
/// the second bucket.
#[test]
fn percentiles_of_buckets_count_unanswered_requests_as_slower_than_all() {
    let (limits, counts) = ([100, 200], [90, 8, 0]);
    assert_eq!(percentile(&counts, 2, &limits, 0.95), Some(162.5));
    assert_eq!(percentile(&counts, 2, &limits, 0.5), Some(100.0 * 50.0 / 90.0));
    assert_eq!(percentile(&counts, 2, &limits, 0.99), None, "it was not answered");
    assert_eq!(
        percentile(&[0, 0, 5], 0, &limits, 0.5),
        None,
        "it is slower than the last limit"
    );
    assert_eq!(percentile(&[], 0, &limits, 0.5), None);
}
