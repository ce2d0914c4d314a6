//! What came of a batch, into the tables: until it is recorded or the lease ends.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::TimeDelta;
use rastro_core::circuit_breaker::{Breaker, ProbeOutcome, Reason, State};
use rastro_core::dataset::DatasetId;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{AttemptRecord, Batch, BatchId, DeadLetterReason, Fate, StoreError};
use tokio::time::Instant;
use tracing::{info, warn};

use super::answer::parked;
use super::{Leased, SendResult, Sender, Stop};
use crate::metrics::{EventLabels, EventOutcome};

/// The waits between tries of a database call, doubled from the first to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(1);

impl Sender {
    pub(super) async fn is_stopped_for_refusals(&self, dataset: DatasetId) -> Result<bool, StoreError> {
        let (breaker, _, _) = self.store.breaker(dataset).await?;
        Ok(breaker.state != State::Closed && breaker.reason == Some(Reason::Refused))
    }

    /// Records what becomes of each event, until it is recorded or the lease ends.
    pub(super) async fn settle(
        &self,
        part: &Leased,
        fates: &[Fate],
        record: Option<&AttemptRecord>,
        outcome: ProbeOutcome,
    ) -> Result<SendResult, StoreError> {
        let batch = &part.batch;
        let settling = || self.store.settle_batch(batch, fates, record);
        if !self
            .record(part, settling, |is_written| *is_written, |_| true)
            .await?
        {
            return Ok(SendResult::LeaseLost);
        }
        for (event, fate) in batch.events.iter().zip(fates) {
            self.count(match fate {
                Fate::Done => EventOutcome::success,
                Fate::Wait { retries, .. } if *retries == event.retries => EventOutcome::parked,
                Fate::Wait { .. } => EventOutcome::error,
                Fate::Dead(DeadLetterReason::Expired) => EventOutcome::expired,
                Fate::Dead(_) => EventOutcome::dead,
            });
        }
        Ok(SendResult::Settled(outcome))
    }

    pub(super) async fn split(
        &self,
        part: Leased,
        record: Option<&AttemptRecord>,
    ) -> Result<SendResult, StoreError> {
        let lease = self.config.lease();
        let begun = Instant::now();
        let splitting = || self.store.split_batch(part.batch.clone(), record, lease);
        // Halves that were made by a try whose answer was lost wait for the end of their leases.
        let halves = self
            .record(&part, splitting, Option::is_some, |halves| halves)
            .await?;
        let Some((first, second)) = halves else {
            return Ok(SendResult::LeaseLost);
        };
        self.metrics.splits.inc();
        // Their own attempts begin here.
        let half = |batch: Batch| Leased {
            batch: Batch { attempt: 1, ..batch },
            until: begun + lease,
        };
        Ok(SendResult::Split(Box::new([half(first), half(second)])))
    }

    /// Keeps back the parts of a batch that were not sent any more.
    pub(super) async fn park(&self, parts: VecDeque<Leased>, stop: &Stop) -> Result<(), StoreError> {
        for part in parts {
            let fates = parked(&part.batch, stop);
            self.settle(&part, &fates, None, ProbeOutcome::Released).await?;
        }
        Ok(())
    }

    /// Gives parts back that were not sent: others may send them.
    pub(super) async fn release(&self, parts: VecDeque<Leased>) -> Result<(), StoreError> {
        for part in parts {
            let releasing = || self.store.release_batch(&part.batch);
            self.record(&part, releasing, |is_written| *is_written, |_| true)
                .await?;
        }
        Ok(())
    }

    /// Makes the leases of all parts last from now again; those that are lost are dropped.
    pub(super) async fn renew(&self, parts: &mut VecDeque<Leased>) -> Result<(), StoreError> {
        let ids: Vec<BatchId> = parts.iter().map(|part| part.batch.id).collect();
        let lease = self.config.lease();
        let until = parts
            .iter()
            .map(|part| part.until)
            .min()
            .unwrap_or_else(Instant::now);
        let renewing = || async {
            let begun = Instant::now();
            Ok((begun, self.store.renew_leases(&ids, lease).await?))
        };
        let ((begun, ours), _) = self.insist(until, renewing).await?;
        parts.retain_mut(|part| {
            let is_ours = ours.contains(&part.batch.id);
            if is_ours {
                let longer = (begun + lease).saturating_duration_since(part.until);
                part.batch.lease_expires_at += TimeDelta::from_std(longer).unwrap_or_default();
                part.until = begun + lease;
            } else {
                self.count_lost_lease(part.batch.id.batch_id);
            }
            is_ours
        });
        Ok(())
    }

    /// Records something until it is recorded or the lease ends. Whether it was recorded: `is_written` says
    /// it of one try; if none was after one that failed, the failed one may have been, which `unsure` makes
    /// the best of.
    async fn record<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        part: &Leased,
        recording: impl Fn() -> F,
        is_written: impl Fn(&T) -> bool,
        unsure: impl Fn(T) -> T,
    ) -> Result<T, StoreError> {
        let (result, failed_before) = self.insist(part.until, recording).await?;
        let id = part.batch.id.batch_id;
        if is_written(&result) {
            if failed_before {
                info!(batch.id = id, "what came of a batch is recorded now");
            }
            Ok(result)
        } else if failed_before {
            info!(
                batch.id = id,
                "what came of a batch was recorded by an earlier try, or its lease had ended"
            );
            Ok(unsure(result))
        } else {
            self.count_lost_lease(id);
            Ok(result)
        }
    }

    /// Calls the database until it answers or the time is up, and says whether it failed before. Each try
    /// takes a connection anew, so a server that restarts is found as soon as it is back.
    pub(super) async fn insist<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        until: Instant,
        call: impl Fn() -> F,
    ) -> Result<(T, bool), StoreError> {
        let mut wait = FIRST_RETRY;
        let mut failed = false;
        loop {
            let error = match call().await {
                Ok(result) => return Ok((result, failed)),
                Err(error) => error,
            };
            let wait_now = wait.mul_f64(0.75 + 0.5 * rand::random::<f64>());
            if Instant::now() + wait_now >= until {
                return Err(error);
            }
            if !failed {
                warn!(
                    "the database did not take what came of a batch, trying on: {}",
                    ErrorChain(&error)
                );
            }
            failed = true;
            self.metrics.database_retries.inc();
            tokio::time::sleep(wait_now).await;
            wait = (wait * 2).min(LONGEST_RETRY);
        }
    }

    /// Leaves the dataset of a batch alone, and says until when.
    ///
    /// A probe's outcome says it by itself, and gives the probe back; stopped here, the breaker would have
    /// moved on before its probe is settled, and the next one would have to wait for this one's lease.
    pub(super) async fn stop(
        &self,
        part: &Leased,
        reason: Reason,
        asked: Option<Duration>,
        probing: bool,
    ) -> Result<Stop, StoreError> {
        let stopping = || self.try_to_stop(part.batch.id.dataset_id, reason, asked, probing);
        Ok(self.insist(part.until, stopping).await?.0)
    }

    async fn try_to_stop(
        &self,
        dataset: DatasetId,
        reason: Reason,
        asked: Option<Duration>,
        probing: bool,
    ) -> Result<Stop, StoreError> {
        let mut stop = Stop {
            reason,
            asked_until_ms: None,
            wait: Duration::ZERO,
        };
        let deciding = |breaker: &Breaker, now_ms: i64| {
            stop.asked_until_ms = asked.map(|asked| now_ms.saturating_add(milliseconds(asked)));
            let stopped = breaker.stop(reason, stop.asked_until_ms, now_ms, &self.breaker, rand::random());
            let until_ms = stopped.as_ref().unwrap_or(breaker).open_until_ms;
            let wait_ms = until_ms.unwrap_or(now_ms).saturating_sub(now_ms);
            stop.wait = Duration::from_millis(wait_ms.try_into().unwrap_or_default());
            stopped.filter(|_| !probing)
        };
        // Where others change it each time, what they say stands.
        self.store.update_breaker(dataset, None, deciding).await?;
        Ok(stop)
    }

    /// Tells the breaker what its probe found, unless it has moved on since.
    pub(crate) async fn settle_probe(
        &self,
        dataset: DatasetId,
        generation: i64,
        outcome: ProbeOutcome,
    ) -> Result<(), StoreError> {
        let mut moved_to = None;
        let deciding = |breaker: &Breaker, now_ms: i64| {
            let settled = breaker.settle_probe(outcome, generation, now_ms, &self.breaker, rand::random())?;
            moved_to = (settled.state != breaker.state).then_some(settled.state);
            Some(settled)
        };
        let is_settled = self.store.update_breaker(dataset, None, deciding).await?;
        if let Some(state) = moved_to.filter(|_| is_settled) {
            info!(dataset_id = %dataset, "after a probe the breaker is {}", state.as_str());
        }
        Ok(())
    }

    fn count(&self, outcome: EventOutcome) {
        self.metrics.events.get_or_create(&EventLabels { outcome }).inc();
    }

    fn count_lost_lease(&self, batch_id: i64) {
        self.metrics.leases_lost.inc();
        warn!(
            batch.id = batch_id,
            "the lease had ended: another forwarder has taken the batch over, or will"
        );
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
