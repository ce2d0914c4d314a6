//! What breaks when, drawn from a seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

/// The kinds of faults: each with what it is, and its words in the account.
macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $kind:ident: $words:literal,)*) => {
        /// How something breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FaultKind { $($(#[$doc])* $kind,)* }

        impl FaultKind {
            pub const ALL: &[FaultKind] = &[$(FaultKind::$kind,)*];

            /// In the words of the account.
            pub fn describe(self) -> &'static str {
                match self { $(FaultKind::$kind => $words,)* }
            }
        }
    };
}

fault_kinds! {
    /// `kill -9`, and a new process in its place.
    GatewayKilled: "a gateway was killed",
    ForwarderKilled: "a forwarder was killed",
    RetryWorkerKilled: "a retry-worker was killed",
    AttributionKilled: "an attribution service was killed",
    /// SIGSTOP for longer than its leases last, then SIGCONT.
    ForwarderFrozen: "a forwarder slept past its leases",
    /// `pg_ctl stop -m immediate`, and a new start soon after.
    PostgresCrashed: "PostgreSQL crashed",
    /// An orderly stop, and a new start some time later: a restart, an upgrade, a failover.
    PostgresRestarted: "PostgreSQL was stopped and started again",
    /// `pg_terminate_backend` of half of the services' connections.
    BackendsTerminated: "PostgreSQL cut connections",
    /// A transaction that holds a snapshot and does nothing.
    TransactionLeftOpen: "a transaction was left open",
    /// Meta answers 500 to most requests.
    MetaFails: "Meta answered 500",
    /// Meta never answers, although it took the events of some of the requests.
    MetaHangs: "Meta never answered",
    MetaResetsBefore: "Meta hung up before taking events",
    MetaResetsAfter: "Meta took events and hung up",
    MetaThrottles: "Meta said wait",
    /// The access token is revoked, and later valid again.
    TokenRevoked: "the access token was revoked",
    /// Some of the events sent now are such as Meta never takes.
    EventsPoisoned: "events came that Meta refuses",
    /// Mercado Pago answers 500, 429, 404, with what was before, or not at all.
    MercadoPagoFails: "Mercado Pago answered wrongly or not at all",
    /// Webhooks are lost, come twice, or are signed by somebody else.
    WebhooksSpoilt: "webhooks were lost, doubled and forged",
}

impl FaultKind {
    /// How long it lasts at the least and at the most, in milliseconds.
    fn lasts_ms(self, timing: &Timing) -> (u64, u64) {
        match self {
            FaultKind::GatewayKilled
            | FaultKind::ForwarderKilled
            | FaultKind::RetryWorkerKilled
            | FaultKind::AttributionKilled => (0, 600),
            // Leases that ended are looked for every second.
            FaultKind::ForwarderFrozen => {
                let lease = timing.lease_seconds * 1_000;
                (lease + 1_500, lease + 3_000)
            }
            FaultKind::PostgresCrashed => (100, 1_000),
            FaultKind::PostgresRestarted => timing.restart_ms,
            FaultKind::BackendsTerminated | FaultKind::WebhooksSpoilt => (0, 0),
            FaultKind::TransactionLeftOpen => (2_000, 8_000),
            FaultKind::MetaHangs => (2_500, 4_000),
            _ => (500, 2_500),
        }
    }
}

/// How much time a run takes for what takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a batch belongs to a forwarder. Long enough for an outcome to be recorded after a restart of
    /// PostgreSQL.
    pub lease_seconds: u64,
    /// How long a statement may take.
    pub statement_seconds: u64,
    /// How long PostgreSQL is away in a restart.
    pub restart_ms: (u64, u64),
    /// Between two faults, at the most.
    pub pause: Duration,
}

impl Timing {
    pub const LIFELIKE: Timing = Timing {
        lease_seconds: 20,
        statement_seconds: 2,
        restart_ms: (8_000, 10_000),
        pause: Duration::from_secs(4),
    };
    /// For a test that has to be over soon.
    pub const HURRIED: Timing = Timing {
        lease_seconds: 9,
        statement_seconds: 1,
        restart_ms: (500, 1_500),
        pause: Duration::from_secs(1),
    };
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
    /// Deals all kinds in a random order, again and again, with random pauses, until the time is over. A
    /// `duration` too short for it still sees every kind once.
    pub fn draw(seed: u64, duration: Duration, timing: &Timing) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let kinds = u32::try_from(FaultKind::ALL.len()).expect("a few kinds");
        let longest_pause = (duration / kinds)
            .min(timing.pause)
            .max(Duration::from_millis(200));
        let (mut at, mut faults) = (Duration::from_millis(500), Vec::new());
        while faults.is_empty() || at < duration {
            let mut deck = FaultKind::ALL.to_vec();
            deck.shuffle(&mut chance);
            for kind in deck {
                let (least, most) = kind.lasts_ms(timing);
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

    fn plan(seed: u64, seconds: u64) -> Plan {
        Plan::draw(seed, Duration::from_secs(seconds), &Timing::LIFELIKE)
    }

    #[test]
    fn the_same_seed_plans_the_same_and_another_one_something_else() {
        assert_eq!(plan(7, 60), plan(7, 60));
        assert_ne!(plan(7, 60).faults, plan(8, 60).faults);
    }

    #[test]
    fn however_short_a_run_is_every_kind_of_fault_comes_at_least_once() {
        for seconds in [1, 10, 180] {
            let plan = plan(1, seconds);
            let kinds: HashSet<_> = plan.faults.iter().map(|fault| fault.kind).collect();
            assert_eq!(kinds.len(), FaultKind::ALL.len(), "{seconds} s");
            assert!(plan.faults.is_sorted_by_key(|fault| fault.at));
        }
        assert!(plan(1, 180).faults.len() > 60);
    }

    #[test]
    fn a_frozen_forwarder_sleeps_past_its_leases() {
        let lease = Duration::from_secs(Timing::LIFELIKE.lease_seconds);
        let faults = plan(3, 180).faults.into_iter();
        let mut frozen = faults.filter(|fault| fault.kind == FaultKind::ForwarderFrozen);
        assert!(frozen.all(|fault| fault.lasts > lease));
    }
}
