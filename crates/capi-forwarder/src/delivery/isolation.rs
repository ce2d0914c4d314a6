//! The search for the one event on which Meta fails, among others that it would take: a batch that comes back
//! again and again is cut in halves, as one of which Meta refuses an event. What fails because Meta is away
//! must not be cut into all its events: then a request for each would meet a server that is unwell.

use rastro_core::circuit_breaker::{Permission, ProbeOutcome, Reason};
use rastro_store::{Batch, StoreError};

use super::{LEAST_PARKED, Leased, Probe, Sender, Stop};

/// Retries behind an event after which another failure makes its batch suspicious.
const SUSPICIOUS_RETRIES: i16 = 2;

/// What the parts of a delivery that were sent so far tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Isolation {
    has_failed: bool,
    has_succeeded: bool,
}

impl Isolation {
    /// A part of the delivery has its outcome.
    pub(super) fn learn(&mut self, outcome: ProbeOutcome) {
        self.has_failed |= outcome == ProbeOutcome::Failed;
        self.has_succeeded |= outcome == ProbeOutcome::Succeeded;
    }

    /// A part failed to the end, and Meta took none: as far as one can see it is Meta.
    pub(super) fn is_hopeless(self) -> bool {
        self.has_failed && !self.has_succeeded
    }

    /// Whether a batch on which Meta failed is worth cutting.
    pub(super) fn may_cut(self, batch: &Batch) -> bool {
        !self.is_hopeless() && is_suspicious(batch)
    }
}

fn is_suspicious(batch: &Batch) -> bool {
    batch
        .events
        .iter()
        .any(|event| event.retries >= SUSPICIOUS_RETRIES)
}

/// Whether the events of a batch on which Meta failed keep their retries, and what that tells of Meta.
/// Those of a probe do: the outage is not their fault. But where Meta took an earlier probe, an event on
/// which it fails alone is itself to blame, and comes to its end; when it is known for that, it says
/// nothing of Meta.
pub(super) fn blame(batch: &Batch, sent: usize, probe: Option<Probe>) -> (bool, ProbeOutcome) {
    let is_to_blame = sent == 1 && probe.is_some_and(|probe| probe.meta_answers);
    let is_spared = probe.is_some() && !is_to_blame;
    match is_to_blame && is_suspicious(batch) {
        true => (is_spared, ProbeOutcome::Released),
        false => (is_spared, ProbeOutcome::Failed),
    }
}

impl Sender {
    /// Whether the dataset is left alone by now, and for how long.
    pub(super) async fn left_alone(&self, part: &Leased) -> Result<Option<Stop>, StoreError> {
        let looking = || self.store.breaker(part.batch.id.dataset_id);
        let (breaker, _, now_ms) = self.insist(part.until, looking).await?.0;
        if breaker.permission(now_ms) == Permission::Freely {
            return Ok(None);
        }
        let wait_ms = breaker.open_until_ms.unwrap_or(now_ms).saturating_sub(now_ms);
        let wait = std::time::Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default());
        Ok(Some(Stop {
            reason: breaker.reason.unwrap_or(Reason::Errors),
            asked_until_ms: None,
            wait: wait.max(LEAST_PARKED),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_while_nothing_was_taken_does_a_failure_speak_against_meta() {
        let mut isolation = Isolation::default();
        assert!(!isolation.is_hopeless());
        isolation.learn(ProbeOutcome::Failed);
        assert!(isolation.is_hopeless());
        isolation.learn(ProbeOutcome::Succeeded);
        isolation.learn(ProbeOutcome::Failed);
        assert!(!isolation.is_hopeless());
    }
}
