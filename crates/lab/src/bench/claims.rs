//! What claiming a batch costs when little waits, and when millions do.

use std::time::{Duration, Instant};

use anyhow::Context;
use rastro_bench::database::{connect, fill_backlog, store};
use rastro_bench::sample::stored_leads;
use rastro_service::clock::Clock;
use rastro_store::{ReadyLane, Store};
use serde::Serialize;

use crate::arena::{Arena, BATCH, BUSY};
use crate::measure::median;
use crate::options::Plan;
use crate::say;

/// Claims before those that count: connections open, caches fill.
const WARM_UP: usize = 5;
/// Looks at the whole queue, of which the forwarder makes many a second while that is cheap.
const LOOKS: usize = 5;
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
    /// A look at the whole queue, which tells claims where to begin.
    pub(crate) look_ms: f64,
}

/// Claims from the product's tables, and in turn with them from new ones.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Aged {
    /// How many times as long as from new ones: the median of each pair's own.
    pub(crate) ratio: f64,
    pub(crate) product: Backlog,
    pub(crate) fresh: Backlog,
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
        false => leads()?,
    };
    let mut stores = Vec::new();
    for (name, events) in [("bench_claims_large", large), ("bench_claims_small", small)] {
        let (url, store) = filled(arena, name, &payloads, events).await?;
        // As autovacuum would leave them, which would come by while claims are timed.
        let client = connect(&url).await?;
        client
            .batch_execute("VACUUM (ANALYZE) event_segments, send_queue")
            .await?;
        stores.push(store);
    }
    let [large_times, small_times] = in_turn([&stores[0], &stores[1]], plan, LEASE).await?;
    Ok(Claims {
        claims: plan.claims,
        large: large_times.of(large),
        small: small_times.of(small),
    })
}

/// Claims from what waits in the product's tables, in turn with claims from just as much in new tables: what became of the machine
/// since the last time became of both. What was inserted last is as it was inserted in both, and PostgreSQL knows of it.
pub(crate) async fn against_fresh(
    arena: &Arena,
    plan: &Plan,
    events: i64,
    lease: Duration,
) -> anyhow::Result<Aged> {
    let segment = i64::try_from(SEGMENT)?;
    let (url, fresh) = filled(arena, "bench_claims_fresh", &leads()?, events / segment * segment).await?;
    for url in [&url, &arena.product_url] {
        let client = connect(url).await?;
        client.batch_execute("ANALYZE event_segments, send_queue").await?;
    }
    let [product, fresh] = in_turn([&arena.store, &fresh], plan, lease).await?;
    let ratios = product
        .claims
        .iter()
        .zip(&fresh.claims)
        .map(|(product, fresh)| product / fresh);
    Ok(Aged {
        ratio: median(ratios.collect()).unwrap_or_default(),
        product: product.of(events),
        fresh: fresh.of(events),
    })
}

/// Events that are claimed when so many claims are timed.
pub(crate) fn needed(plan: &Plan) -> u64 {
    ((WARM_UP + plan.claims) * BATCH) as u64
}

fn leads() -> anyhow::Result<Vec<String>> {
    stored_leads("backlog", Clock::system().now(), SEGMENT as u64)
}

/// New tables with so many events of the busy dataset.
async fn filled(
    arena: &Arena,
    database: &str,
    payloads: &[String],
    events: i64,
) -> anyhow::Result<(String, Store)> {
    let url = arena.server.create_migrated(database).await?;
    fill_backlog(&url, BUSY.parse()?, payloads, events).await?;
    let store = store(&url)?;
    Ok((url, store))
}

/// Claims from two backlogs of the busy dataset, all with what one look found: the forwarder looks again at least once a
/// second.
async fn in_turn(stores: [&Store; 2], plan: &Plan, lease: Duration) -> anyhow::Result<[Times; 2]> {
    let mut times = [Times::default(), Times::default()];
    let mut lanes = Vec::new();
    for (store, times) in stores.iter().zip(&mut times) {
        lanes.push(look(store, times).await?);
    }
    for number in 0..WARM_UP + plan.claims {
        // Each goes first as often as the other.
        for index in [number % 2, 1 - number % 2] {
            let time = claim(stores[index], &lanes[index], lease).await?;
            if number >= WARM_UP {
                times[index].claims.push(time);
            }
        }
    }
    Ok(times)
}

/// Looks at the queue as the forwarder does, a few times, and returns the busy dataset's lane.
async fn look(store: &Store, times: &mut Times) -> anyhow::Result<ReadyLane> {
    let mut lanes = Vec::new();
    for _ in 0..LOOKS {
        let started = Instant::now();
        lanes = store.ready_lanes().await?;
        times.looks.push(milliseconds(started.elapsed()));
    }
    let busy = BUSY.parse()?;
    let lane = lanes.into_iter().find(|ready| ready.lane.dataset_id == busy);
    lane.context("nothing waits")
}

/// Claims a batch and returns how long that took, in milliseconds.
async fn claim(store: &Store, busy: &ReadyLane, lease: Duration) -> anyhow::Result<f64> {
    let limit = u16::try_from(BATCH)?;
    let started = Instant::now();
    let batch = store.claim_batch(busy, limit, lease, "benchmark").await?;
    let took = started.elapsed();
    let batch = batch.context("the backlog ran out")?;
    anyhow::ensure!(batch.events.len() == BATCH, "a claim was not full");
    Ok(milliseconds(took))
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

/// Milliseconds that looks and claims took.
#[derive(Default)]
struct Times {
    looks: Vec<f64>,
    claims: Vec<f64>,
}

impl Times {
    fn of(mut self, events: i64) -> Backlog {
        self.claims.sort_by(f64::total_cmp);
        let p95 = (self.claims.len() * 95).div_ceil(100).max(1) - 1;
        Backlog {
            events,
            p95_ms: self.claims.get(p95).copied().unwrap_or_default(),
            median_ms: median(self.claims).unwrap_or_default(),
            look_ms: median(self.looks).unwrap_or_default(),
        }
    }
}
