//! One history, acted out on PostgreSQL and in the model at the same time.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use rastro_core::circuit_breaker::{Breaker, BreakerSettings, Manual, Permission};
use rastro_core::dedup::EventKey;
use rastro_store::{
    AttemptRecord, Batch, DeadLetterFilter, Evidence, Fate, NewEvent, ReadyLane, RetryRequest, Store,
};
use tokio_postgres::SimpleQueryMessage;
use uuid::Uuid;

use crate::memory::{self, LINES, Memory, Place};
use crate::steps::Step;
use crate::{Bench, dataset_id};

const LEASE: Duration = Duration::from_secs(30);
const LEASE_MS: i64 = 30_000;
/// How far before its opening a breaker looked at what failed.
const WINDOW: Duration = Duration::from_secs(20);
const WINDOW_MS: i64 = 20_000;
const PROBE_EVENTS: u16 = 2;

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
                let finished = self
                    .store()
                    .finish_batch(&batch, &AttemptRecord::default())
                    .await
                    .unwrap();
                prop_assert_eq!(finished, self.memory.finish(&batch), "who owns {:?}", batch.id);
            }
            Step::Lose { which } => {
                let Some(batch) = self.held(*which) else {
                    return Ok(());
                };
                self.send(&batch);
            }
            Step::Settle {
                which,
                fates,
                evidence,
            } => {
                let Some(batch) = self.held(*which) else {
                    return Ok(());
                };
                let fates: Vec<Fate> = fates.iter().cycle().take(batch.events.len()).copied().collect();
                self.send(&batch);
                let record = AttemptRecord {
                    error_message: Some("on command".into()),
                    ..Default::default()
                };
                let settled = self
                    .store()
                    .settle_batch(&batch, &record, &fates, *evidence)
                    .await
                    .unwrap();
                prop_assert_eq!(
                    settled,
                    self.memory.settle(&batch, &fates, *evidence),
                    "who owns {:?}",
                    batch.id
                );
            }
            Step::Split { which, answered } => self.split(*which, *answered).await?,
            Step::Renew { which } => {
                let Some(batch) = self.held(*which) else {
                    return Ok(());
                };
                let renewed = self.store().renew_lease(batch.id, LEASE).await.unwrap();
                prop_assert_eq!(renewed, self.memory.owns(&batch), "who owns {:?}", batch.id);
                if renewed {
                    let held = self.memory.batches.get_mut(&batch.id.batch_id).unwrap();
                    held.lease_until_ms = now_ms + LEASE_MS;
                }
            }
            Step::Pass { ms } => {
                self.memory.now_ms += ms;
                self.set_clock().await;
            }
            Step::RequeueDue { limit } => {
                let moved = self
                    .store()
                    .requeue_due(i64::try_from(*limit).unwrap())
                    .await
                    .unwrap();
                prop_assert_eq!(moved, count(self.memory.requeue_due(*limit)));
            }
            Step::ExpireWaiting => {
                let expired = self.store().expire_waiting(100).await.unwrap();
                prop_assert_eq!(expired, count(self.memory.expire_waiting()));
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
                prop_assert_eq!(moved, count(self.memory.requeue_for_probe(*limit, WINDOW_MS)));
            }
            Step::Revive => {
                let revived = self
                    .store()
                    .revive_after_outage(WINDOW, Duration::ZERO, 100)
                    .await
                    .unwrap();
                prop_assert_eq!(revived, count(self.memory.revive_after_outage(WINDOW_MS)));
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
        let mut events: Vec<NewEvent> = ids.iter().map(|id| new_event(*id, self.bench.began_ms)).collect();
        events.sort_by_key(|event| event.key);
        events.dedup_by_key(|event| event.key);
        let events: Vec<&NewEvent> = events.iter().collect();
        let fresh = self.bench.writer.accept(&events).await.unwrap();
        let expected: Vec<bool> = events
            .iter()
            .map(|event| !self.memory.events.contains_key(&event.id))
            .collect();
        prop_assert_eq!(&fresh, &expected, "what is new");
        let duplicates: Vec<&NewEvent> = events
            .iter()
            .zip(&fresh)
            .filter_map(|(event, fresh)| (!fresh).then_some(*event))
            .collect();
        if !duplicates.is_empty() {
            self.bench.writer.record_duplicates(&duplicates).await.unwrap();
            self.memory.log("duplicate", duplicates.len());
        }
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
                    place: Place::Ready,
                };
                self.memory.events.insert(id, event);
            }
        }
        Ok(())
    }

    async fn take_turn(&mut self, limit: u16) -> Result<(), TestCaseError> {
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

    async fn claim(&mut self, lane: &ReadyLane, limit: u16) -> Result<(), TestCaseError> {
        let expected = self.memory.oldest_ready(usize::from(limit));
        let batch = self.store().claim_batch(lane, limit, LEASE, "one").await.unwrap();
        let Some(batch) = batch else {
            return Err(TestCaseError::fail("nothing was claimed of what was ready"));
        };
        prop_assert_eq!((batch.id.fence, batch.attempt), (1, 1));
        self.received(batch, &expected)
    }

    async fn take_over(&mut self) -> Result<(), TestCaseError> {
        let candidates = self.memory.lapsed();
        let Some(batch) = self.store().take_over_batch(LEASE, "other").await.unwrap() else {
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
        let halves = self
            .store()
            .split_batch(batch.clone(), answered, LEASE)
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
        self.memory
            .count(if answered { Evidence::Alive } else { Evidence::None });
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
        let account = self.store().account().await.unwrap();
        prop_assert_eq!(account.lost(), 0, "{:?}", account);
        prop_assert_eq!(account.confirmations, account.delivered, "{:?}", account);
        prop_assert_eq!(account.accepted, count(self.memory.events.len()));
        Ok(())
    }

    /// Whatever happened before: with the breaker out of the way everything comes to its end, and what is called
    /// delivered is at Meta.
    pub(crate) async fn drain(&mut self) -> Result<(), TestCaseError> {
        self.apply(&Step::Order {
            manual: Manual::ForcedClosed,
        })
        .await?;
        for _ in 0..100 {
            let account = self.store().account().await.unwrap();
            if account.pending() == 0 {
                let delivered = self.memory.ids(|event| event.place == Place::Delivered);
                prop_assert_eq!(account.delivered + account.failed, account.accepted);
                prop_assert!(delivered.iter().all(|id| self.memory.sent.contains(id)));
                return Ok(());
            }
            for step in [
                Step::Pass { ms: 41_000 },
                Step::ExpireWaiting,
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
        key: EventKey::new(dataset_id(), "Lead", &id),
        dataset_id: dataset_id(),
        name: "Lead".into(),
        withheld: false,
        payload: payload(&id),
        id,
        send_by,
        dedup_window_seconds: 10_000_000,
        test_event_code: String::new(),
        request_id: Uuid::nil(),
        traceparent: None,
    }
}

fn payload(id: &str) -> String {
    format!(r#"{{"event_id":"{id}"}}"#)
}

fn count(events: usize) -> i64 {
    i64::try_from(events).expect("few events")
}
