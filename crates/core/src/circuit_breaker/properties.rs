//! What holds in every history: several processes with stale views, probes that die, operators, clocks that
//! jump.

use proptest::prelude::*;

use super::*;

const START: i64 = 1_767_225_600_000;
const MINUTE: i64 = 60_000;

/// What one of the processes does with the breaker as it last saw it.
#[derive(Clone, Debug)]
enum Act {
    Tick(Evidence),
    /// How far ahead Meta's time lies, if it gave one.
    Stop(Reason, Option<i64>),
    TakeProbe,
    /// Which of the probes on their way comes back, modulo their number.
    Settle(usize, ProbeKind),
    Order(Manual, Option<i64>),
    RetryAtOnce,
}

#[derive(Clone, Copy, Debug)]
enum ProbeKind {
    Succeeded,
    Failed,
    Released,
    Stopped(Reason, Option<i64>),
}

#[derive(Clone, Debug)]
struct Step {
    process: usize,
    /// Whether the process reads the row before it acts.
    reads: bool,
    wait_ms: i64,
    chance: f64,
    act: Act,
}

fn any_settings() -> impl Strategy<Value = BreakerSettings> {
    (
        (1..10 * MINUTE, 1..30u32, 0.2..0.9, 0..6u32, 0.05..0.2),
        (1..30u16, 1..MINUTE, 1..8i64, 1..3 * MINUTE),
    )
        .prop_map(
            |((window_ms, min, open_above, row, close_below), (probes, first, factor, lease))| {
                BreakerSettings {
                    window_ms,
                    min_requests: min,
                    open_above,
                    consecutive_failures: row,
                    close_below,
                    probes_to_close: probes,
                    open_for_ms: first,
                    open_for_longest_ms: first * factor,
                    probe_lease_ms: lease,
                }
            },
        )
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    (0..60u32, 0..60u32, 0..8u32).prop_map(|(one, other, row)| Evidence {
        requests: one.max(other),
        failures: one.min(other),
        consecutive_failures: row.min(one.min(other)),
    })
}

fn any_reason() -> impl Strategy<Value = Reason> {
    prop::sample::select(&Reason::ALL)
}

/// Also behind: a Retry-After that took its time to arrive.
fn any_lead() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(-MINUTE..20 * MINUTE)
}

fn any_manual() -> impl Strategy<Value = Manual> {
    prop::sample::select(&Manual::ALL)
}

fn any_act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![
        6 => Just(ProbeKind::Succeeded),
        1 => Just(ProbeKind::Failed),
        1 => Just(ProbeKind::Released),
        1 => (any_reason(), any_lead()).prop_map(|(reason, lead)| ProbeKind::Stopped(reason, lead)),
    ];
    prop_oneof![
        5 => any_evidence().prop_map(Act::Tick),
        1 => (any_reason(), any_lead()).prop_map(|(reason, lead)| Act::Stop(reason, lead)),
        5 => Just(Act::TakeProbe),
        5 => (any::<usize>(), kind).prop_map(|(which, kind)| Act::Settle(which, kind)),
        1 => (any_manual(), any_lead()).prop_map(|(manual, lead)| Act::Order(manual, lead)),
        1 => Just(Act::RetryAtOnce),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let wait_ms = prop_oneof![Just(0), 1..2_000i64, 1..2 * MINUTE];
    (
        0..3usize,
        prop::bool::weighted(0.8),
        wait_ms,
        0.0..=1.0,
        any_act(),
    )
        .prop_map(|(process, reads, wait_ms, chance, act)| Step {
            process,
            reads,
            wait_ms,
            chance,
            act,
        })
}

/// A probe on its way to Meta.
struct Probe {
    generation: i64,
    lost_at_ms: i64,
}

/// The row, the processes that share it, and what must be true of them whatever they do.
struct Fleet {
    settings: BreakerSettings,
    now_ms: i64,
    row: Breaker,
    views: [Breaker; 3],
    probes: Vec<Probe>,
    order: (Manual, Option<i64>),
}

impl Fleet {
    fn new(settings: BreakerSettings) -> Self {
        let row = Breaker::closed(START);
        Fleet {
            settings,
            now_ms: START,
            row,
            views: [row; 3],
            probes: vec![],
            order: (Manual::Automatic, None),
        }
    }

    fn after(settings: BreakerSettings, steps: &[Step]) -> Result<Self, TestCaseError> {
        let mut fleet = Fleet::new(settings);
        for step in steps {
            fleet.take(step)?;
            fleet.check()?;
        }
        Ok(fleet)
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        self.now_ms += step.wait_ms;
        if step.reads {
            self.views[step.process] = self.row;
        }
        let seen = self.views[step.process];
        let (now_ms, settings, chance) = (self.now_ms, self.settings, step.chance);
        match &step.act {
            Act::Tick(evidence) => {
                let ticked = seen.tick(evidence, now_ms, &settings, chance);
                if let Some(ticked) = ticked {
                    let again = ticked.tick(evidence, now_ms, &settings, chance);
                    prop_assert_eq!(again, None, "a second tick changes nothing");
                }
                self.write(&seen, ticked, None)?;
            }
            Act::Stop(reason, lead) => {
                let until_ms = lead.map(|lead| now_ms + lead);
                let stopped = seen.stop(*reason, until_ms, now_ms, &settings, chance);
                let kept = stopped.unwrap_or(seen);
                prop_assert_eq!(kept.state, State::Open);
                prop_assert!(kept.open_until_ms >= until_ms, "shorter than asked: {:?}", kept);
                prop_assert!(kept.reason >= Some(*reason));
                self.write(&seen, stopped, until_ms)?;
            }
            Act::TakeProbe => {
                let taken = seen.take_probe(now_ms, &settings);
                if self.write(&seen, taken, None)? {
                    self.probes.push(Probe {
                        generation: self.row.generation,
                        lost_at_ms: now_ms + settings.probe_lease_ms,
                    });
                }
            }
            Act::Settle(which, kind) => {
                if self.probes.is_empty() {
                    return Ok(());
                }
                let probe = self.probes.swap_remove(which % self.probes.len());
                let (outcome, asked_ms) = match *kind {
                    ProbeKind::Succeeded => (ProbeOutcome::Succeeded, None),
                    ProbeKind::Failed => (ProbeOutcome::Failed, None),
                    ProbeKind::Released => (ProbeOutcome::Released, None),
                    ProbeKind::Stopped(reason, lead) => {
                        let until_ms = lead.map(|lead| now_ms + lead);
                        (ProbeOutcome::Stopped { reason, until_ms }, until_ms)
                    }
                };
                // A process that settles reads first: it must not lose its own result to a stale view.
                let row = self.row;
                let settled = row.settle_probe(outcome, probe.generation, now_ms, &settings, chance);
                if probe.generation != row.generation {
                    prop_assert_eq!(settled, None, "a result of the past changes nothing");
                } else {
                    let settled = settled.expect("nobody changed the breaker since the probe was taken");
                    prop_assert!(settled.open_until_ms >= asked_ms);
                    prop_assert_eq!(settled.probe_until_ms, None, "every outcome settles the probe");
                }
                self.write(&row, settled, asked_ms)?;
            }
            Act::Order(manual, lead) => {
                let until_ms = lead.map(|lead| now_ms + lead);
                let ordered = seen.set_manual(*manual, until_ms);
                if self.write(&seen, Some(ordered), None)? {
                    self.order = (*manual, until_ms);
                }
            }
            Act::RetryAtOnce => {
                let freed = seen.retry_at_once(now_ms);
                prop_assert_eq!(
                    freed.is_some(),
                    seen.state == State::Open && seen.reason != Some(Reason::Throttled)
                );
                // The one way out of a wait that runs; so not judged by `write`.
                if let Some(freed) = freed {
                    prop_assert_eq!(freed.generation, seen.generation + 1);
                    if self.row.generation == seen.generation {
                        self.row = freed;
                    }
                }
            }
        }
        Ok(())
    }

    /// Compare-and-set on the generation, and what must be true of every change. Whether it was written.
    fn write(
        &mut self,
        seen: &Breaker,
        next: Option<Breaker>,
        asked_ms: Option<i64>,
    ) -> Result<bool, TestCaseError> {
        let Some(next) = next else { return Ok(false) };
        prop_assert_eq!(next.generation, seen.generation + 1);
        let waits = |breaker: &Breaker| breaker.open_until_ms.filter(|until_ms| *until_ms > self.now_ms);
        if let Some(until_ms) = waits(seen) {
            prop_assert!(
                next.open_until_ms >= Some(until_ms),
                "a running wait was cut: {:?} {:?}",
                seen,
                next
            );
        }
        if let Some(until_ms) = waits(&next).filter(|_| next.open_until_ms != seen.open_until_ms) {
            let wait = until_ms - self.now_ms;
            let asked_for = asked_ms.map_or(0, |asked_ms| asked_ms - self.now_ms);
            let longest = self.settings.open_for_longest_ms.max(asked_for);
            prop_assert!(
                wait >= self.settings.open_for_ms.max(asked_for),
                "{} ms is too short",
                wait
            );
            prop_assert!(wait <= longest + longest / 5 + 1, "{} ms is too long", wait);
        }
        prop_assert!(
            next.state == State::Closed || next.reason >= seen.reason,
            "a cause was forgotten: {:?}",
            next
        );
        let wins = self.row.generation == seen.generation;
        if wins {
            self.row = next;
        }
        Ok(wins)
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let (row, now_ms) = (&self.row, self.now_ms);
        let out = self.probes.iter().filter(|probe| probe.lost_at_ms > now_ms);
        let out = out.count();
        prop_assert!(out <= 1, "{} probes are out: {:?}", out, row);

        let ordered = match self.order {
            (manual, Some(until_ms)) if now_ms < until_ms => manual,
            (manual, None) => manual,
            _ => Manual::Automatic,
        };
        let permission = row.permission(now_ms);
        match ordered {
            Manual::ForcedClosed => prop_assert_eq!(permission, Permission::Freely),
            Manual::ForcedOpen => prop_assert_eq!(permission, Permission::Nothing),
            Manual::Automatic => match row.state {
                State::Closed => prop_assert_eq!(permission, Permission::Freely),
                State::Open => prop_assert_eq!(permission, Permission::Nothing),
                State::HalfOpen => {
                    prop_assert_ne!(permission, Permission::Freely);
                    prop_assert!(
                        permission == Permission::Nothing || out == 0,
                        "a second probe is offered"
                    );
                }
            },
        }

        // What the table's CHECK constraints may demand.
        prop_assert_eq!(row.reason.is_none(), row.state == State::Closed, "{:?}", row);
        prop_assert_eq!(row.open_until_ms.is_some(), row.state == State::Open, "{:?}", row);
        prop_assert!(
            row.probe_until_ms.is_none() || row.state != State::Closed,
            "{:?}",
            row
        );
        prop_assert!(row.manual_until_ms.is_none() || row.manual != Manual::Automatic);
        prop_assert!(row.open_count >= 1 || row.state == State::Closed, "{:?}", row);
        let probed = row.probe_successes + row.probe_failures;
        prop_assert!(probed == 0 || row.state == State::HalfOpen, "{:?}", row);
        prop_assert!(
            (0..i32::from(self.settings.probes_to_close)).contains(&probed),
            "{:?}",
            row
        );
        Ok(())
    }
}

/// What becomes of a probe while Meta is healthy.
#[derive(Clone, Copy, Debug)]
enum Luck {
    Answered,
    Released,
    /// The process dies with it.
    Lost,
}

fn any_luck() -> impl Strategy<Value = Vec<Luck>> {
    prop::collection::vec(
        prop::sample::select(vec![Luck::Answered, Luck::Released, Luck::Lost]),
        0..20,
    )
}

/// Lets a healthy Meta, a ticker and a prober at the breaker until traffic flows, and checks that it does in
/// time.
fn recovers(
    mut row: Breaker,
    mut now_ms: i64,
    settings: &BreakerSettings,
    luck: &[Luck],
) -> Result<(), TestCaseError> {
    const STEP_MS: i64 = 1_000;
    let rest = |until_ms: Option<i64>| until_ms.map_or(0, |until_ms| (until_ms - now_ms).max(0));
    // Each wait once, each probe a step, each mishap a lease; a new wait only for failures that were counted
    // before.
    let mishaps = i64::try_from(luck.len()).unwrap();
    let bound_ms = now_ms
        + rest(row.open_until_ms)
        + rest(row.manual_until_ms)
        + rest(row.probe_until_ms)
        + i64::from(row.probe_failures.signum()) * (settings.open_for_longest_ms * 6 / 5)
        + mishaps * settings.probe_lease_ms
        + (i64::from(settings.probes_to_close) + 2 * mishaps + 5) * STEP_MS;
    let mut luck = luck.iter();
    while row.permission(now_ms) != Permission::Freely {
        prop_assert!(now_ms <= bound_ms, "nothing flows: {:?}", row);
        row = row
            .tick(&Evidence::default(), now_ms, settings, 1.0)
            .unwrap_or(row);
        if let Some(taken) = row.take_probe(now_ms, settings) {
            let settled = |outcome| {
                let settled = taken.settle_probe(outcome, taken.generation, now_ms, settings, 1.0);
                settled.expect("the probe is ours")
            };
            row = match luck.next() {
                None | Some(Luck::Answered) => settled(ProbeOutcome::Succeeded),
                Some(Luck::Released) => settled(ProbeOutcome::Released),
                Some(Luck::Lost) => taken,
            };
        }
        now_ms += STEP_MS;
    }
    Ok(())
}

prop_compose! {
    /// Any row at all, also one that no history leads to: edited by hand, or written by a version to come.
    fn any_row()(
        state in prop::sample::select(&State::ALL),
        generation in 0..i64::MAX / 2,
        reason in prop::option::of(any_reason()),
        since in -30 * MINUTE..30 * MINUTE,
        (open_until, probe_until, manual_until) in (any_lead(), any_lead(), any_lead()),
        open_count in any::<i32>(),
        (probe_successes, probe_failures) in (0..i32::MAX, 0..20i32),
        manual in any_manual(),
    ) -> Breaker {
        Breaker {
            state,
            generation,
            reason,
            since_ms: START + since,
            open_until_ms: open_until.map(|lead| START + lead),
            open_count,
            probe_until_ms: probe_until.map(|lead| START + lead),
            probe_successes,
            probe_failures,
            manual,
            manual_until_ms: manual_until.map(|lead| START + lead),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_history_breaks_the_rules_and_traffic_flows_again_once_meta_is_healthy(
        settings in any_settings(),
        steps in prop::collection::vec(any_step(), 0..80),
        luck in any_luck(),
    ) {
        prop_assert_eq!(settings.validate(), Ok(()));
        let fleet = Fleet::after(settings, &steps)?;
        let mut row = fleet.row;
        if row.manual == Manual::ForcedOpen && row.manual_until_ms.is_none() {
            row = row.set_manual(Manual::Automatic, None); // the operator's to end, not ours
        }
        recovers(row, fleet.now_ms, &settings, &luck)?;
    }

    #[test]
    fn no_row_however_odd_panics_or_stays_shut_for_ever(
        row in any_row(),
        settings in any_settings(),
        evidence in any_evidence(),
        now_ms in prop_oneof![Just(START), any::<i64>()],
        until_ms in prop::option::of(any::<i64>()),
        chance in any::<f64>(),
    ) {
        let _ = row.permission(now_ms);
        for reason in Reason::ALL {
            let stopped = row.stop(reason, until_ms, now_ms, &settings, chance).unwrap_or(row);
            prop_assert_eq!(stopped.state, State::Open);
            prop_assert!(stopped.open_until_ms >= until_ms);
        }
        let _ = row.tick(&evidence, now_ms, &settings, chance);
        let _ = row.take_probe(now_ms, &settings);
        let _ = row.settle_probe(ProbeOutcome::Failed, row.generation, now_ms, &settings, chance);
        let _ = row.retry_at_once(now_ms);

        if row.manual != Manual::ForcedOpen || row.manual_until_ms.is_some() {
            recovers(row, START, &settings, &[])?;
        }
    }

    #[test]
    fn too_few_requests_never_open_it_by_their_rate(
        settings in any_settings(),
        evidence in any_evidence(),
        wait_ms in 1..10 * MINUTE,
        chance in 0.0..=1.0,
    ) {
        let settings = BreakerSettings { consecutive_failures: 0, ..settings };
        let closed = Breaker::closed(START);
        let ticked = closed.tick(&evidence, START + wait_ms, &settings, chance);
        if evidence.requests < settings.min_requests {
            prop_assert_eq!(ticked, None);
        }
        let share = f64::from(evidence.failures) / f64::from(evidence.requests.max(1));
        prop_assert_eq!(ticked.is_some(), evidence.requests >= settings.min_requests && share > settings.open_above);
    }
}
