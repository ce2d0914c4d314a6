//! The promises, as functions over what the clients were told, what PostgreSQL holds and what Meta counted.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use rastro_sandbox::{EventFilter, RequestRecord};
use rastro_store::Store;
use rastro_store::dashboard::Trail;
use tokio_postgres::Client;

use crate::books::{self, Census, Ledger, Told};
use crate::chaos::clients::POISON;
use crate::chaos::faults::Scene;
use crate::chaos::fleet::Interruption;
use crate::chaos::payments::ORDER;
use crate::chaos::plan::Timing;
use crate::chaos::report::Report;

/// How often the books are balanced while things break.
const BALANCE_EVERY: Duration = Duration::from_millis(500);
/// Longer than a run takes: all that it sent.
const A_RUN: TimeDelta = TimeDelta::days(1);
/// A request may have left its process a moment before Meta's clock saw it.
const ON_THE_WIRE_MS: i64 = 100;
/// How long recording an outcome may take while PostgreSQL is there: a connection and a statement that time
/// out, and the next ones.
const RECORDED_MS: i64 = 4_000;

/// Balances the books until told to stop: at any instant every accepted event is in exactly one place, and
/// the first page of the dashboard says in which. Returns how often it could look (PostgreSQL is away at
/// times), and what did not balance.
pub async fn balance(store: Store, stop: &AtomicBool) -> (u64, Vec<String>) {
    let (mut balances, mut violations) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        if let Ok(census) = books::census(&store).await {
            balances += 1;
            violations.extend(balanced(&census));
        }
        if let Ok(now) = store.now().await
            && let Ok(trail) = store.trail(None, now - A_RUN).await
        {
            violations.extend(adds_up(&trail));
        }
        tokio::time::sleep(BALANCE_EVERY).await;
    }
    violations.truncate(10);
    (balances, violations)
}

/// What a count shows that must never be.
fn balanced(census: &Census) -> Option<String> {
    if census.lost() != 0 {
        let lost = census.lost();
        return Some(format!(
            "conservation: {lost} events are nowhere, or in two places: {census:?}"
        ));
    }
    (census.confirmations != census.delivered)
        .then(|| format!("single owner: events were confirmed twice: {census:?}"))
}

/// The same of the trail of events that the dashboard shows.
fn adds_up(trail: &Trail) -> Option<String> {
    let placed =
        trail.ready + trail.in_flight + trail.waiting + trail.dead + trail.withheld + trail.delivered;
    (trail.accepted != placed).then(|| {
        format!(
            "the trail: of {} events {placed} are told of: {trail:?}",
            trail.accepted
        )
    })
}

/// Why Meta got an event once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A fault of Meta's kept the last answer from us.
    AnswerWithheld,
    /// A fault ended or froze the process that had the answer in its hands.
    ProcessEnded,
    /// We had the answer, or could have had it.
    Us,
}

/// What was done to processes and to PostgreSQL, in Unix milliseconds.
struct History {
    /// Meta's ids of the answers that are recorded as delivered.
    recorded: HashSet<String>,
    ends: Vec<Interruption>,
    /// When PostgreSQL was away.
    outages: Vec<(i64, i64)>,
    lease_ms: i64,
}

impl History {
    /// Why an event was sent again that `last` had brought to Meta already.
    fn cause(&self, last: &RequestRecord) -> Cause {
        let answered = last.received_at_ms;
        if self.recorded.contains(&last.fbtrace_id) {
            return Cause::Us;
        }
        if last.fault.is_some() || last.status.is_none() {
            return Cause::AnswerWithheld;
        }
        // An outcome is recorded at once, or else as soon as PostgreSQL is back, and while the lease lasts.
        let had_it_in_its_hands = |end: i64| {
            let overlap = |(from, to): &(i64, i64)| (to.min(&end) - from.max(&answered)).max(0);
            let away: i64 = self.outages.iter().map(overlap).sum();
            (-ON_THE_WIRE_MS..=self.lease_ms).contains(&(end - answered))
                && end - answered - away <= RECORDED_MS
        };
        let mut ends = self.ends.iter();
        match ends
            .any(|end| last.partner_agent.as_ref() == Some(&end.agent) && had_it_in_its_hands(end.at_ms))
        {
            true => Cause::ProcessEnded,
            false => Cause::Us,
        }
    }
}

/// What Meta got, event by event.
#[derive(Default)]
struct AtMeta {
    /// The ids that Meta counts, with how often it counts them.
    counted: HashMap<String, u64>,
    /// Events that it got again, and why.
    repeats: Vec<(String, Cause)>,
}

impl AtMeta {
    fn look(scene: &Scene, ledger: &Ledger, timing: &Timing) -> Self {
        let requests: HashMap<u64, RequestRecord> = { scene.sandbox.requests().into_iter() }
            .map(|request| (request.number, request))
            .collect();
        let history = History {
            recorded: ledger.recorded.clone(),
            ends: scene.fleet.interruptions(),
            outages: scene.outages(),
            lease_ms: i64::try_from(timing.lease_seconds * 1_000).unwrap_or(i64::MAX),
        };
        let mut at_meta = AtMeta::default();
        let mut last: HashMap<String, u64> = HashMap::new();
        // The sandbox tells the newest first.
        for event in scene.sandbox.events(&EventFilter::default()).into_iter().rev() {
            let id = event.event_id.unwrap_or_default();
            if !event.repeated {
                *at_meta.counted.entry(id.clone()).or_default() += 1;
            } else if let Some(before) = last.get(&id) {
                at_meta
                    .repeats
                    .push((id.clone(), history.cause(&requests[before])));
            }
            last.insert(id, event.request);
        }
        at_meta
    }
}

/// Holds everything against everything and completes the report: its counts of events, and each promise that
/// was broken.
pub async fn complete(
    report: &mut Report,
    scene: &Scene,
    census: &Census,
    sql: &Client,
    timing: &Timing,
) -> anyhow::Result<()> {
    let ledger = Ledger::read(sql).await?;
    let mut told = scene.book.told();
    let at_meta = AtMeta::look(scene, &ledger, timing);
    if let Some(shop) = &scene.shop {
        let (payments, broken) = shop.account(sql, &purchases(scene)).await?;
        report.payments = payments;
        report.violations.extend(broken);
        // A paid order is an event that is promised, too.
        let promised = Told {
            accepted: 1,
            duplicate: 0,
        };
        let orders = shop
            .paid()
            .into_iter()
            .filter_map(|payment| payment.external_reference);
        told.extend(orders.map(|order| (order, promised)));
    }
    let (counted, dead) = (&at_meta.counted, &ledger.dead);

    let mut broken = Vec::new();
    let mut promise = |name: &str, offenders: Vec<&String>| {
        if let Some(first) = offenders.first() {
            broken.push(format!("{name}: {} events, such as {first}", offenders.len()));
        }
        length(offenders.len())
    };
    let is_nowhere = |id: &&String| !counted.contains_key(*id) && !dead.contains_key(*id);
    report.lost = promise(
        "no loss (accepted, but neither at Meta nor a dead letter)",
        told.keys().filter(is_nowhere).collect(),
    );
    promise(
        "no loss (a client was told, but nothing is stored)",
        missing(told.keys(), &ledger.stored),
    );
    let twice = |(_, told): &(&String, &Told)| told.accepted > 1;
    report.doubled = promise(
        "no double accept (told \"accepted\" twice)",
        told.iter().filter(twice).map(|(id, _)| id).collect(),
    );
    let twice = counted.iter().filter(|(_, times)| **times > 1);
    report.doubled += promise(
        "no effective duplicate (Meta counts it twice)",
        twice.map(|(id, _)| id).collect(),
    );
    report.doubled += u64::try_from(census.confirmations - census.delivered).unwrap_or_default();
    let ours = at_meta.repeats.iter().filter(|(_, cause)| *cause == Cause::Us);
    report.repeats_caused_by_us = promise(
        "no repeat of ours (Meta got it again although its answer had reached us)",
        ours.map(|(id, _)| id).collect(),
    );
    promise(
        "no phantom (stored, but no client was told)",
        ledger
            .stored
            .iter()
            .filter(|id| !told.contains_key(*id))
            .collect(),
    );
    promise(
        "no phantom (at Meta, but never stored)",
        missing(counted.keys(), &ledger.stored),
    );
    let both = counted.keys().filter(|id| dead.contains_key(*id)).collect();
    promise("one end (at Meta and a dead letter)", both);
    let innocent = dead
        .iter()
        .filter(|(id, reason)| !(id.contains(POISON) && *reason == "refused"));
    promise(
        "dead letters are such that Meta refuses",
        innocent.map(|(id, _)| id).collect(),
    );
    report.violations.extend(broken);
    report.violations.extend(balanced(census));
    if census.pending() > 0 {
        let what = format!("liveness: not everything came to its end: {census:?}");
        report.violations.push(what);
    }
    if ledger.unlogged > 0 {
        let what = format!(
            "log completeness: {} events have no row in the log",
            ledger.unlogged
        );
        report.violations.push(what);
    }
    let unexpected = scene.book.unexpected().into_iter();
    report
        .violations
        .extend(unexpected.map(|said| format!("clear answers: {said}")));

    report.accepted = length(told.len());
    report.delivered = length(counted.len());
    report.dead = length(dead.len());
    for reason in ledger.dead.into_values() {
        *report.dead_by_reason.entry(reason).or_default() += 1;
    }
    report.told_duplicate = told.values().map(|told| told.duplicate).sum();
    report.repeated_at_meta = length(at_meta.repeats.len());
    let withheld = { at_meta.repeats.iter() }.filter(|(_, cause)| *cause == Cause::AnswerWithheld);
    report.repeats_answer_withheld = length(withheld.count());
    report.repeats_process_ended =
        report.repeated_at_meta - report.repeats_caused_by_us - report.repeats_answer_withheld;
    report.requests_to_meta = scene.sandbox.counts().requests;
    Ok(())
}

/// The values in cents of the Purchases of payments that Meta counts, by their orders.
fn purchases(scene: &Scene) -> HashMap<String, Vec<i64>> {
    let mut purchases: HashMap<String, Vec<i64>> = HashMap::new();
    for event in scene.sandbox.events(&EventFilter::default()) {
        let id = event.event_id.as_deref().unwrap_or_default();
        if event.repeated || !id.starts_with(ORDER) {
            continue;
        }
        let value = event.json()["custom_data"]["value"].as_f64().unwrap_or_default();
        // Two decimals survive in a double.
        let cents = (value * 100.0).round() as i64;
        purchases.entry(id.to_owned()).or_default().push(cents);
    }
    purchases
}

fn missing<'i>(ids: impl Iterator<Item = &'i String>, from: &HashSet<String>) -> Vec<&'i String> {
    ids.filter(|id| !from.contains(*id)).collect()
}

fn length(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits")
}

#[cfg(test)]
mod tests {
    use rastro_sandbox::Encoding;

    use super::*;

    /// Taken and answered with 200, for forwarder 0 in its first life.
    fn taken() -> RequestRecord {
        RequestRecord {
            number: 1,
            received_at_ms: 10_000,
            dataset_id: "1".to_owned(),
            encoding: Encoding::Json,
            events: Some(1),
            partner_agent: Some("forwarder-0-0".to_owned()),
            processed: true,
            status: Some(200),
            code: None,
            subcode: None,
            reason: None,
            fault: None,
            fbtrace_id: "trace".to_owned(),
        }
    }

    fn cause_of(last: &RequestRecord, ends: &[(&str, i64)], outages: &[(i64, i64)]) -> Cause {
        let end = |&(agent, at_ms): &(&str, i64)| Interruption {
            agent: agent.to_owned(),
            at_ms,
        };
        let history = History {
            recorded: HashSet::from(["recorded".to_owned()]),
            ends: ends.iter().map(end).collect(),
            outages: outages.to_vec(),
            lease_ms: 20_000,
        };
        history.cause(last)
    }

    #[test]
    fn an_answer_that_a_fault_withheld_is_lost() {
        let hung = RequestRecord {
            status: None,
            ..taken()
        };
        let spoilt = RequestRecord {
            status: Some(502),
            fault: Some("html"),
            ..taken()
        };
        let causes = [hung, spoilt].map(|last| cause_of(&last, &[], &[]));
        assert_eq!(causes, [Cause::AnswerWithheld; 2]);
    }

    #[test]
    fn an_answer_dies_with_the_process_that_had_it_in_its_hands() {
        let cause = |agent, at_ms, outages: &[(i64, i64)]| cause_of(&taken(), &[(agent, at_ms)], outages);
        for at_ms in [9_950, 10_020, 13_000] {
            assert_eq!(cause("forwarder-0-0", at_ms, &[]), Cause::ProcessEnded);
        }
        // Another one, an earlier life, long before and long after.
        for (agent, at_ms) in [
            ("forwarder-1-0", 10_020),
            ("forwarder-0-1", 10_020),
            ("forwarder-0-0", 9_000),
            ("forwarder-0-0", 16_000),
        ] {
            assert_eq!(cause(agent, at_ms, &[]), Cause::Us, "{agent} at {at_ms}");
        }
        // Nothing could be recorded from 11 to 20 seconds; beyond its lease the process has no claim to it.
        let outage = [(11_000, 20_000)];
        assert_eq!(cause("forwarder-0-0", 16_000, &outage), Cause::ProcessEnded);
        assert_eq!(cause("forwarder-0-0", 26_000, &outage), Cause::Us);
        assert_eq!(cause("forwarder-0-0", 31_000, &[(11_000, 31_000)]), Cause::Us);
    }

    #[test]
    fn an_answer_that_reached_us_is_no_excuse() {
        assert_eq!(cause_of(&taken(), &[], &[]), Cause::Us);
        let spoilt = RequestRecord {
            status: None,
            fbtrace_id: "recorded".to_owned(),
            ..taken()
        };
        assert_eq!(cause_of(&spoilt, &[], &[]), Cause::Us);
    }
}
