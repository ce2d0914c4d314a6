//! What can happen, and how often.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rastro_core::circuit_breaker::{Manual, ProbeOutcome, Reason};
use rastro_store::{AttemptOutcome, DeadLetterReason, Fate};

/// The ids that histories choose from: few, so that they collide.
const IDS: u8 = 12;

/// One thing that happens. `which` counts from the newest batch that anybody ever held, stale ones included.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Accept {
        ids: Vec<u8>,
    },
    /// A forwarder's turn: claims, probes or keeps still, as the breaker says.
    Claim {
        limit: usize,
    },
    TakeOver,
    /// Meta took it all, and the sender says so.
    Finish {
        which: usize,
    },
    /// Meta took it all, and the sender died before it could say so.
    Lose {
        which: usize,
    },
    Settle {
        which: usize,
        fates: Vec<Fate>,
        /// `None`: it was never sent.
        answer: Option<AttemptOutcome>,
    },
    /// It was never sent, and somebody else may have it.
    Release {
        which: usize,
    },
    Split {
        which: usize,
        answered: bool,
    },
    Renew {
        which: usize,
    },
    Pass {
        ms: i64,
    },
    RequeueDue {
        limit: usize,
    },
    ExpireWaiting,
    ExpireReady,
    /// Batches of the dead, of a dataset that is left alone.
    Dissolve,
    RetryFailed {
        at_most: usize,
    },
    RequeueForProbe {
        limit: usize,
    },
    Revive,
    Stop {
        reason: Reason,
    },
    Tick,
    SettleProbe {
        outcome: ProbeOutcome,
    },
    Order {
        manual: Manual,
    },
    /// Somebody decides by a breaker that he read before the last change.
    StaleChange,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let which = || 0..6_usize;
    let bad_answer = select(vec![
        Some(AttemptOutcome::Refused),
        Some(AttemptOutcome::Unavailable),
        Some(AttemptOutcome::Throttled),
        Some(AttemptOutcome::Blocked),
        None,
    ]);
    let reasons = vec![
        DeadLetterReason::Refused,
        DeadLetterReason::Exhausted,
        DeadLetterReason::Expired,
    ];
    // Meta takes all of a request or nothing; what is too old was not in it.
    let good_fate = prop_oneof![3 => Just(Fate::Done), 1 => Just(Fate::Dead(DeadLetterReason::Expired))];
    let bad_fate = prop_oneof![
        3 => (select(vec![100, 5_000, 40_000]), 0..4_i16)
            .prop_map(|(ms, retries)| Fate::Wait { delay: Duration::from_millis(ms), retries }),
        2 => select(reasons).prop_map(Fate::Dead),
    ];
    let outcome = select(vec![
        ProbeOutcome::Succeeded,
        ProbeOutcome::Failed,
        ProbeOutcome::Released,
    ]);
    let manual = select(vec![
        Manual::Automatic,
        Manual::Automatic,
        Manual::ForcedOpen,
        Manual::ForcedClosed,
    ]);
    prop_oneof![
        5 => vec(0..IDS, 1..6).prop_map(|ids| Step::Accept { ids }),
        6 => (1..6_usize).prop_map(|limit| Step::Claim { limit }),
        4 => Just(Step::TakeOver),
        3 => which().prop_map(|which| Step::Finish { which }),
        2 => which().prop_map(|which| Step::Lose { which }),
        4 => (which(), vec(bad_fate, 6), bad_answer)
            .prop_map(|(which, fates, answer)| Step::Settle { which, fates, answer }),
        1 => (which(), vec(good_fate, 6))
            .prop_map(|(which, fates)| Step::Settle { which, fates, answer: Some(AttemptOutcome::Delivered) }),
        1 => which().prop_map(|which| Step::Release { which }),
        2 => (which(), any::<bool>()).prop_map(|(which, answered)| Step::Split { which, answered }),
        1 => which().prop_map(|which| Step::Renew { which }),
        5 => select(vec![50, 1_000, 6_000, 31_000]).prop_map(|ms| Step::Pass { ms }),
        3 => (1..6_usize).prop_map(|limit| Step::RequeueDue { limit }),
        1 => Just(Step::ExpireWaiting),
        1 => Just(Step::ExpireReady),
        2 => Just(Step::Dissolve),
        1 => (1..6_usize).prop_map(|at_most| Step::RetryFailed { at_most }),
        2 => (1..4_usize).prop_map(|limit| Step::RequeueForProbe { limit }),
        2 => Just(Step::Revive),
        1 => select(vec![Reason::Throttled, Reason::Errors, Reason::Blocked, Reason::Refused]).prop_map(|reason| Step::Stop { reason }),
        3 => Just(Step::Tick),
        2 => outcome.prop_map(|outcome| Step::SettleProbe { outcome }),
        1 => manual.prop_map(|manual| Step::Order { manual }),
        1 => Just(Step::StaleChange),
    ]
}
