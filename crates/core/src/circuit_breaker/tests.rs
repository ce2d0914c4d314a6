//! The numbers of the requirement, and the stories a breaker was seen to get wrong elsewhere.

use super::*;

const SECOND: i64 = 1_000;
/// Any instant: 2026-01-01 00:00 UTC.
const START: i64 = 1_767_225_600_000;
const QUIET: Evidence = Evidence {
    requests: 0,
    failures: 0,
    consecutive_failures: 0,
};

fn settings() -> BreakerSettings {
    BreakerSettings::default()
}

fn failed(failures: u32, requests: u32) -> Evidence {
    Evidence {
        requests,
        failures,
        consecutive_failures: 0,
    }
}

/// Opened by errors at `START`, without chance: until 30 s later.
fn open() -> Breaker {
    Breaker::closed(START - SECOND)
        .tick(&failed(20, 20), START, &settings(), 0.0)
        .unwrap()
}

fn half_open() -> Breaker {
    open()
        .tick(&QUIET, START + 30 * SECOND, &settings(), 0.0)
        .unwrap()
}

/// Takes a probe and settles it at once.
fn probed(breaker: &Breaker, outcome: ProbeOutcome, now_ms: i64, settings: &BreakerSettings) -> Breaker {
    let taken = breaker.take_probe(now_ms, settings).unwrap();
    taken
        .settle_probe(outcome, taken.generation, now_ms, settings, 0.0)
        .unwrap()
}

#[test]
fn more_than_half_of_the_requests_failing_opens_it_and_half_does_not() {
    let closed = Breaker::closed(START);
    let tick = |evidence| closed.tick(&evidence, START + SECOND, &settings(), 0.0);
    assert_eq!(tick(failed(500, 1000)), None);
    let opened = tick(failed(501, 1000)).unwrap();
    assert_eq!(opened.state, State::Open);
    assert_eq!(opened.reason, Some(Reason::Errors));
    assert_eq!(opened.since_ms, START + SECOND);
    assert_eq!(opened.open_until_ms, Some(START + 31 * SECOND));
    assert_eq!(opened.permission(START + SECOND), Permission::Nothing);
}

#[test]
fn nineteen_requests_are_too_few_for_a_rate_and_twenty_are_enough() {
    let tick = |evidence| Breaker::closed(START).tick(&evidence, START + SECOND, &settings(), 0.0);
    assert_eq!(tick(failed(19, 19)), None);
    assert!(tick(failed(11, 20)).is_some());
}

#[test]
fn three_failures_in_a_row_open_it_at_once_unless_that_is_switched_off() {
    let evidence = |consecutive_failures| Evidence {
        consecutive_failures,
        ..failed(3, 100)
    };
    let tick = |row, settings: BreakerSettings| {
        Breaker::closed(START).tick(&evidence(row), START + SECOND, &settings, 0.0)
    };
    assert_eq!(tick(2, settings()), None);
    assert_eq!(tick(3, settings()).unwrap().reason, Some(Reason::Errors));
    let off = BreakerSettings {
        consecutive_failures: 0,
        ..settings()
    };
    assert_eq!(tick(100, off), None);
}

#[test]
fn a_wait_that_is_over_lets_one_probe_out() {
    let open = open();
    let over = START + 30 * SECOND;
    assert_eq!(open.tick(&QUIET, over - 1, &settings(), 0.0), None);
    let half_open = open.tick(&QUIET, over, &settings(), 0.0).unwrap();
    assert_eq!(half_open.state, State::HalfOpen);
    assert_eq!(half_open.permission(over), Permission::Probe);

    let taken = half_open.take_probe(over, &settings()).unwrap();
    assert_eq!(taken.permission(over), Permission::Nothing);
    assert_eq!(taken.take_probe(over, &settings()), None);
}

#[test]
fn a_probe_that_never_comes_back_is_replaced_after_its_lease_and_its_late_result_ignored() {
    let taken = half_open().take_probe(START + 30 * SECOND, &settings()).unwrap();
    let lapsed = START + 120 * SECOND;
    assert_eq!(taken.permission(lapsed - 1), Permission::Nothing);
    let retaken = taken.take_probe(lapsed, &settings()).unwrap();
    let late = retaken.settle_probe(ProbeOutcome::Failed, taken.generation, lapsed, &settings(), 0.0);
    assert_eq!(late, None);
}

#[test]
fn ten_good_probes_close_it_and_nine_do_not() {
    let now = START + 30 * SECOND;
    let mut breaker = half_open();
    for _ in 0..9 {
        breaker = probed(&breaker, ProbeOutcome::Succeeded, now, &settings());
        assert_eq!(breaker.permission(now), Permission::Probe);
    }
    breaker = probed(&breaker, ProbeOutcome::Succeeded, now, &settings());
    assert_eq!(breaker.permission(now), Permission::Freely);
    assert_eq!(
        breaker,
        Breaker {
            generation: 2 + 20, // opened, half-opened, ten times taken and settled
            ..Breaker::closed(now)
        }
    );
}

#[test]
fn a_failure_rate_of_ten_percent_does_not_close_it_and_one_below_does() {
    let now = START + 30 * SECOND;
    let of_probes = |failures, probes_to_close| {
        let settings = BreakerSettings {
            probes_to_close,
            ..settings()
        };
        let mut breaker = half_open();
        for probe in 0..probes_to_close {
            let outcome = match probe < failures {
                true => ProbeOutcome::Failed,
                false => ProbeOutcome::Succeeded,
            };
            breaker = probed(&breaker, outcome, now, &settings);
            if breaker.state != State::HalfOpen {
                break;
            }
        }
        breaker.state
    };
    assert_eq!(of_probes(1, 10), State::Open, "10 %");
    assert_eq!(of_probes(1, 11), State::Closed, "9.1 %");
    assert_eq!(of_probes(2, 20), State::Open, "10 %");
    assert_eq!(of_probes(1, 20), State::Closed, "5 %");
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_the_longest() {
    let mut breaker = open();
    let mut waits = vec![];
    for _ in 0..7 {
        let over = breaker.open_until_ms.unwrap();
        waits.push((over - breaker.since_ms) / SECOND);
        let half_open = breaker.tick(&QUIET, over, &settings(), 0.0).unwrap();
        breaker = probed(&half_open, ProbeOutcome::Failed, over, &settings());
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
}

#[test]
fn chance_lengthens_a_wait_by_up_to_a_fifth() {
    let wait = |chance| {
        let opened = Breaker::closed(START).stop(Reason::Errors, None, START, &settings(), chance);
        opened.unwrap().open_until_ms.unwrap() - START
    };
    assert_eq!([0.0, 0.5, 1.0].map(wait), [30_000, 33_000, 36_000]);
    assert_eq!([f64::NAN, -1.0, 9.0].map(wait), [30_000, 30_000, 36_000]);
}

#[test]
fn a_probe_that_learnt_nothing_counts_for_nothing_and_frees_its_place() {
    let now = START + 30 * SECOND;
    let before = half_open();
    let after = probed(&before, ProbeOutcome::Released, now, &settings());
    assert_eq!(
        after,
        Breaker {
            generation: before.generation + 2,
            ..before
        }
    );
}

#[test]
fn a_throttled_dataset_waits_as_long_as_meta_says_and_then_flows_again_without_a_probe() {
    let until = START + 600 * SECOND;
    let stopped = Breaker::closed(START)
        .stop(Reason::Throttled, Some(until), START, &settings(), 0.0)
        .unwrap();
    assert_eq!(stopped.reason, Some(Reason::Throttled));
    assert_eq!(stopped.permission(until - 1), Permission::Nothing);
    assert_eq!(stopped.tick(&QUIET, until - 1, &settings(), 0.0), None);
    let closed = stopped.tick(&QUIET, until, &settings(), 0.0).unwrap();
    assert_eq!(closed.permission(until), Permission::Freely);
    assert_eq!(closed.reason, None);
}

#[test]
fn a_dataset_throttled_again_and_again_waits_ever_longer_until_it_was_quiet_for_a_window() {
    let throttle = |breaker: &Breaker, now| {
        let stopped = breaker.stop(Reason::Throttled, Some(now), now, &settings(), 0.0);
        stopped.unwrap()
    };
    let first = throttle(&Breaker::closed(START), START);
    assert_eq!(first.open_until_ms, Some(START + 30 * SECOND));
    let reopened = START + 30 * SECOND;
    let closed = first.tick(&QUIET, reopened, &settings(), 0.0).unwrap();
    let wait_after = |quiet| throttle(&closed, reopened + quiet).open_until_ms.unwrap() - reopened - quiet;
    assert_eq!(wait_after(299 * SECOND), 60 * SECOND);
    assert_eq!(wait_after(300 * SECOND), 30 * SECOND);
}

#[test]
fn the_same_news_from_several_requests_is_one_change() {
    let first = Breaker::closed(START)
        .stop(Reason::Blocked, None, START, &settings(), 0.0)
        .unwrap();
    let later = START + SECOND;
    assert_eq!(first.stop(Reason::Blocked, None, later, &settings(), 1.0), None);
    assert_eq!(first.stop(Reason::Errors, None, later, &settings(), 1.0), None);
    let soon = first.open_until_ms;
    assert_eq!(first.stop(Reason::Throttled, soon, later, &settings(), 1.0), None);
}

#[test]
fn an_outage_that_also_throttles_still_has_to_be_probed() {
    let until = START + 100 * SECOND;
    let stopped = open()
        .stop(Reason::Throttled, Some(until), START, &settings(), 0.0)
        .unwrap();
    assert_eq!(stopped.open_until_ms, Some(until));
    let after = stopped.tick(&QUIET, until, &settings(), 0.0).unwrap();
    assert_eq!(after.state, State::HalfOpen);
}

#[test]
fn a_blocked_dataset_may_probe_as_soon_as_a_new_token_is_entered() {
    let now = START + SECOND;
    let blocked = Breaker::closed(START)
        .stop(Reason::Blocked, None, START, &settings(), 0.0)
        .unwrap();
    let freed = blocked.retry_at_once(now).unwrap();
    assert_eq!(freed.permission(now), Permission::Probe);
    assert_eq!(
        freed.reason,
        Some(Reason::Blocked),
        "until the probes say otherwise"
    );
    assert_eq!(freed.retry_at_once(now), None);
    assert_eq!(Breaker::closed(START).retry_at_once(now), None);
}

#[test]
fn a_dataset_that_is_refused_event_after_event_waits_ever_longer_between_its_probes() {
    let refused = |breaker: &Breaker, now| {
        let outcome = ProbeOutcome::Stopped {
            reason: Reason::Refused,
            until_ms: None,
        };
        probed(breaker, outcome, now, &settings())
    };
    let stopped = Breaker::closed(START)
        .stop(Reason::Refused, None, START, &settings(), 0.0)
        .unwrap();
    assert_eq!(
        (stopped.state, stopped.reason),
        (State::Open, Some(Reason::Refused))
    );
    assert_eq!(stopped.open_until_ms, Some(START + 30 * SECOND));
    // Time alone does not end it, as it would end a throttle.
    let over = START + 30 * SECOND;
    let half_open = stopped.tick(&QUIET, over, &settings(), 0.0).unwrap();
    assert_eq!(half_open.permission(over), Permission::Probe);
    let again = refused(&half_open, over);
    assert_eq!(again.open_until_ms, Some(over + 60 * SECOND));
    assert_eq!(again.reason, Some(Reason::Refused));
    // A person who removed the cause need not wait for the next probe.
    let freed = again.retry_at_once(over + SECOND).unwrap();
    assert_eq!(freed.permission(over + SECOND), Permission::Probe);
}

#[test]
fn what_takes_a_person_stands_until_it_is_over_whatever_else_is_heard() {
    let open = Breaker::closed(START)
        .stop(Reason::Refused, None, START, &settings(), 0.0)
        .unwrap();
    let throttled = open.stop(
        Reason::Throttled,
        Some(START + 600 * SECOND),
        START,
        &settings(),
        0.0,
    );
    assert_eq!(throttled.unwrap().reason, Some(Reason::Refused));
    let blocked = open.stop(Reason::Blocked, None, START, &settings(), 0.0);
    assert_eq!(blocked.unwrap().reason, Some(Reason::Blocked));
}

#[test]
fn a_new_token_does_not_shorten_the_wait_that_meta_asked_for() {
    let throttled = Breaker::closed(START).stop(Reason::Throttled, None, START, &settings(), 0.0);
    assert_eq!(throttled.unwrap().retry_at_once(START), None);
}

#[test]
fn a_probe_overtaken_by_a_stop_keeps_its_place_until_its_lease_ends() {
    let taken_at = START + 30 * SECOND;
    let taken = half_open().take_probe(taken_at, &settings()).unwrap();
    let stopped = taken
        .stop(Reason::Blocked, None, taken_at, &settings(), 0.0)
        .unwrap();
    let freed = stopped.retry_at_once(taken_at + SECOND).unwrap();
    assert_eq!(freed.permission(taken_at + SECOND), Permission::Nothing);
    assert_eq!(freed.permission(taken_at + 90 * SECOND), Permission::Probe);
}

#[test]
fn a_throttled_probe_is_settled_by_it() {
    let now = START + 30 * SECOND;
    let until_ms = Some(now + 900 * SECOND);
    let outcome = ProbeOutcome::Stopped {
        reason: Reason::Throttled,
        until_ms,
    };
    let stopped = probed(&half_open(), outcome, now, &settings());
    assert_eq!(
        (stopped.state, stopped.open_until_ms, stopped.probe_until_ms),
        (State::Open, until_ms, None)
    );
    assert_eq!(stopped.reason, Some(Reason::Errors), "the outage is not over yet");
}

#[test]
fn an_order_decides_until_it_lapses_and_the_state_goes_on_beneath_it() {
    let lapses = START + 10 * SECOND;
    let forced = Breaker::closed(START).set_manual(Manual::ForcedClosed, Some(lapses));
    let opened = forced
        .tick(&failed(20, 20), START + SECOND, &settings(), 0.0)
        .unwrap();
    assert_eq!(opened.state, State::Open);
    assert_eq!(opened.permission(lapses - 1), Permission::Freely);
    assert_eq!(opened.permission(lapses), Permission::Nothing);
    let lapsed = opened.tick(&QUIET, lapses, &settings(), 0.0).unwrap();
    assert_eq!((lapsed.manual, lapsed.manual_until_ms), (Manual::Automatic, None));
    assert_eq!(lapsed.open_until_ms, opened.open_until_ms);

    let forced = Breaker::closed(START).set_manual(Manual::ForcedOpen, None);
    assert_eq!(forced.permission(i64::MAX), Permission::Nothing);
    let free = forced.set_manual(Manual::Automatic, Some(lapses));
    assert_eq!(free.permission(START), Permission::Freely);
    assert_eq!(free.manual_until_ms, None);
}

#[test]
fn a_probe_taken_just_after_an_order_lapsed_is_not_lost_to_the_next_tick() {
    let now = START + 40 * SECOND;
    let forced = half_open().set_manual(Manual::ForcedOpen, Some(now));
    assert_eq!(forced.take_probe(now - 1, &settings()), None);
    let taken = forced.take_probe(now, &settings()).unwrap();
    assert_eq!(taken.tick(&QUIET, now, &settings(), 0.0), None);
}

#[test]
fn each_word_of_the_database_means_what_it_says() {
    let states = ["closed", "open", "half_open", "OPEN", ""].map(State::parse);
    let (closed, open, half_open) = (State::Closed, State::Open, State::HalfOpen);
    assert_eq!(states, [Some(closed), Some(open), Some(half_open), None, None]);
    let reasons = ["errors", "throttled", "refused", "blocked", "error"].map(Reason::parse);
    let (errors, throttled, refused, blocked) = (
        Reason::Errors,
        Reason::Throttled,
        Reason::Refused,
        Reason::Blocked,
    );
    assert_eq!(
        reasons,
        [Some(errors), Some(throttled), Some(refused), Some(blocked), None]
    );
    let orders = ["automatic", "forced_open", "forced_closed", "auto"].map(Manual::parse);
    let (automatic, forced_open, forced_closed) =
        (Manual::Automatic, Manual::ForcedOpen, Manual::ForcedClosed);
    assert_eq!(
        orders,
        [Some(automatic), Some(forced_open), Some(forced_closed), None]
    );
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    type Change = fn(&mut BreakerSettings);
    let cases: [(&str, Change); 11] = [
        ("window_ms", |s| s.window_ms = 0),
        ("min_requests", |s| s.min_requests = 0),
        ("open_above", |s| s.open_above = 1.0),
        ("open_above", |s| s.open_above = f64::NAN),
        ("close_below", |s| s.close_below = 0.6),
        ("close_below", |s| s.close_below = 0.0),
        ("close_below", |s| s.close_below = f64::NAN),
        ("probes_to_close", |s| s.probes_to_close = 0),
        ("open_for_ms", |s| s.open_for_ms = 0),
        ("open_for_longest_ms", |s| s.open_for_longest_ms = 29_999),
        ("probe_lease_ms", |s| s.probe_lease_ms = -1),
    ];
    assert_eq!(settings().validate(), Ok(()));
    for (name, change) in cases {
        let mut changed = settings();
        change(&mut changed);
        let message = changed.validate().unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("circuit breaker: {name} ")),
            "{message}"
        );
    }
}
