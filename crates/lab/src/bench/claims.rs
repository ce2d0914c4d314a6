//! What stays as it is however many events wait, and however often the tables' pages were used before.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rastro_store::{ReadyLane, Store};
use serde::Serialize;

use crate::bench::measure::median;
use crate::bench::{Bench, DATASET};
use crate::books::{self, SEALING_KEY};
use crate::say;

/// Claims before those that count: connections open, caches fill.
const WARM_UP: usize = 5;
const LEASE: Duration = Duration::from_secs(3_600);
/// Keys forgotten by one statement, as the worker does it.
const STEP: i64 = 5_000;

/// Milliseconds for the claim of 1,000 events, as the forwarder sees it, from a large and from a small
/// backlog in turn.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    pub claims: usize,
    pub backlogs: (i64, i64),
    pub median_ms: (f64, f64),
    /// The median of each pair's own.
    pub ratio: f64,
    /// A poll of all ready lanes.
    pub poll_ms: (f64, f64),
}

pub async fn claims(bench: &Bench) -> anyhow::Result<Claims> {
    let plan = &bench.plan;
    let (large, small) = plan.backlogs;
    say(&format!("claims from backlogs of {large} and {small}"));
    let mut stores = Vec::new();
    for (name, events) in [("lab_claims_large", large), ("lab_claims_small", small)] {
        let url = bench.server.create_migrated(name).await?;
        books::fill_backlog(&url, DATASET.parse()?, events, plan.quick).await?;
        stores.push(books::store(&url, SEALING_KEY)?);
    }
    let (mut polls, mut times) = ([0.0, 0.0], [Vec::new(), Vec::new()]);
    let mut lanes = Vec::new();
    for (store, poll_ms) in stores.iter().zip(&mut polls) {
        let began = Instant::now();
        lanes.push(store.ready_lanes().await?.pop().context("nothing waits")?);
        *poll_ms = milliseconds(began);
    }
    for number in 0..WARM_UP + plan.claims {
        // Each goes first as often as the other.
        for index in [number % 2, 1 - number % 2] {
            let time = claim(&stores[index], &lanes[index]).await?;
            if number >= WARM_UP {
                times[index].push(time);
            }
        }
    }
    let pairs = times[0].iter().zip(&times[1]);
    Ok(Claims {
        claims: plan.claims,
        backlogs: plan.backlogs,
        ratio: median(pairs.map(|(large, small)| large / small)),
        median_ms: (median(times[0].clone()), median(times[1].clone())),
        poll_ms: (polls[0], polls[1]),
    })
}

/// Claims a batch and returns how long that took, in milliseconds.
async fn claim(store: &Store, lane: &ReadyLane) -> anyhow::Result<f64> {
    let began = Instant::now();
    let batch = store.claim_batch(lane, 1_000, LEASE, "benchmark").await?;
    let took = milliseconds(began);
    let batch = batch.context("the backlog ran out")?;
    ensure!(batch.events.len() == 1_000, "a claim was not full");
    Ok(took)
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1_000.0
}

/// Milliseconds for a step that forgets expired event keys: in new tables, and after their pages were used
/// again by keys of both lifetimes; and for the step that finds nothing to forget.
#[derive(Clone, Debug, Serialize)]
pub struct Expiry {
    pub keys: i64,
    pub fresh_ms: f64,
    pub reused_ms: f64,
    pub ratio: f64,
    pub nothing_fresh_ms: f64,
    pub nothing_reused_ms: f64,
}

pub async fn expiry(bench: &Bench) -> anyhow::Result<Expiry> {
    let keys = bench.plan.keys_to_expire;
    say(&format!("expiry of {keys} event keys, twice on the same pages"));
    let url = bench.server.create_migrated("lab_expiry").await?;
    let (client, store) = (books::connect(&url).await?, books::store(&url, SEALING_KEY)?);
    let mut found = Vec::new();
    for round in 0..2 {
        // Keys that stay lie between those that go. What goes makes room for what comes next.
        books::insert_keys(&client, keys / 10, 8).await?;
        books::insert_keys(&client, keys, -1).await?;
        books::insert_keys(&client, keys / 10, 63).await?;
        books::vacuum_keys(&client).await?;
        let mut steps = Vec::new();
        loop {
            let began = Instant::now();
            let forgotten = store.expire_dedup_keys(STEP).await?;
            if forgotten == 0 {
                found.push((median(std::mem::take(&mut steps)), milliseconds(began)));
                break;
            }
            steps.push(milliseconds(began));
        }
        ensure!(
            books::count_keys(&client).await? == (round + 1) * 2 * (keys / 10),
            "keys are missing that had not expired, or left that had"
        );
        books::vacuum_keys(&client).await?;
    }
    let [(fresh_ms, nothing_fresh_ms), (reused_ms, nothing_reused_ms)] = [found[0], found[1]];
    Ok(Expiry {
        keys,
        fresh_ms,
        reused_ms,
        ratio: reused_ms / fresh_ms,
        nothing_fresh_ms,
        nothing_reused_ms,
    })
}
