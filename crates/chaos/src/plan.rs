//! What breaks when, drawn from a seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

/// How something breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// `kill -9`, and a new process in its place.
    GatewayKilled,
    ForwarderKilled,
    RetryWorkerKilled,
    /// SIGSTOP for longer than its leases last, then SIGCONT.
    ForwarderFrozen,
    /// `pg_ctl stop -m immediate`, and a new start some time later.
    PostgresCrashed,
    /// `pg_terminate_backend` of half of the services' connections.
    BackendsTerminated,
    /// A transaction that holds a snapshot and does nothing.
    TransactionLeftOpen,
    /// Meta answers 500 to most requests.
    MetaFails,
    /// Meta never answers, although it took the events of some of the requests.
    MetaHangs,
    /// Meta resets connections before it took anything.
    MetaResetsBefore,
    /// Meta takes the events and resets the connection without an answer.
    MetaResetsAfter,
    MetaThrottles,
    /// The access token is revoked, and later valid again.
    TokenRevoked,
    /// Some of the events sent now are such as Meta never takes.
    EventsPoisoned,
}

impl FaultKind {
    pub const ALL: [FaultKind; 14] = [
        FaultKind::GatewayKilled,
        FaultKind::ForwarderKilled,
        FaultKind::RetryWorkerKilled,
        FaultKind::ForwarderFrozen,
        FaultKind::PostgresCrashed,
        FaultKind::BackendsTerminated,
        FaultKind::TransactionLeftOpen,
        FaultKind::MetaFails,
        FaultKind::MetaHangs,
        FaultKind::MetaResetsBefore,
        FaultKind::MetaResetsAfter,
        FaultKind::MetaThrottles,
        FaultKind::TokenRevoked,
        FaultKind::EventsPoisoned,
    ];

    /// In the words of the account.
    pub fn describe(self) -> &'static str {
        match self {
            FaultKind::GatewayKilled => "a gateway was killed",
            FaultKind::ForwarderKilled => "a forwarder was killed",
            FaultKind::RetryWorkerKilled => "a retry-worker was killed",
            FaultKind::ForwarderFrozen => "a forwarder slept past its leases",
            FaultKind::PostgresCrashed => "PostgreSQL crashed",
            FaultKind::BackendsTerminated => "PostgreSQL cut connections",
            FaultKind::TransactionLeftOpen => "a transaction was left open",
            FaultKind::MetaFails => "Meta answered 500",
            FaultKind::MetaHangs => "Meta never answered",
            FaultKind::MetaResetsBefore => "Meta hung up before taking events",
            FaultKind::MetaResetsAfter => "Meta took events and hung up",
            FaultKind::MetaThrottles => "Meta said wait",
            FaultKind::TokenRevoked => "the access token was revoked",
            FaultKind::EventsPoisoned => "events came that Meta refuses",
        }
    }

    /// How long it lasts at the least and at the most, in milliseconds.
    fn lasts_ms(self) -> (u64, u64) {
        match self {
            FaultKind::GatewayKilled | FaultKind::ForwarderKilled | FaultKind::RetryWorkerKilled => (0, 600),
            // Leases last 5 s here, and those that ended are looked for every second.
            FaultKind::ForwarderFrozen => (6_500, 8_000),
            FaultKind::PostgresCrashed => (100, 1_000),
            FaultKind::BackendsTerminated => (0, 0),
            FaultKind::TransactionLeftOpen => (2_000, 8_000),
            FaultKind::MetaHangs => (1_500, 3_000),
            _ => (500, 2_500),
        }
    }
}

/// One fault of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// From the beginning of the load.
    pub at: Duration,
    pub kind: FaultKind,
    pub lasts: Duration,
    /// Which of two, where there are two.
    pub target: usize,
    /// For what is drawn while it lasts.
    pub seed: u64,
}

/// The faults of a run in the order of their times. They may overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub faults: Vec<PlannedFault>,
}

impl Plan {
    /// Deals all kinds in a random order, again and again, with random pauses, until the time is over. A `duration` too short
    /// for it still sees every kind once.
    pub fn draw(seed: u64, duration: Duration) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let kinds = u32::try_from(FaultKind::ALL.len()).expect("a few kinds");
        let longest_pause = (duration / kinds)
            .min(Duration::from_secs(2))
            .max(Duration::from_millis(200));
        let (mut at, mut faults) = (Duration::from_millis(500), Vec::new());
        while faults.is_empty() || at < duration {
            let mut deck = FaultKind::ALL;
            deck.shuffle(&mut chance);
            for kind in deck {
                let (least, most) = kind.lasts_ms();
                let lasts = Duration::from_millis(chance.random_range(least..=most));
                let (target, seed) = (chance.random_range(0..2), chance.random());
                faults.push(PlannedFault {
                    at,
                    kind,
                    lasts,
                    target,
                    seed,
                });
                at += longest_pause.mul_f64(chance.random_range(0.2..=1.0));
            }
        }
        let is_first_deal = |index: usize| index < FaultKind::ALL.len();
        let faults = faults.into_iter().enumerate();
        let faults = faults.filter(|(index, fault)| is_first_deal(*index) || fault.at < duration);
        Plan {
            seed,
            faults: faults.map(|(_, fault)| fault).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_plans_the_same_and_another_one_something_else() {
        let minute = Duration::from_secs(60);
        assert_eq!(Plan::draw(7, minute), Plan::draw(7, minute));
        assert_ne!(Plan::draw(7, minute).faults, Plan::draw(8, minute).faults);
    }

    #[test]
    fn however_short_a_run_is_every_kind_of_fault_comes_at_least_once() {
        for seconds in [1, 10, 180] {
            let plan = Plan::draw(1, Duration::from_secs(seconds));
            let kinds: HashSet<_> = plan.faults.iter().map(|fault| fault.kind).collect();
            assert_eq!(kinds.len(), FaultKind::ALL.len(), "{seconds} s");
            assert!(plan.faults.is_sorted_by_key(|fault| fault.at));
        }
        assert!(Plan::draw(1, Duration::from_secs(180)).faults.len() > 100);
    }
}
