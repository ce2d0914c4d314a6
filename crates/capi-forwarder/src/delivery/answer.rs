//! What follows from Meta's answer: whether the events are done, wait, go by themselves or are dead letters,
//! and whether the dataset is left alone.

use rastro_core::circuit_breaker::{ProbeOutcome, Reason};
use rastro_core::retry::parked_for;
use rastro_graph_api::{Answer, Failure, FailureClass};
use rastro_store::{AttemptOutcome, AttemptRecord, Batch, DeadLetterReason, Fate, QueuedEvent, StoreError};
use tracing::{error, warn};

use super::isolation::{Isolation, blame};
use super::{LEAST_PARKED, Leased, Probe, SendResult, Sender, Stop};

/// What follows from Meta's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum NextStep<'a> {
    /// Meta took every event.
    Finish,
    /// One event or more is at fault: each half goes by itself.
    Split,
    /// Meta failed again and again on events of this request, perhaps on one of them: each half goes by
    /// itself.
    Isolate(&'a Failure),
    /// Each event waits for its next retry, if it has one.
    Retry(&'a Failure),
    /// Nothing is wrong with the events, and the dataset is left alone: they are parked.
    Park(Reason, &'a Failure),
    /// The one event of the request is at fault.
    DeadLetter(&'a Failure),
}

impl Sender {
    /// Does what follows from an answer, after which nothing of the batch is left to do but its halves.
    pub(super) async fn apply(
        &self,
        part: Leased,
        answer: &Answer,
        sent: usize,
        probe: Option<Probe>,
        isolation: Isolation,
    ) -> Result<SendResult, StoreError> {
        let may_isolate = probe.is_none() && isolation.may_cut(&part.batch);
        let step = next_step(&answer.result, sent, may_isolate);
        let record = &record(answer, step);
        let (dataset, batch_id) = (part.batch.id.dataset_id, part.batch.id.batch_id);
        match step {
            NextStep::Finish => {
                self.refusals.delivered(dataset);
                let short = answer
                    .events_received
                    .filter(|received| usize::try_from(*received) != Ok(sent));
                if let Some(received) = short {
                    error!(
                        dataset_id = %dataset, batch.id = batch_id, fbtrace_id = answer.fbtrace_id,
                        "Meta took a request of {sent} events and says that it received {received}"
                    );
                }
                let fates = fates(&part.batch, |_| Fate::Done);
                self.settle(&part, &fates, Some(record), ProbeOutcome::Succeeded)
                    .await
            }
            NextStep::Split => self.split(part, Some(record)).await,
            NextStep::Isolate(failure) => {
                warn!(
                    dataset_id = %dataset, batch.id = batch_id,
                    "Meta failed again on a request of {sent} events, which is cut in two in case that one of them is the \
                     cause: {}", failure.message
                );
                self.split(part, Some(record)).await
            }
            NextStep::Retry(failure) => {
                warn!(
                    dataset_id = %dataset, batch.id = batch_id,
                    "{sent} events wait after a failed attempt: {}", failure.message
                );
                let (is_spared, outcome) = blame(&part.batch, sent, probe);
                let fates = fates(&part.batch, |event| self.retry(event, failure, is_spared));
                self.settle(&part, &fates, Some(record), outcome).await
            }
            NextStep::Park(reason, failure) => {
                if reason == Reason::Throttled {
                    warn!(dataset_id = %dataset, "the dataset is left alone for a while: {}", failure.message);
                } else {
                    error!(
                        dataset_id = %dataset,
                        "the dataset is left alone, somebody has to act: {}", failure.message
                    );
                }
                // First: if the process dies in between, the batch waits for its lease, and the dataset is
                // left alone.
                let stop = self.stop(&part, reason, failure.wait, probe.is_some()).await?;
                self.settle(
                    &part,
                    &parked(&part.batch, &stop),
                    Some(record),
                    ProbeOutcome::Released,
                )
                .await?;
                Ok(SendResult::Stopped(stop))
            }
            NextStep::DeadLetter(failure) => self.refused(part, failure, record, probe).await,
        }
    }

    /// Meta refuses an event that stood alone. When that happens again and again, and it takes none in
    /// between, it is not the events' fault: then the dataset is left alone before all of them are dead
    /// letters.
    async fn refused(
        &self,
        part: Leased,
        failure: &Failure,
        record: &AttemptRecord,
        probe: Option<Probe>,
    ) -> Result<SendResult, StoreError> {
        let (dataset, message) = (part.batch.id.dataset_id, &failure.message);
        let code = (record.error_code, record.error_subcode);
        let is_systematic = self.refusals.refused(dataset, code);
        let is_known = match probe {
            // It was to find out whether this is over, and it is not.
            Some(probe) => probe.is_about_refusals,
            // Another delivery has found it out.
            None => {
                let looking = || self.is_stopped_for_refusals(dataset);
                self.insist(part.until, looking).await?.0
            }
        };
        let stop = if is_systematic || is_known {
            error!(
                dataset_id = %dataset,
                "Meta refuses event after event for one cause and takes none, so the others are kept back and the \
                 dataset is left alone; somebody has to act: {message}"
            );
            let stopping = self.stop(&part, Reason::Refused, failure.wait, probe.is_some());
            Some(stopping.await?)
        } else {
            warn!(dataset_id = %dataset, "Meta refuses an event for good, it is kept as a dead letter: {message}");
            None
        };
        let fates = fates(&part.batch, |_| Fate::Dead(DeadLetterReason::Refused));
        // A refusal of an event proves that Meta is alive.
        let settled = self
            .settle(&part, &fates, Some(record), ProbeOutcome::Succeeded)
            .await?;
        Ok(stop.map_or(settled, SendResult::Stopped))
    }

    /// The next try of one event, or none. A probe spends no retry: the outage is not the event's fault.
    fn retry(&self, event: &QueuedEvent, failure: &Failure, probing: bool) -> Fate {
        let spent = u16::try_from(event.retries).unwrap_or_default();
        let chance = rand::random();
        if probing {
            let first = self.schedule.next_delay(0, failure.wait, chance);
            return Fate::Wait {
                delay: first.unwrap_or(LEAST_PARKED),
                retries: event.retries,
            };
        }
        match self.schedule.next_delay(spent, failure.wait, chance) {
            Some(delay) => Fate::Wait {
                delay,
                retries: event.retries.saturating_add(1),
            },
            None => Fate::Dead(DeadLetterReason::Exhausted),
        }
    }
}

/// What follows from the answer to a request of so many events. `may_isolate`: should Meta fail on it, the
/// event is looked for on which it does.
fn next_step(result: &Result<(), Failure>, sent: usize, may_isolate: bool) -> NextStep<'_> {
    let Err(failure) = result else {
        return NextStep::Finish;
    };
    match failure.class {
        FailureClass::Refused | FailureClass::TooLarge if sent > 1 => NextStep::Split,
        FailureClass::Refused => NextStep::DeadLetter(failure),
        FailureClass::Transient | FailureClass::Unknown if sent > 1 && may_isolate => {
            NextStep::Isolate(failure)
        }
        FailureClass::Transient | FailureClass::Unknown | FailureClass::TooLarge => NextStep::Retry(failure),
        FailureClass::Throttled => NextStep::Park(Reason::Throttled, failure),
        FailureClass::Blocked => NextStep::Park(Reason::Blocked, failure),
    }
}

/// The attempt as it is logged.
fn record(answer: &Answer, step: NextStep<'_>) -> AttemptRecord {
    let failure = answer.result.as_ref().err();
    let error = failure.and_then(|failure| failure.error.as_ref());
    AttemptRecord {
        outcome: match step {
            NextStep::Finish => AttemptOutcome::Delivered,
            NextStep::Split | NextStep::DeadLetter(_) => AttemptOutcome::Refused,
            NextStep::Retry(_) | NextStep::Isolate(_) => AttemptOutcome::Unavailable,
            NextStep::Park(Reason::Throttled, _) => AttemptOutcome::Throttled,
            NextStep::Park(..) => AttemptOutcome::Blocked,
        },
        http_status: answer.http_status,
        fbtrace_id: answer.fbtrace_id.clone(),
        error_code: error.and_then(|error| error.code),
        error_subcode: error.and_then(|error| error.error_subcode),
        error_message: failure.map(|failure| failure.message.clone()),
        latency_ms: i32::try_from(answer.latency.as_millis()).ok(),
        events_received: answer.events_received,
    }
}

/// Events that have become too old go their own way, the others as `fresh` says.
pub(super) fn fates(batch: &Batch, fresh: impl Fn(&QueuedEvent) -> Fate) -> Vec<Fate> {
    let fate = |event: &QueuedEvent| match event.too_old {
        true => Fate::Dead(DeadLetterReason::Expired),
        false => fresh(event),
    };
    batch.events.iter().map(fate).collect()
}

/// Every event waits as long as its dataset is left alone, and keeps its retries.
pub(super) fn parked(batch: &Batch, stop: &Stop) -> Vec<Fate> {
    fates(batch, |event| Fate::Wait {
        delay: parked_for(stop.wait, LEAST_PARKED, rand::random()),
        retries: event.retries,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_failure_has_its_next_step() {
        let failure = |class| Failure {
            class,
            message: String::new(),
            wait: None,
            error: None,
        };
        let step = |class, sent, may_isolate| match next_step(&Err(failure(class)), sent, may_isolate) {
            NextStep::Finish => "finish",
            NextStep::Split => "split",
            NextStep::Isolate(_) => "isolate",
            NextStep::Retry(_) => "retry",
            NextStep::Park(Reason::Throttled, _) => "park, throttled",
            NextStep::Park(..) => "park, blocked",
            NextStep::DeadLetter(_) => "dead letter",
        };
        for (class, one, many) in [
            (FailureClass::Transient, "retry", "retry"),
            (FailureClass::Unknown, "retry", "retry"),
            (FailureClass::TooLarge, "retry", "split"),
            (FailureClass::Refused, "dead letter", "split"),
            (FailureClass::Throttled, "park, throttled", "park, throttled"),
            (FailureClass::Blocked, "park, blocked", "park, blocked"),
        ] {
            let steps = (step(class, 1, false), step(class, 2, false));
            assert_eq!(steps, (one, many), "{class:?}");
            let is_outage = matches!(class, FailureClass::Transient | FailureClass::Unknown);
            let suspicious = if is_outage { "isolate" } else { many };
            assert_eq!(
                (step(class, 1, true), step(class, 2, true)),
                (one, suspicious),
                "{class:?}"
            );
        }
        assert_eq!(next_step(&Ok(()), 1, true), NextStep::Finish);
    }
}
