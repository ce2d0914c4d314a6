//! The promises, as functions over what the clients were told, what PostgreSQL holds and what Meta counted.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rastro_sandbox::{EventFilter, RequestRecord};
use rastro_store::Store;
use tokio_postgres::Client;

use crate::books::{self, Census, Ledger, Told};
use crate::chaos::clients::POISON;
use crate::chaos::faults::Scene;
use crate::chaos::fleet::Interruption;
use crate::chaos::plan::Timing;
use crate::chaos::report::Report;

/// How often the books are balanced while things break.
const BALANCE_EVERY: Duration = Duration::from_millis(500);
/// A request may have left its process a moment before Meta's clock saw it.
const ON_THE_WIRE_MS: i64 = 100;

/// Balances the books until told to stop: at any instant every accepted event is in exactly one place.
/// Returns how often it could look (PostgreSQL is away at times), and what did not balance.
pub async fn balance(store: Store, stop: &AtomicBool) -> (u64, Vec<String>) {
    let (mut balances, mut violations) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        if let Ok(census) = books::census(&store).await {
            balances += 1;
            violations.extend(balanced(&census));
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

/// Why Meta got an event once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A fault kept the last answer from us, or ended the process that had it in its hands.
    LostAnswer,
    /// We had the answer, or could have had it.
    Us,
}

/// Why an event was sent again that `last` had brought to Meta already.
fn cause(last: &RequestRecord, recorded: &HashSet<String>, ends: &[Interruption], lease_ms: i64) -> Cause {
    if recorded.contains(&last.fbtrace_id) {
        return Cause::Us;
    }
    if last.fault.is_some() || last.status.is_none() {
        return Cause::LostAnswer;
    }
    // Beyond its lease a process has no claim to the outcome, and should not need one any more.
    let in_its_hands = last.received_at_ms - ON_THE_WIRE_MS..=last.received_at_ms + lease_ms;
    let ended = |end: &Interruption| {
        last.partner_agent.as_ref() == Some(&end.agent) && in_its_hands.contains(&end.at_ms)
    };
    match ends.iter().any(ended) {
        true => Cause::LostAnswer,
        false => Cause::Us,
    }
}

/// What Meta got, event by event.
#[derive(Default)]
struct AtMeta {
    /// The ids that Meta counts, with how often it counts them.
    counted: HashMap<String, u64>,
    /// Events that it got again, with the request before and the reason.
    repeats: Vec<(String, u64, Cause)>,
}

impl AtMeta {
    fn look(scene: &Scene, ledger: &Ledger, timing: &Timing) -> Self {
        let requests: HashMap<u64, RequestRecord> = { scene.sandbox.requests().into_iter() }
            .map(|request| (request.number, request))
            .collect();
        let ends = scene.fleet.interruptions();
        let lease_ms = i64::try_from(timing.lease_seconds * 1_000).unwrap_or(i64::MAX);
        let mut at_meta = AtMeta::default();
        let mut last: HashMap<String, u64> = HashMap::new();
        // The sandbox tells the newest first.
        for event in scene.sandbox.events(&EventFilter::default()).into_iter().rev() {
            let id = event.event_id.unwrap_or_default();
            if !event.repeated {
                *at_meta.counted.entry(id.clone()).or_default() += 1;
            } else if let Some(before) = last.get(&id) {
                let request = &requests[before];
                let cause = cause(request, &ledger.recorded, &ends, lease_ms);
                at_meta.repeats.push((id.clone(), *before, cause));
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
    let told = scene.book.told();
    let at_meta = AtMeta::look(scene, &ledger, timing);
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
    let ours = at_meta.repeats.iter().filter(|(_, _, cause)| *cause == Cause::Us);
    report.repeats_caused_by_us = promise(
        "no repeat of ours (Meta got it again although its answer had reached us)",
        ours.map(|(id, _, _)| id).collect(),
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
    report.repeats_after_lost_answer = report.repeated_at_meta - report.repeats_caused_by_us;
    report.requests_to_meta = scene.sandbox.counts().requests;
    Ok(())
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

    fn cause_of(last: &RequestRecord, ends: &[(&str, i64)]) -> Cause {
        let end = |&(agent, at_ms): &(&str, i64)| Interruption {
            agent: agent.to_owned(),
            at_ms,
        };
        let ends: Vec<_> = ends.iter().map(end).collect();
        cause(last, &HashSet::new(), &ends, 5_000)
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
        assert_eq!(
            [hung, spoilt].map(|last| cause_of(&last, &[])),
            [Cause::LostAnswer; 2]
        );
    }

    #[test]
    fn an_answer_dies_with_the_process_that_had_it_in_its_hands() {
        for at_ms in [9_950, 10_020, 14_000] {
            assert_eq!(cause_of(&taken(), &[("forwarder-0-0", at_ms)]), Cause::LostAnswer);
        }
        // Another one, an earlier life, long before and long after.
        for end in [
            ("forwarder-1-0", 10_020),
            ("forwarder-0-1", 10_020),
            ("forwarder-0-0", 9_000),
            ("forwarder-0-0", 16_000),
        ] {
            assert_eq!(cause_of(&taken(), &[end]), Cause::Us, "{end:?}");
        }
    }

    #[test]
    fn an_answer_that_reached_us_is_no_excuse() {
        assert_eq!(cause_of(&taken(), &[]), Cause::Us);
        let recorded = HashSet::from(["trace".to_owned()]);
        let spoilt = RequestRecord {
            status: None,
            ..taken()
        };
        assert_eq!(cause(&spoilt, &recorded, &[], 5_000), Cause::Us);
    }
}
