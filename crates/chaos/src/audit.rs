//! The promises, as functions over what the clients were told, what PostgreSQL holds and what Meta counted.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rastro_sandbox::{EventFilter, Sandbox};
use rastro_store::{Account, Store};
use tokio_postgres::Client;

use crate::POISON;
use crate::fleet::RETRIES;
use crate::load::{Book, Told};
use crate::report::Report;

/// How often the books are balanced while things break.
const BALANCE_EVERY: Duration = Duration::from_millis(500);

/// Balances the books until told to stop: at any instant every accepted event is in exactly one place. Returns how often
/// it could look (PostgreSQL is away at times), and what did not balance.
pub async fn balance(store: Store, stop: &AtomicBool) -> (u64, Vec<String>) {
    let (mut balances, mut violations) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        if let Ok(account) = store.account().await {
            balances += 1;
            violations.extend(balanced(&account).err());
        }
        tokio::time::sleep(BALANCE_EVERY).await;
    }
    violations.truncate(10);
    (balances, violations)
}

fn balanced(account: &Account) -> Result<(), String> {
    if account.lost() != 0 {
        return Err(format!(
            "conservation: {} events are nowhere, or in two places: {account:?}",
            account.lost()
        ));
    }
    if account.confirmations != account.delivered {
        return Err(format!("single owner: events were confirmed twice: {account:?}"));
    }
    Ok(())
}

/// Before anything is retried by hand: no event was tried more often than it may be, and each that was given up had all its
/// tries.
pub async fn retries_were_kept(sql: &Client) -> anyhow::Result<Vec<String>> {
    let beyond = format!(
        "SELECT count(*) FROM meta_retry_queue WHERE retry_count > {RETRIES}
         OR reason = 'exhausted' AND retry_count <> {RETRIES}"
    );
    let events: i64 = sql.query_one(&beyond, &[]).await?.get(0);
    Ok(if events == 0 {
        Vec::new()
    } else {
        vec![format!(
            "attempts: {events} events have a wrong number of retries"
        )]
    })
}

/// What PostgreSQL holds in the end.
struct Books {
    /// The ids of all stored events.
    stored: HashSet<String>,
    /// The ids of dead letters, and why.
    dead: HashMap<String, String>,
    /// Events without a row in the log.
    unlogged: i64,
    /// Events of which the log shows a take-over or a failed attempt: these may have reached Meta twice.
    tried_again: HashSet<String>,
}

impl Books {
    async fn read(sql: &Client) -> anyhow::Result<Self> {
        let ids = async |query: &str| -> anyhow::Result<HashSet<String>> {
            Ok(sql
                .query(query, &[])
                .await?
                .iter()
                .map(|row| row.get(0))
                .collect())
        };
        let dead = sql
            .query(
                "SELECT event_id, reason FROM meta_retry_queue WHERE status = 'failed'",
                &[],
            )
            .await?;
        let unlogged = "SELECT count(*) FROM events e WHERE NOT EXISTS (
            SELECT FROM meta_events_log l WHERE l.dataset_id = e.dataset_id AND l.event_number = e.event_number
        )";
        Ok(Books {
            stored: ids("SELECT event_id FROM events").await?,
            dead: dead.iter().map(|row| (row.get(0), row.get(1))).collect(),
            unlogged: sql.query_one(unlogged, &[]).await?.get(0),
            tried_again: ids("SELECT DISTINCT event_id FROM meta_events_log
                 WHERE event_number IS NOT NULL AND (attempt > 1 OR outcome IN ('error', 'retried'))")
            .await?,
        })
    }
}

/// Holds everything against everything and completes the report: its counts of events, and each promise that was broken.
pub async fn complete(
    report: &mut Report,
    book: &Book,
    account: &Account,
    sql: &Client,
    sandbox: &Sandbox,
) -> anyhow::Result<()> {
    let books = Books::read(sql).await?;
    let told = book.told();
    // The ids that Meta counts, with how often it counts them; and those it got again.
    let (mut at_meta, mut repeated): (HashMap<String, u64>, HashSet<String>) = Default::default();
    for event in sandbox.events(&EventFilter::default()) {
        let id = event.event_id.unwrap_or_default();
        if event.repeated {
            repeated.insert(id);
        } else {
            *at_meta.entry(id).or_default() += 1;
        }
    }
    let counts = sandbox.counts();

    let mut broken = Vec::new();
    let mut promise = |name: &str, offenders: Vec<&String>| {
        if let Some(first) = offenders.first() {
            broken.push(format!("{name}: {} events, such as {first}", offenders.len()));
        }
        u64::try_from(offenders.len()).expect("a length fits")
    };
    let is_somewhere = |id: &&String| at_meta.contains_key(*id) || books.dead.contains_key(*id);
    let is_lost = |id: &&String| !is_somewhere(id);

    report.lost = promise(
        "no loss (accepted, but neither at Meta nor a dead letter)",
        told.keys().filter(is_lost).collect(),
    );
    promise(
        "no loss (a client was told, but nothing is stored)",
        missing(told.keys(), &books.stored),
    );
    let twice = |told: &Told| told.accepted > 1;
    let accepted_twice = told
        .iter()
        .filter(|(_, told)| twice(told))
        .map(|(id, _)| id)
        .collect();
    report.doubled = promise("no double accept (told \"accepted\" twice)", accepted_twice);
    let counted_twice = at_meta
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|(id, _)| id)
        .collect();
    report.doubled += promise("no effective duplicate (Meta counts it twice)", counted_twice);
    report.doubled += u64::try_from(account.confirmations - account.delivered).unwrap_or_default();
    promise(
        "no repeat without a reason (Meta got it twice, the log says once)",
        missing(repeated.iter(), &books.tried_again),
    );
    promise(
        "no phantom (stored, but no client was told)",
        books.stored.iter().filter(|id| !told.contains_key(*id)).collect(),
    );
    promise(
        "no phantom (at Meta, but never stored)",
        missing(at_meta.keys(), &books.stored),
    );
    let both = at_meta.keys().filter(|id| books.dead.contains_key(*id)).collect();
    promise("one end (at Meta and a dead letter)", both);
    let innocent = books
        .dead
        .iter()
        .filter(|(id, reason)| !(id.contains(POISON) && *reason == "refused"));
    promise(
        "dead letters are such that Meta refuses",
        innocent.map(|(id, _)| id).collect(),
    );

    report.violations.extend(broken);
    report.violations.extend(balanced(account).err());
    if account.pending() > 0 {
        report
            .violations
            .push(format!("liveness: not everything came to its end: {account:?}"));
    }
    if books.unlogged > 0 {
        report.violations.push(format!(
            "log completeness: {} events have no row in the log",
            books.unlogged
        ));
    }
    report.violations.extend(
        book.unexpected()
            .into_iter()
            .map(|said| format!("clear answers: {said}")),
    );

    report.accepted = length(told.len());
    report.delivered = length(at_meta.len());
    report.dead = length(books.dead.len());
    for reason in books.dead.into_values() {
        *report.dead_by_reason.entry(reason).or_default() += 1;
    }
    report.told_duplicate = told.values().map(|told| u64::from(told.duplicate)).sum();
    report.requests_sent_again = book.repeated();
    report.repeated_at_meta = counts.repeated;
    report.requests_to_meta = counts.requests;
    Ok(())
}

fn missing<'i>(ids: impl Iterator<Item = &'i String>, from: &HashSet<String>) -> Vec<&'i String> {
    ids.filter(|id| !from.contains(*id)).collect()
}

fn length(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits")
}
