//! One history, acted out on PostgreSQL and in the model at the same time.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use rastro_core::circuit_breaker::{Breaker, BreakerSettings, Manual, Permission};
use rastro_store::{
    Acceptance, AttemptOutcome, AttemptRecord, Batch, DeadLetterFilter, Fate, NewEvent, QueueStretch,
    ReadyLane, RetryRequest, Store,
};
use tokio_postgres::SimpleQueryMessage;
use uuid::Uuid;

use crate::common::{Accept as _, event};
use crate::memory::{self, LINES, Memory, Place};
use crate::steps::Step;
use crate::{Bench, dataset_id};

const LEASE: Duration = Duration::from_secs(30);
const LEASE_MS: i64 = 30_000;
/// How far before its opening a breaker looked at what failed.
const WINDOW: Duration = Duration::from_secs(20);
const WINDOW_MS: i64 = 20_000;
const PROBE_EVENTS: usize = 2;

/// One history under way.
pub(crate) struct History<'b> {
    bench: &'b mut Bench,
    memory: Memory,
    /// Every batch as each of its owners got it.
    held: Vec<Batch>,
    /// The last probe's generation.
    probe: Option<i64>,
    /// The breaker before its last change.
    earlier: Option<Breaker>,
    settings: BreakerSettings,
}

impl<'b> History<'b> {
    pub(crate) fn new(bench: &'b mut Bench) -> Self {
        let memory = Memory::at(bench.began_ms);
        History {
            bench,
            memory,
            held: Vec::new(),
            probe: None,
            earlier: None,
            settings: settings(),
        }
    }

    pub(crate) async fn apply(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let now_ms = self.memory.now_ms;
        match step {
            Step::Accept { ids } => self.accept(ids).await?,
            Step::Claim { limit } => self.take_turn(*limit).await?,
            Step::TakeOver => self.take_over().await?,
            Step::Finish { which } => {
                let Some(batch) = self.held(*which) else {
                    return Ok(());
                };
                self.send(&batch);
                let done = vec![Fate::Done; batch.events.len()];
                let delivered = AttemptRecord::of(AttemptOutcome::Delivered);
                let settling = self.store().settle_batch(&batch, &done, Some(&delivered));
                let finished = settling.await.unwrap();
                prop_assert_eq!(finished, self.memory.finish(&batch), "who owns {:?}", batch.id);
            }
            Step::Lose { which } => {
                let Some(batch) = self.held(*which) else {
                    return Ok(());
                };
                self.send(&batch);
            }
            Step::Settle { which, fates, answer } => {
                let Some(batch) = self.held(*which) else {
                    return Ok(());
                };
                let fates: Vec<Fate> = fates.iter().cycle().take(batch.events.len()).copied().collect();
                self.send(&batch);
                let record = answer.map(|outcome| AttemptRecord {
                    error_message: Some("on command".into()),
                    ..AttemptRecord::of(outcome)
                });
                let settled = self
                    .store()
                    .settle_batch(&batch, &fates, record.as_ref())
                    .await
                    .unwrap();
                prop_assert_eq!(
                    settled,
                    self.memory.settle(&batch, &fates, *answer),
                    "who owns {:?}",
                    batch.id
                );
            }
            Step::Release { which } => {
                let Some(batch) = self.held(*which) else {
                    return Ok(());
                };
                let released = self.store().release_batch(&batch).await.unwrap();
                prop_assert_eq!(released, self.memory.release(&batch), "who owns {:?}", batch.id);
            }
            Step::Split { which, answered } => self.split(*which, *answered).await?,
            Step::Renew { which } => {
                let Some(batch) = self.held(*which) else {
                    return Ok(());
                };
                let renewed = self.store().renew_leases(&[batch.id], LEASE).await.unwrap();
                let is_ours = renewed == [batch.id];
                prop_assert_eq!(is_ours, self.memory.owns(&batch), "who owns {:?}", batch.id);
                if is_ours {
                    let held = self.memory.batches.get_mut(&batch.id.batch_id).unwrap();
                    held.lease_until_ms = now_ms + LEASE_MS;
                }
            }
            Step::Pass { ms } => {
                self.memory.now_ms += ms;
                self.set_clock().await;
            }
            Step::RequeueDue { limit } => {
                let moved = self.store().requeue_due(count(*limit)).await.unwrap();
                self.requeued(moved, *limit).await?;
            }
            Step::ExpireWaiting => {
                let expired = self.store().expire_waiting(100).await.unwrap();
                prop_assert_eq!(expired, self.memory.expire_waiting());
            }
            Step::ExpireReady => {
                let expired = self
                    .store()
                    .expire_ready(QueueStretch::default(), 100)
                    .await
                    .unwrap();
                prop_assert_eq!(expired, self.memory.expire_ready());
            }
            Step::Dissolve => {
                let dissolved = self.store().dissolve_lapsed(100).await.unwrap();
                prop_assert_eq!(dissolved, self.memory.dissolve_lapsed());
            }
            Step::RetryFailed { at_most } => {
                let request = RetryRequest {
                    dry_run: false,
                    spread: Duration::ZERO,
                    at_most: count(*at_most),
                    request_id: Uuid::nil(),
                    note: "test",
                };
                let counts = self
                    .store()
                    .retry_failed(&DeadLetterFilter::default(), &request)
                    .await
                    .unwrap();
                let (matched, retried, too_old) = self.memory.retry_failed(*at_most);
                let counts = (counts.matched, counts.retried, counts.too_old);
                prop_assert_eq!(counts, (count(matched), count(retried), count(too_old)));
            }
            Step::RequeueForProbe { limit } => {
                let moved = self
                    .store()
                    .requeue_for_probe(count(*limit), WINDOW)
                    .await
                    .unwrap();
                prop_assert_eq!(moved, self.memory.requeue_for_probe(*limit, WINDOW_MS));
            }
            Step::Revive => {
                let revived = self
                    .store()
                    .revive_after_outage(WINDOW, Duration::ZERO, 100)
                    .await
                    .unwrap();
                prop_assert_eq!(revived, self.memory.revive_after_outage(WINDOW_MS));
            }
            Step::Stop { reason } => {
                let settings = self.settings;
                self.change(|breaker| breaker.stop(*reason, None, now_ms, &settings, 0.0))
                    .await?;
            }
            Step::Tick => {
                let settings = self.settings;
                self.change(|breaker| breaker.tick(&Default::default(), now_ms, &settings, 0.0))
                    .await?;
            }
            Step::SettleProbe { outcome } => {
                let (Some(generation), settings) = (self.probe, self.settings) else {
                    return Ok(());
                };
                self.change(|breaker| breaker.settle_probe(*outcome, generation, now_ms, &settings, 0.0))
                    .await?;
            }
            Step::Order { manual } => {
                self.change(|breaker| Some(breaker.set_manual(*manual, None)))
                    .await?;
            }
            Step::StaleChange => {
                let Some(before) = self.earlier else { return Ok(()) };
                let after = before.set_manual(Manual::ForcedOpen, None);
                let changed = self
                    .store()
                    .change_breaker(dataset_id(), &before, &after, None)
                    .await
                    .unwrap();
                prop_assert!(!changed, "a breaker was changed by somebody who had not read it");
            }
        }
        Ok(())
    }

    async fn accept(&mut self, ids: &[u8]) -> Result<(), TestCaseError> {
        let events: Vec<NewEvent> = ids.iter().map(|id| new_event(*id, self.bench.began_ms)).collect();
        let events: Vec<&NewEvent> = events.iter().collect();
        let acceptances = self.bench.writer.accept(&events, &[]).await.unwrap();
        let mut seen: Vec<&str> = self.memory.events.keys().map(String::as_str).collect();
        let mut duplicates = 0;
        let mut first_claims = Vec::new();
        for (event, acceptance) in events.iter().zip(acceptances) {
            let was_seen = seen.contains(&event.id.as_str());
            seen.push(&event.id);
            match acceptance {
                Acceptance::Accepted { .. } => prop_assert!(!was_seen, "{} was accepted twice", event.id),
                Acceptance::Duplicate(claim) => {
                    prop_assert!(was_seen, "{} is no duplicate", event.id);
                    duplicates += 1;
                    first_claims.push((event.id.clone(), claim.map(|claim| claim.event_number)));
                }
            }
        }
        self.memory.log("duplicate", duplicates);
        // The numbers are the database's to give.
        for row in self
            .bench
            .sql
            .query("SELECT event_id, event_number FROM events", &[])
            .await
            .unwrap()
        {
            let (id, number): (String, i64) = (row.get(0), row.get(1));
            let send_by_ms = events
                .iter()
                .find(|event| event.id == id)
                .map(|event| event.send_by * 1_000);
            if let (false, Some(send_by_ms)) = (self.memory.events.contains_key(&id), send_by_ms) {
                let event = memory::Event {
                    number,
                    send_by_ms,
                    retries: 0,
                    failed_alone: false,
                    place: Place::Ready,
                };
                self.memory.events.insert(id, event);
                self.memory.log("accepted", 1);
            }
        }
        for (id, claimed_by) in first_claims {
            prop_assert_eq!(
                claimed_by,
                Some(self.memory.events[&id].number),
                "who has the key of {}",
                id
            );
        }
        Ok(())
    }

    /// So many were said to be ready again. Which of those that were due at the same moment, is not the
    /// model's to say.
    async fn requeued(&mut self, moved: usize, limit: usize) -> Result<(), TestCaseError> {
        let due = self.memory.due();
        prop_assert_eq!(moved, due.len().min(limit), "how many were due");
        let mut latest = i64::MIN;
        let mut left = due;
        let ready = "SELECT event_id FROM ready_events JOIN events USING (dataset_id, event_number, day)";
        for row in self.bench.sql.query(ready, &[]).await.unwrap() {
            if let Some((id, due_ms)) = left.remove_entry(row.get::<_, &str>(0)) {
                self.memory.event(&id).place = Place::Ready;
                latest = latest.max(due_ms);
            }
        }
        prop_assert!(
            left.values().all(|due_ms| *due_ms >= latest),
            "{:?} were due earlier",
            left
        );
        Ok(())
    }

    async fn take_turn(&mut self, limit: usize) -> Result<(), TestCaseError> {
        let lanes = self.store().ready_lanes().await.unwrap();
        let ready = self.memory.oldest_ready(usize::MAX);
        prop_assert_eq!(
            lanes.len(),
            usize::from(!ready.is_empty()),
            "lanes with something ready"
        );
        let Some(lane) = lanes.first() else { return Ok(()) };
        prop_assert_eq!(timeless(lane.breaker), timeless(self.memory.breaker()));
        prop_assert_eq!(lane.now_ms, self.memory.now_ms);
        match lane.breaker.permission(lane.now_ms) {
            Permission::Nothing => Ok(()),
            Permission::Freely => self.claim(lane, limit).await,
            Permission::Probe => {
                let (now_ms, settings) = (self.memory.now_ms, self.settings);
                self.change(|breaker| breaker.take_probe(now_ms, &settings))
                    .await?;
                self.probe = Some(self.memory.breaker().generation);
                let lane = ReadyLane {
                    breaker: self.memory.breaker(),
                    ..lane.clone()
                };
                self.claim(&lane, PROBE_EVENTS).await
            }
        }
    }

    async fn claim(&mut self, lane: &ReadyLane, limit: usize) -> Result<(), TestCaseError> {
        let expected = self.memory.oldest_ready(limit);
        let batch = self.store().claim_batch(lane, limit, LEASE, "one").await.unwrap();
        let Some(batch) = batch else {
            return Err(TestCaseError::fail("nothing was claimed of what was ready"));
        };
        prop_assert_eq!((batch.id.fence, batch.attempt), (1, 1));
        self.received(batch, &expected)
    }

    async fn take_over(&mut self) -> Result<(), TestCaseError> {
        let candidates = self.memory.lapsed();
        let Some(batch) = self.store().take_over_batch(&[], LEASE, "other").await.unwrap() else {
            prop_assert!(
                candidates.is_empty(),
                "{candidates:?} have lapsed, and none was taken over"
            );
            return Ok(());
        };
        let id = batch.id.batch_id;
        prop_assert!(
            candidates.contains(&id),
            "{id} was taken over, {candidates:?} have lapsed"
        );
        let before = self.memory.batches[&id].clone();
        prop_assert_eq!(
            (batch.id.fence, batch.attempt),
            (before.fence + 1, before.attempt + 1)
        );
        self.received(batch, &before.events)
    }

    /// A batch came into somebody's hands.
    fn received(&mut self, batch: Batch, expected: &[String]) -> Result<(), TestCaseError> {
        let ids: Vec<&str> = batch.events.iter().map(|event| event.id.as_str()).collect();
        prop_assert_eq!(ids, expected, "the events of the batch");
        for event in &batch.events {
            let known = &self.memory.events[&event.id];
            prop_assert_eq!((event.number, event.retries), (known.number, known.retries));
            prop_assert_eq!(
                event.too_old,
                known.send_by_ms <= self.memory.now_ms,
                "the age of {}",
                event.id
            );
            prop_assert_eq!(&event.payload, &payload(&event.id));
        }
        self.memory.hold(&batch, LEASE_MS);
        self.held.push(batch);
        Ok(())
    }

    async fn split(&mut self, which: usize, answered: bool) -> Result<(), TestCaseError> {
        let Some(batch) = self.held(which).filter(|batch| batch.events.len() > 1) else {
            return Ok(());
        };
        let refused = answered.then(|| AttemptRecord::of(AttemptOutcome::Refused));
        let halves = self
            .store()
            .split_batch(batch.clone(), refused.as_ref(), LEASE)
            .await
            .unwrap();
        prop_assert_eq!(
            halves.is_some(),
            self.memory.owns(&batch),
            "who owns {:?}",
            batch.id
        );
        let Some((first, second)) = halves else {
            return Ok(());
        };
        prop_assert!(first.id.batch_id != second.id.batch_id);
        let attempt = self.memory.batches.remove(&batch.id.batch_id).unwrap().attempt;
        // What became too old before its request was made, was not in it.
        let sent = batch.events.iter().filter(|event| !event.too_old).count();
        self.memory.count(refused.map(|record| record.outcome), sent);
        let ids: Vec<String> = batch.events.iter().map(|event| event.id.clone()).collect();
        let (left, right) = ids.split_at(ids.len() / 2);
        for (half, expected) in [(first, left), (second, right)] {
            prop_assert_eq!((half.id.fence, half.attempt), (1, attempt));
            self.received(half, expected)?;
        }
        Ok(())
    }

    /// Decides about the breaker by what PostgreSQL says of it, and by what the model does.
    async fn change(&mut self, decide: impl Fn(&Breaker) -> Option<Breaker>) -> Result<(), TestCaseError> {
        // Since when a breaker is closed that has no row yet, is the database's to say.
        let read = self.store().breaker(dataset_id()).await.unwrap().0;
        prop_assert_eq!(timeless(read), timeless(self.memory.breaker()));
        let before = self.memory.breaker.unwrap_or(read);
        let written = self
            .store()
            .update_breaker(dataset_id(), None, |breaker, _| decide(breaker))
            .await
            .unwrap();
        prop_assert!(written);
        if let Some(after) = decide(&before) {
            self.memory.set_breaker(after);
            self.earlier = Some(before);
        }
        Ok(())
    }

    pub(crate) async fn compare(&self) -> Result<(), TestCaseError> {
        let messages = self.bench.sql.simple_query(LINES).await.unwrap();
        let mut lines: Vec<String> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect();
        lines.sort();
        prop_assert_eq!(
            lines,
            self.memory.lines(),
            "PostgreSQL (left) and the model (right)"
        );
        let (breaker, _, now_ms) = self.store().breaker(dataset_id()).await.unwrap();
        prop_assert_eq!(timeless(breaker), timeless(self.memory.breaker()));
        prop_assert_eq!(now_ms, self.memory.now_ms);
        let census = self.store().census().await.unwrap();
        prop_assert_eq!(census.lost(), 0, "{:?}", census);
        prop_assert_eq!(census.confirmations, census.delivered, "{:?}", census);
        prop_assert_eq!(census.accepted, count(self.memory.events.len()));
        Ok(())
    }

    /// Whatever happened before: with the breaker out of the way everything comes to its end, and what is
    /// called delivered is at Meta.
    pub(crate) async fn drain(&mut self) -> Result<(), TestCaseError> {
        self.apply(&Step::Order {
            manual: Manual::ForcedClosed,
        })
        .await?;
        for _ in 0..100 {
            let census = self.store().census().await.unwrap();
            if census.pending() == 0 {
                let delivered = self.memory.ids(|event| event.place == Place::Delivered);
                prop_assert_eq!(census.delivered + census.dead, census.accepted);
                prop_assert!(delivered.iter().all(|id| self.memory.sent.contains(id)));
                return Ok(());
            }
            for step in [
                Step::Pass { ms: 41_000 },
                Step::ExpireWaiting,
                Step::ExpireReady,
                Step::RequeueDue { limit: 100 },
            ] {
                self.apply(&step).await?;
            }
            let before = self.held.len();
            for step in [Step::TakeOver, Step::Claim { limit: 100 }] {
                self.apply(&step).await?;
            }
            for which in 0..self.held.len() - before {
                self.apply(&Step::Finish { which }).await?;
            }
            self.compare().await?;
        }
        Err(TestCaseError::fail("what is left never comes to its end"))
    }

    fn send(&mut self, batch: &Batch) {
        self.memory
            .sent
            .extend(batch.events.iter().map(|event| event.id.clone()));
    }

    fn held(&self, which: usize) -> Option<Batch> {
        self.held.iter().rev().nth(which).cloned()
    }

    fn store(&self) -> &Store {
        &self.bench.store
    }

    pub(crate) async fn set_clock(&self) {
        let seconds = Duration::from_millis(self.memory.now_ms.unsigned_abs()).as_secs_f64();
        let sql = format!(
            "CREATE OR REPLACE FUNCTION rastro_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
             AS 'SELECT to_timestamp({seconds:.3})'"
        );
        self.bench.sql.batch_execute(&sql).await.unwrap();
    }
}

/// Without the one thing that means nothing before the first change.
fn timeless(breaker: Breaker) -> Breaker {
    let since_ms = if breaker.generation == 0 {
        0
    } else {
        breaker.since_ms
    };
    Breaker { since_ms, ..breaker }
}

fn settings() -> BreakerSettings {
    BreakerSettings {
        open_for_ms: 2_000,
        open_for_longest_ms: 10_000,
        probes_to_close: 2,
        probe_lease_ms: 8_000,
        ..BreakerSettings::default()
    }
}

/// The event of a number. Each becomes too old at a moment of its own, some of them within the history.
fn new_event(number: u8, began_ms: i64) -> NewEvent {
    let id = format!("e{number}");
    let send_by = began_ms / 1_000 + if number < 3 { 40 } else { 100_000 } + i64::from(number);
    NewEvent {
        send_by,
        dedup_window_seconds: 10_000_000,
        request_id: Uuid::nil(),
        payload: payload(&id),
        ..event(1, "", &id)
    }
}

fn payload(id: &str) -> String {
    format!(r#"{{"event_id":"{id}"}}"#)
}

fn count(events: usize) -> i64 {
    i64::try_from(events).expect("few events")
}
