//! A busy dataset must not starve a small one: how long the small one's events take while the busy one has a large
//! backlog, against how long they take while nothing else is to be sent.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rastro_bench::load::{Connection, Pace};
use serde::Serialize;

use crate::arena::{Arena, SMALL};
use crate::measure::median;
use crate::options::Plan;
use crate::say;

const BATCHES: usize = 8;
const META_ANSWERS_AFTER: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long the small dataset's events took from their acceptance until Meta had them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fairness {
    /// The busy dataset's backlog when the small one's first event came, and after its last was delivered.
    pub(crate) backlog_start: u64,
    pub(crate) backlog_end: u64,
    pub(crate) busy: Delays,
    pub(crate) idle: Delays,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Delays {
    pub(crate) events: usize,
    pub(crate) median_ms: f64,
    pub(crate) longest_ms: f64,
}

pub(crate) async fn measure(arena: &mut Arena, plan: &Plan) -> anyhow::Result<Fairness> {
    say("a small dataset beside a busy one");
    let started = Instant::now();
    while arena.backlog().await? < plan.busy_backlog {
        ensure!(started.elapsed() < PATIENCE, "the gateway takes in too little");
        let load = arena.load(&arena.batch, BATCHES, Pace::Closed, plan);
        load.start().await?.answers().await?;
    }
    arena.sandbox.answer_after(META_ANSWERS_AFTER).await?;
    let waiting = arena.backlog().await?;
    let forwarder = arena.start_forwarder().await?;
    let started = Instant::now();
    while arena.backlog().await? == waiting {
        ensure!(started.elapsed() < PATIENCE, "the forwarder delivers nothing");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let backlog_start = arena.backlog().await?;
    let (busy, backlog_end) = send_small(arena, plan.small_events, backlog_start / 10).await?;
    arena.await_delivery().await?;
    let (idle, _) = send_small(arena, plan.small_events, 0).await?;
    arena.await_delivery().await?;
    forwarder.stop().await?;
    arena.sandbox.answer_at_once().await?;
    Ok(Fairness {
        backlog_start,
        backlog_end,
        busy,
        idle,
    })
}

/// Sends one event after the other, each when the one before it was delivered; no more once less than `backlog` of
/// the busy dataset waits. Returns how long they took, and what then waits.
async fn send_small(arena: &Arena, events: usize, backlog: u64) -> anyhow::Result<(Delays, u64)> {
    let mut connection = Connection::open(arena.gateway_address, &arena.small).await?;
    let mut delays = Vec::new();
    let mut waiting = arena.backlog().await?;
    while delays.len() < events && waiting >= backlog {
        let before = arena.sandbox.counts().await?.unique_of(SMALL);
        let number = arena.numbers.fetch_add(1, Ordering::Relaxed);
        let answer = connection.exchange(&arena.small, number).await?;
        ensure!(
            answer.status == 202,
            "the small dataset's event was answered with {}",
            answer.status
        );
        arena.accepted.fetch_add(answer.accepted, Ordering::Relaxed);
        let accepted = Instant::now();
        while arena.sandbox.counts().await?.unique_of(SMALL) == before {
            ensure!(
                accepted.elapsed() < PATIENCE,
                "the small dataset's event was not delivered within {PATIENCE:?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        delays.push(accepted.elapsed().as_secs_f64() * 1_000.0);
        waiting = arena.backlog().await?;
    }
    let delays = Delays {
        events: delays.len(),
        median_ms: median(delays.clone()).unwrap_or_default(),
        longest_ms: delays.into_iter().fold(0.0, f64::max),
    };
    Ok((delays, waiting))
}
