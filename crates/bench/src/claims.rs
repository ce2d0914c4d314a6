//! What claiming a batch costs when little waits, and when millions do.

use std::time::{Duration, Instant};

use anyhow::Context;
use rastro_bench::database::{fill_backlog, store};
use rastro_bench::sample::stored_leads;
use rastro_service::clock::Clock;
use rastro_store::{Lane, Store};
use serde::Serialize;

use crate::arena::{Arena, BATCH, BUSY};
use crate::measure::median;
use crate::options::Plan;
use crate::say;

/// Claims before those that count: connections open, caches fill.
const WARM_UP: usize = 5;
/// Events that were accepted together, as they are under load.
const SEGMENT: usize = 100;
const LEASE: Duration = Duration::from_secs(3_600);

/// Milliseconds for the claim of 1,000 events, as the forwarder sees it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Claims {
    pub(crate) claims: usize,
    pub(crate) large: Backlog,
    pub(crate) small: Backlog,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Backlog {
    pub(crate) events: i64,
    pub(crate) median_ms: f64,
    pub(crate) p95_ms: f64,
}

impl Claims {
    pub(crate) fn ratio(&self) -> f64 {
        self.large.median_ms / self.small.median_ms
    }
}

pub(crate) async fn measure(arena: &Arena, plan: &Plan) -> anyhow::Result<Claims> {
    let (large, small) = plan.backlogs;
    say(&format!("claims from backlogs of {large} and {small}"));
    let payloads = match plan.quick {
        true => vec!["{}".to_owned(); SEGMENT],
        false => stored_leads("backlog", Clock::system().now(), SEGMENT as u64)?,
    };
    let mut stores = Vec::new();
    for (name, events) in [("bench_claims_large", large), ("bench_claims_small", small)] {
        let url = arena.server.create_migrated(name).await?;
        fill_backlog(&url, BUSY.parse()?, &payloads, events).await?;
        stores.push(store(&url)?);
    }
    // In turn, as everything here.
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..WARM_UP + plan.claims {
        for (store, times) in stores.iter().zip(&mut times) {
            let time = claim(store, LEASE).await?;
            if number >= WARM_UP {
                times.push(time);
            }
        }
    }
    let [large_times, small_times] = times;
    Ok(Claims {
        claims: plan.claims,
        large: backlog(large, large_times),
        small: backlog(small, small_times),
    })
}

/// Events that are claimed when so many claims are timed.
pub(crate) fn needed(plan: &Plan) -> u64 {
    ((WARM_UP + plan.claims) * BATCH) as u64
}

/// Milliseconds of each claim from the busy dataset's backlog.
pub(crate) async fn times(store: &Store, plan: &Plan, lease: Duration) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..WARM_UP + plan.claims {
        times.push(claim(store, lease).await?);
    }
    Ok(times.split_off(WARM_UP))
}

/// Claims a batch and returns how long that took, in milliseconds.
async fn claim(store: &Store, lease: Duration) -> anyhow::Result<f64> {
    let lane = Lane {
        dataset_id: BUSY.parse()?,
        test_event_code: String::new(),
    };
    let limit = u16::try_from(BATCH)?;
    let started = Instant::now();
    let batch = store.claim_batch(&lane, limit, lease, "benchmark").await?;
    let took = started.elapsed();
    let batch = batch.context("the backlog ran out")?;
    anyhow::ensure!(batch.events.len() == BATCH, "a claim was not full");
    Ok(took.as_secs_f64() * 1_000.0)
}

pub(crate) fn backlog(events: i64, mut times: Vec<f64>) -> Backlog {
    times.sort_by(f64::total_cmp);
    let p95 = (times.len() * 95).div_ceil(100).max(1) - 1;
    Backlog {
        events,
        p95_ms: times.get(p95).copied().unwrap_or_default(),
        median_ms: median(times).unwrap_or_default(),
    }
}
