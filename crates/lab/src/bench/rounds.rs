//! One round: every configuration once, for a few seconds each. Rounds repeat, so that whatever changes on the machine
//! meanwhile changes all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rastro_bench::baseline::Mode;
use rastro_bench::copy::{self, Tables};
use rastro_bench::load::{Load, Pace};

use crate::arena::Arena;
use crate::measure::Measurement;
use crate::options::Plan;
use crate::steady::MILLION_A_MINUTE;

/// Connections of the single-event loads, and fewer for comparison.
const MANY: usize = 256;
const FEW: usize = 64;
/// Connections of the loads of 1,000 events a request.
const BATCHES: usize = 8;
/// The naive way's latency is taken at this part of a million a minute.
const NAIVE_PART: f64 = 7.0;
/// The part of a round's own maximum at which latency is taken.
const NEARLY_ALL: f64 = 0.8;
/// The parts of a backlog between which the drain is timed: the forwarder's start and its last, unfilled batch are not.
const DRAIN_FROM: f64 = 0.05;
const DRAIN_UNTIL: f64 = 0.95;

/// A configuration's measurement, by its name in the report.
pub(crate) type Round = BTreeMap<&'static str, Measurement>;

pub(crate) const NO_DATABASE: &str = "no_database";
pub(crate) const NAIVE: &str = "naive";
pub(crate) const STATEMENT: &str = "statement";
pub(crate) const SINGLE: &str = "single";
pub(crate) const SINGLE_FEW: &str = "single_64_connections";
pub(crate) const BATCH: &str = "batch";
pub(crate) const COPY: &str = "copy";
pub(crate) const COPY_ROWS: &str = "copy_rows";
pub(crate) const NAIVE_STEADY: &str = "naive_at_a_seventh";
pub(crate) const MILLION: &str = "single_at_a_million_a_minute";
pub(crate) const NEARLY_MOST: &str = "single_at_80_percent";
pub(crate) const DRAIN: &str = "drain";

/// The configurations in the order of a round, and what each is.
pub(crate) const CONFIGURATIONS: [(&str, &str); 12] = [
    (NO_DATABASE, "HTTP + parse + hash, no database, 256 conns"),
    (NAIVE, "naive: 3 statements each, pool of 16, 256 conns"),
    (STATEMENT, "1 accept statement each, pool of 16, 256 conns"),
    (SINGLE, "gateway, 1 event a request, 256 conns"),
    (SINGLE_FEW, "gateway, 1 event a request, 64 conns"),
    (BATCH, "gateway, 1000 events a request, 8 conns"),
    (COPY, "COPY into the same three tables"),
    (COPY_ROWS, "COPY of a row for each event, and its key"),
    (NAIVE_STEADY, "naive at 2,381/s"),
    (MILLION, "gateway at 16,667/s (ingest only)"),
    (NEARLY_MOST, "gateway at 80 % of its maximum"),
    (DRAIN, "forwarder: claim + send + finish, alone"),
];

pub(crate) async fn round(arena: &mut Arena, plan: &Plan) -> anyhow::Result<Round> {
    let mut round = Round::new();
    for (name, mode) in [
        (NO_DATABASE, Mode::NoDatabase),
        (NAIVE, Mode::Naive),
        (STATEMENT, Mode::Statement),
    ] {
        round.insert(name, baseline(arena, plan, mode, Pace::Closed).await?);
    }
    let most = gateway(arena, arena.load(&arena.single, MANY, Pace::Closed, plan)).await?;
    let nearly_all = Pace::PerSecond(most.events_per_second * NEARLY_ALL);
    round.insert(SINGLE, most);
    for (name, load) in [
        (SINGLE_FEW, arena.load(&arena.single, FEW, Pace::Closed, plan)),
        (BATCH, arena.load(&arena.batch, BATCHES, Pace::Closed, plan)),
    ] {
        round.insert(name, gateway(arena, load).await?);
    }
    round.insert(COPY, copied(arena, plan, Tables::All).await?);
    round.insert(COPY_ROWS, copied(arena, plan, Tables::Rows).await?);
    let naive_pace = Pace::PerSecond(MILLION_A_MINUTE / NAIVE_PART);
    round.insert(
        NAIVE_STEADY,
        baseline(arena, plan, Mode::Naive, naive_pace).await?,
    );
    let million = Pace::PerSecond(MILLION_A_MINUTE);
    for (name, pace) in [(MILLION, million), (NEARLY_MOST, nearly_all)] {
        let load = arena.load(&arena.single, MANY, pace, plan);
        round.insert(name, gateway(arena, load).await?);
    }
    round.insert(DRAIN, drain(arena).await?);
    Ok(round)
}

async fn gateway(arena: &mut Arena, load: Load) -> anyhow::Result<Measurement> {
    arena.await_quiet().await?;
    let meter = arena.meter(Some(&arena.gateway), None);
    Ok(meter.measure(load).await?.0)
}

async fn baseline(arena: &mut Arena, plan: &Plan, mode: Mode, pace: Pace) -> anyhow::Result<Measurement> {
    arena.await_quiet().await?;
    let (_, service, address) = arena
        .baselines
        .iter()
        .find(|(served, _, _)| *served == mode)
        .context("a baseline is missing")?;
    let meter = arena.meter(Some(service), None);
    let load = Load {
        target: *address,
        // Not in the books: these events go into databases of their own.
        accepted: Arc::default(),
        ..arena.load(&arena.single, MANY, pace, plan)
    };
    Ok(meter.measure(load).await?.0)
}

async fn copied(arena: &mut Arena, plan: &Plan, tables: Tables) -> anyhow::Result<Measurement> {
    arena.await_quiet().await?;
    let meter = arena.meter(None, None);
    let numbers = arena.numbers.clone();
    let copying = copy::start(
        &arena.copy_url,
        &arena.stored,
        tables,
        numbers,
        plan.warm_up,
        plan.measured,
    )
    .await?;
    tokio::time::sleep_until(copying.from.into()).await;
    let before = meter.read().await?;
    tokio::time::sleep_until(copying.until.into()).await;
    let after = meter.read().await?;
    let copied = copying.copied().await?;
    Ok(Measurement {
        events_per_second: copied.events as f64 / copied.until.duration_since(copied.from).as_secs_f64(),
        ..Measurement::of(&before, &after, copied.events)
    })
}

/// Delivers everything that the round's loads left, to a sandbox that answers at once.
async fn drain(arena: &mut Arena) -> anyhow::Result<Measurement> {
    arena.await_quiet().await?;
    let total = arena.accepted();
    let backlog = arena.backlog().await?;
    let delivered_before = total - backlog;
    let forwarder = arena.start_forwarder().await?;
    let meter = arena.meter(Some(&arena.gateway), Some(&forwarder));
    let part = |share: f64| delivered_before + (backlog as f64 * share) as u64;
    let mut first = None;
    let measurement = loop {
        let delivered = arena.sandbox.counts().await?.unique;
        match first {
            None if delivered >= part(DRAIN_FROM) => first = Some((meter.read().await?, delivered)),
            Some((before, from)) if delivered >= part(DRAIN_UNTIL) => {
                let after = meter.read().await?;
                break Measurement::of(&before, &after, delivered - from);
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    arena.await_delivery().await?;
    forwarder.stop().await?;
    Ok(measurement)
}
