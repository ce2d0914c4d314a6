//! The model: what the tables are meant to do, in a few maps. Nothing here is shared with the code under test
//! but its vocabulary and the breaker's rules, which have properties of their own.

use std::collections::{BTreeMap, BTreeSet};

use rastro_core::circuit_breaker::{Breaker, Manual, State};
use rastro_store::{AttemptOutcome, Batch, DeadLetterReason, Fate};

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Ready,
    InFlight(i64),
    Waiting {
        due_ms: i64,
        failed_at_ms: i64,
    },
    Dead {
        reason: DeadLetterReason,
        failed_at_ms: i64,
    },
    Delivered,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) number: i64,
    pub(crate) send_by_ms: i64,
    pub(crate) retries: i16,
    /// Of what waits or is dead: Meta failed on a request of this event alone.
    pub(crate) failed_alone: bool,
    pub(crate) place: Place,
}

/// A batch in flight, as its newest owner has it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) fence: i32,
    pub(crate) attempt: i32,
    pub(crate) lease_until_ms: i64,
    /// In the order of their numbers.
    pub(crate) events: Vec<String>,
}

/// Everything one dataset's tables hold.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) now_ms: i64,
    pub(crate) events: BTreeMap<String, Event>,
    pub(crate) batches: BTreeMap<i64, Held>,
    /// `None`: there is no row yet.
    pub(crate) breaker: Option<Breaker>,
    pub(crate) outage_since_ms: Option<i64>,
    /// Rows of the log by outcome.
    pub(crate) log: BTreeMap<&'static str, i64>,
    /// Requests to Meta by what came of them.
    pub(crate) attempts: BTreeMap<&'static str, i64>,
    /// Changes of the breaker that people and alerts are told of.
    pub(crate) transitions: i64,
    /// What Meta got.
    pub(crate) sent: BTreeSet<String>,
}

impl Memory {
    pub(crate) fn at(now_ms: i64) -> Self {
        Memory {
            now_ms,
            ..Memory::default()
        }
    }

    pub(crate) fn log(&mut self, outcome: &'static str, rows: usize) {
        if rows > 0 {
            *self.log.entry(outcome).or_default() += i64::try_from(rows).expect("few rows");
        }
    }

    pub(crate) fn breaker(&self) -> Breaker {
        self.breaker.unwrap_or(Breaker::closed(self.now_ms))
    }

    /// Takes a change over as the row does: the first outage is remembered until it is dealt with.
    pub(crate) fn set_breaker(&mut self, after: Breaker) {
        use rastro_core::circuit_breaker::Reason::{Blocked, Errors, Refused};
        if matches!(after.reason, Some(Errors | Blocked | Refused)) {
            self.outage_since_ms.get_or_insert(self.now_ms);
        }
        let before = self.breaker();
        if (before.state, before.reason, before.manual) != (after.state, after.reason, after.manual) {
            self.transitions += 1;
        }
        self.breaker = Some(after);
    }

    /// Whether the row of the breaker keeps everything of its dataset where it is.
    fn is_left_alone(&self) -> bool {
        self.breaker.is_some_and(|breaker| match breaker.manual {
            Manual::ForcedOpen => true,
            Manual::ForcedClosed => false,
            Manual::Automatic => breaker.state != State::Closed,
        })
    }

    /// The ids of the events that the condition holds for, by number.
    pub(crate) fn ids(&self, condition: impl Fn(&Event) -> bool) -> Vec<String> {
        let mut found: Vec<_> = self.events.iter().filter(|(_, event)| condition(event)).collect();
        found.sort_by_key(|(_, event)| event.number);
        found.into_iter().map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn event(&mut self, id: &str) -> &mut Event {
        self.events
            .get_mut(id)
            .expect("the model knows every event of a batch")
    }

    /// What a claim of so many takes.
    pub(crate) fn oldest_ready(&self, limit: usize) -> Vec<String> {
        let mut ready = self.ids(|event| event.place == Place::Ready);
        ready.truncate(limit);
        ready
    }

    pub(crate) fn hold(&mut self, batch: &Batch, lease_ms: i64) {
        let events: Vec<String> = batch.events.iter().map(|event| event.id.clone()).collect();
        for id in &events {
            self.event(id).place = Place::InFlight(batch.id.batch_id);
        }
        let lease_until_ms = self.now_ms + lease_ms;
        let (fence, attempt) = (batch.id.fence, batch.attempt);
        self.batches.insert(
            batch.id.batch_id,
            Held {
                fence,
                attempt,
                lease_until_ms,
                events,
            },
        );
    }

    /// Batches that may be taken over now: those whose lease ended first.
    pub(crate) fn lapsed(&self) -> Vec<i64> {
        if self.is_left_alone() {
            return Vec::new();
        }
        let lapsed = || {
            self.batches
                .iter()
                .filter(|(_, held)| held.lease_until_ms < self.now_ms)
        };
        let first = lapsed().map(|(_, held)| held.lease_until_ms).min();
        lapsed()
            .filter(|(_, held)| Some(held.lease_until_ms) == first)
            .map(|(id, _)| *id)
            .collect()
    }

    pub(crate) fn owns(&self, batch: &Batch) -> bool {
        self.batches
            .get(&batch.id.batch_id)
            .is_some_and(|held| held.fence == batch.id.fence)
    }

    /// Whether it was owned.
    pub(crate) fn finish(&mut self, batch: &Batch) -> bool {
        let fates = vec![Fate::Done; batch.events.len()];
        self.settle(batch, &fates, Some(AttemptOutcome::Delivered))
    }

    pub(crate) fn settle(&mut self, batch: &Batch, fates: &[Fate], answer: Option<AttemptOutcome>) -> bool {
        if !self.owns(batch) {
            return false;
        }
        self.batches.remove(&batch.id.batch_id);
        let now_ms = self.now_ms;
        let is_sent = |fate: &Fate| {
            !matches!(
                fate,
                Fate::Dead(DeadLetterReason::Expired | DeadLetterReason::DatasetDeleted)
            )
        };
        let is_alone = fates.iter().filter(|fate| is_sent(fate)).count() == 1;
        let failed_alone = is_alone && answer == Some(AttemptOutcome::Unavailable);
        let mut sent = 0;
        for (queued, fate) in batch.events.iter().zip(fates) {
            let event = self.event(&queued.id);
            event.failed_alone = failed_alone && is_sent(fate);
            event.place = match *fate {
                Fate::Done => Place::Delivered,
                Fate::Wait { delay, retries } => {
                    event.retries = retries;
                    let delay_ms = i64::try_from(delay.as_millis()).expect("a short delay");
                    Place::Waiting {
                        due_ms: now_ms + delay_ms,
                        failed_at_ms: now_ms,
                    }
                }
                Fate::Dead(reason) => Place::Dead {
                    reason,
                    failed_at_ms: now_ms,
                },
            };
            if *fate == Fate::Dead(DeadLetterReason::Expired) {
                self.log("expired", 1);
            } else {
                sent += 1;
            }
        }
        self.count(answer, sent);
        true
    }

    /// A request with so many events was answered.
    pub(crate) fn count(&mut self, answer: Option<AttemptOutcome>, events: usize) {
        let Some(answer) = answer.filter(|_| events > 0) else {
            return;
        };
        *self.attempts.entry(answer.as_str()).or_default() += 1;
        let outcome = match answer {
            AttemptOutcome::Delivered => "success",
            AttemptOutcome::Refused | AttemptOutcome::Unavailable => "error",
            AttemptOutcome::Throttled | AttemptOutcome::Blocked => "parked",
        };
        self.log(outcome, events);
    }

    /// Its events are ready again, as they were. Whether it was owned.
    pub(crate) fn release(&mut self, batch: &Batch) -> bool {
        let owned = self.owns(batch);
        if owned {
            self.dissolve(batch.id.batch_id);
        }
        owned
    }

    fn dissolve(&mut self, batch_id: i64) {
        let held = self.batches.remove(&batch_id).expect("a batch that there is");
        for id in &held.events {
            self.event(id).place = Place::Ready;
        }
    }

    /// How many batches of the dead were dissolved, so that a dataset that is left alone can be probed with
    /// their events.
    pub(crate) fn dissolve_lapsed(&mut self) -> usize {
        if !self.is_left_alone() {
            return 0;
        }
        let is_lapsed = |held: &Held| held.lease_until_ms < self.now_ms;
        let lapsed: Vec<i64> = self
            .batches
            .iter()
            .filter(|(_, held)| is_lapsed(held))
            .map(|(id, _)| *id)
            .collect();
        for batch_id in &lapsed {
            self.dissolve(*batch_id);
        }
        lapsed.len()
    }

    /// What is due, with the moment since when.
    pub(crate) fn due(&self) -> BTreeMap<String, i64> {
        if self.is_left_alone() {
            return BTreeMap::new();
        }
        let due = |event: &Event| match event.place {
            Place::Waiting { due_ms, .. } if due_ms <= self.now_ms && event.send_by_ms > self.now_ms => {
                Some(due_ms)
            }
            _ => None,
        };
        let all = self.events.iter();
        all.filter_map(|(id, event)| Some((id.clone(), due(event)?)))
            .collect()
    }

    /// Changes the given events, at most so many, in the order in which they become too old.
    fn soonest_too_old(&mut self, mut ids: Vec<String>, limit: usize, change: impl Fn(&mut Event)) -> usize {
        ids.sort_by_key(|id| self.events[id].send_by_ms);
        ids.truncate(limit);
        ids.iter().for_each(|id| change(self.event(id)));
        ids.len()
    }

    pub(crate) fn expire_waiting(&mut self) -> usize {
        let now_ms = self.now_ms;
        let old =
            self.ids(|event| matches!(event.place, Place::Waiting { .. }) && event.send_by_ms <= now_ms);
        for id in &old {
            self.event(id).place = Place::Dead {
                reason: DeadLetterReason::Expired,
                failed_at_ms: now_ms,
            };
        }
        self.log("expired", old.len());
        old.len()
    }

    pub(crate) fn expire_ready(&mut self) -> usize {
        let now_ms = self.now_ms;
        let old = self.ids(|event| event.place == Place::Ready && event.send_by_ms <= now_ms);
        for id in &old {
            self.event(id).place = Place::Dead {
                reason: DeadLetterReason::Expired,
                failed_at_ms: now_ms,
            };
        }
        self.log("expired", old.len());
        old.len()
    }

    /// Matching, retried, too old.
    pub(crate) fn retry_failed(&mut self, at_most: usize) -> (usize, usize, usize) {
        let now_ms = self.now_ms;
        let is_dead = |event: &Event| matches!(event.place, Place::Dead { .. });
        let fresh = self.ids(|event| is_dead(event) && event.send_by_ms > now_ms);
        let too_old = self.ids(is_dead).len() - fresh.len();
        let matched = fresh.len();
        let retried = self.soonest_too_old(fresh, at_most, |event| {
            event.retries = 0;
            event.wait_anew(now_ms);
        });
        self.log("retried", retried);
        (matched, retried, too_old)
    }

    /// A dataset that is probed and has nothing ready gets its oldest failures of the outage back, those
    /// last on which Meta failed alone, and half as many each time that the breaker opened again.
    pub(crate) fn requeue_for_probe(&mut self, limit: usize, window_ms: i64) -> usize {
        let breaker = self.breaker();
        let is_probed = breaker.state == State::HalfOpen && breaker.manual == Manual::Automatic;
        let is_out = breaker
            .probe_until_ms
            .is_some_and(|until_ms| until_ms > self.now_ms);
        if !is_probed || is_out || !self.oldest_ready(1).is_empty() {
            return 0;
        }
        let (now_ms, since_ms) = (self.now_ms, self.outage_since_ms);
        let is_alive = breaker.probe_successes > 0;
        let limit = (limit >> (breaker.open_count.max(1) - 1).min(20)).max(1);
        let mut chosen = self.ids(|event| {
            let is_of_the_outage = match event.place {
                Place::Waiting { .. } => true,
                Place::Dead {
                    reason: DeadLetterReason::Exhausted,
                    failed_at_ms,
                } => {
                    since_ms.is_some_and(|since_ms| failed_at_ms >= since_ms - window_ms)
                        && !(event.failed_alone && is_alive)
                }
                _ => false,
            };
            is_of_the_outage && event.send_by_ms > now_ms
        });
        chosen.sort_by_key(|id| {
            let event = &self.events[id];
            let (Place::Waiting { failed_at_ms, .. } | Place::Dead { failed_at_ms, .. }) = event.place else {
                unreachable!("only what failed is chosen")
            };
            (event.failed_alone, failed_at_ms, event.number)
        });
        chosen.truncate(limit);
        for id in &chosen {
            let event = self.event(id);
            event.place = Place::Ready;
            event.retries = if event.failed_alone { event.retries } else { 0 };
        }
        chosen.len()
    }

    /// After the outage, what failed because of it is due at once, with all its retries unless it failed
    /// alone.
    pub(crate) fn revive_after_outage(&mut self, window_ms: i64) -> usize {
        let breaker = self.breaker();
        let (Some(outage_ms), State::Closed) = (self.outage_since_ms, breaker.state) else {
            return 0;
        };
        let now_ms = self.now_ms;
        let chosen = self.ids(|event| {
            let is_of_the_outage = match event.place {
                Place::Waiting { due_ms, failed_at_ms } => {
                    failed_at_ms <= breaker.since_ms
                        && (event.retries > 0 && !event.failed_alone || due_ms > now_ms)
                }
                Place::Dead {
                    reason: DeadLetterReason::Exhausted,
                    failed_at_ms,
                } => failed_at_ms <= breaker.since_ms && failed_at_ms >= outage_ms - window_ms,
                _ => false,
            };
            is_of_the_outage && event.send_by_ms > now_ms
        });
        for id in &chosen {
            let event = self.event(id);
            event.retries = if event.failed_alone { event.retries } else { 0 };
            event.wait_anew(now_ms);
        }
        if chosen.is_empty() && breaker.since_ms < now_ms {
            self.outage_since_ms = None;
        }
        chosen.len()
    }

    /// One line for each event and each fact, as the query of the test writes them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .events
            .iter()
            .map(|(id, event)| self.line(id, event))
            .collect();
        lines.extend(
            self.log
                .iter()
                .map(|(outcome, rows)| format!("log {outcome} {rows}")),
        );
        lines.extend(
            self.attempts
                .iter()
                .map(|(outcome, rows)| format!("attempts {outcome} {rows}")),
        );
        lines.push(format!("transitions {}", self.transitions));
        lines.extend(self.outage_since_ms.map(|since_ms| format!("outage {since_ms}")));
        lines.sort();
        lines
    }

    fn line(&self, id: &str, event: &Event) -> String {
        let retries = event.retries;
        match event.place {
            Place::Ready => format!("{id} ready {retries}"),
            Place::InFlight(batch_id) => {
                let Held {
                    fence,
                    attempt,
                    lease_until_ms,
                    ..
                } = &self.batches[&batch_id];
                format!(
                    "{id} batch {batch_id} fence {fence} attempt {attempt} until {lease_until_ms} {retries}"
                )
            }
            Place::Waiting { due_ms, .. } => format!("{id} waiting {due_ms} {retries}"),
            Place::Dead { reason, .. } => format!("{id} {} {retries}", reason.as_str()),
            Place::Delivered => format!("{id} delivered 1"),
        }
    }
}

/// Where every event is and what is remembered of the requests, as [`Memory::lines`] has it.
pub(crate) const LINES: &str = "
    SELECT e.event_id || ' ready ' || q.retries FROM ready_events q
    JOIN events e USING (dataset_id, event_number, day)
    UNION ALL
    SELECT format('%s batch %s fence %s attempt %s until %s %s', e.event_id, b.batch_id, b.fence, b.attempt,
        (extract(epoch FROM b.lease_expires_at) * 1000)::bigint, coalesce(b.retries[o.position], 0))
    FROM send_batches b CROSS JOIN unnest(b.event_numbers) WITH ORDINALITY AS o (event_number, position)
    JOIN events e USING (event_number)
    UNION ALL
    SELECT CASE status WHEN 'waiting' THEN
        format('%s waiting %s %s', event_id, (extract(epoch FROM next_retry_at) * 1000)::bigint, retry_count)
        ELSE format('%s %s %s', event_id, reason, retry_count) END
    FROM meta_retry_queue
    UNION ALL
    SELECT format('%s delivered %s', event_id, count(*)) FROM meta_events_log WHERE outcome = 'success' GROUP BY event_id
    UNION ALL
    SELECT format('log %s %s', outcome, count(*)) FROM meta_events_log GROUP BY outcome
    UNION ALL
    SELECT format('attempts %s %s', outcome, count(*)) FROM send_attempts GROUP BY outcome
    UNION ALL
    SELECT format('transitions %s', count(*)) FROM breaker_transitions
    UNION ALL
    SELECT format('outage %s', (extract(epoch FROM outage_since) * 1000)::bigint) FROM circuit_breakers
    WHERE outage_since IS NOT NULL";

impl Event {
    /// Due now. When it failed does not change by that.
    fn wait_anew(&mut self, now_ms: i64) {
        let (Place::Waiting { failed_at_ms, .. } | Place::Dead { failed_at_ms, .. }) = self.place else {
            unreachable!("only what failed waits")
        };
        self.place = Place::Waiting {
            due_ms: now_ms,
            failed_at_ms,
        };
    }
}
