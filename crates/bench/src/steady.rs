//! Fixed rates with the whole way running: a thousand events a minute, and a million.

use std::time::{Duration, Instant};

use anyhow::Context;
use rastro_bench::load::Pace;
use serde::Serialize;

use crate::arena::Arena;
use crate::measure::Measurement;
use crate::options::Plan;
use crate::say;

/// Events in a second.
pub(crate) const MILLION_A_MINUTE: f64 = 1_000_000.0 / 60.0;
const THOUSAND_A_MINUTE: f64 = 1_000.0 / 60.0;
const CONNECTIONS: usize = 256;
/// What Meta's distance is taken to be, in milliseconds.
const META_ANSWERS_AFTER: u64 = 50;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A thousand events a minute.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Everyday {
    #[serde(flatten)]
    pub(crate) measurement: Measurement,
    /// The bucket of the gateway's own `rastro_ingest_commit_seconds` in which the 99th percentile of the accept
    /// statements lies, by its upper bound in milliseconds. Infinite: beyond the last.
    pub(crate) commit_p99_at_most_ms: f64,
    pub(crate) commits: u64,
}

/// A million events a minute, in and out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Million {
    pub(crate) seconds: f64,
    pub(crate) offered: u64,
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    /// Accepted and not yet delivered when the last event was accepted, and at most while they came.
    pub(crate) backlog_end: u64,
    pub(crate) backlog_most: u64,
    /// From the last event accepted until the last one delivered.
    pub(crate) seconds_to_empty: f64,
    pub(crate) gateway_rss_mb: f64,
    pub(crate) measurement: Measurement,
}

/// What a small business sends, with the forwarder at work: what everything costs when next to nothing happens.
pub(crate) async fn thousand_a_minute(arena: &mut Arena, plan: &Plan) -> anyhow::Result<Everyday> {
    say(&format!("1,000 a minute for {:?}", plan.everyday));
    arena.await_quiet().await?;
    let forwarder = arena.start_forwarder().await?;
    let meter = arena.meter(Some(&arena.gateway), Some(&forwarder));
    let mut load = arena.load(&arena.single, 4, Pace::PerSecond(THOUSAND_A_MINUTE), plan);
    load.measured = plan.everyday;
    let before = Commits::read(&arena.gateway_metrics().await?)?;
    let (measurement, _) = meter.measure(load).await?;
    let commits = Commits::read(&arena.gateway_metrics().await?)?.since(&before);
    arena.await_delivery().await?;
    forwarder.stop().await?;
    Ok(Everyday {
        measurement,
        commit_p99_at_most_ms: commits.quantile_at_most(0.99) * 1_000.0,
        commits: commits.total(),
    })
}

pub(crate) async fn million_a_minute(arena: &mut Arena, plan: &Plan) -> anyhow::Result<Million> {
    say(&format!(
        "1,000,000 a minute for {:?}, delivered meanwhile",
        plan.million
    ));
    arena.sandbox.answer_after(META_ANSWERS_AFTER).await?;
    arena.await_quiet().await?;
    let forwarder = arena.start_forwarder().await?;
    let meter = arena.meter(Some(&arena.gateway), Some(&forwarder));
    let delivered_before = arena.sandbox.counts().await?.unique;
    let mut load = arena.load(
        &arena.single,
        CONNECTIONS,
        Pace::PerSecond(MILLION_A_MINUTE),
        plan,
    );
    load.warm_up = Duration::ZERO;
    load.measured = plan.million;
    let (mut rss, mut backlog_most) = (0, 0);
    let (measurement, answers, last_accepted) = {
        let measuring = async {
            let measured = meter.measure(load).await?;
            anyhow::Ok((measured.0, measured.1, Instant::now()))
        };
        let mut measuring = std::pin::pin!(measuring);
        loop {
            tokio::select! {
                measured = &mut measuring => break measured?,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    rss = arena.gateway_memory()?.0.max(rss);
                    backlog_most = arena.backlog().await?.max(backlog_most);
                }
            }
        }
    };
    let backlog_end = arena.backlog().await?;
    arena.await_delivery().await?;
    let seconds_to_empty = last_accepted.elapsed().as_secs_f64();
    let delivered = arena.sandbox.counts().await?.unique - delivered_before;
    forwarder.stop().await?;
    arena.sandbox.answer_at_once().await?;
    Ok(Million {
        seconds: measurement.seconds,
        offered: answers.statuses.values().sum::<u64>() + answers.unanswered,
        accepted: answers.accepted,
        delivered,
        p50_ms: measurement.p50_ms,
        p95_ms: measurement.p95_ms,
        p99_ms: measurement.p99_ms,
        backlog_end,
        backlog_most: backlog_most.max(backlog_end),
        seconds_to_empty,
        gateway_rss_mb: rss as f64 / 1e6,
        measurement,
    })
}

/// The gateway's histogram of accept statements: upper bounds in seconds, and how many took no longer.
#[derive(Clone, Debug, PartialEq)]
struct Commits(Vec<(f64, u64)>);

impl Commits {
    fn read(metrics: &str) -> anyhow::Result<Self> {
        let buckets: Option<Vec<_>> = metrics
            .lines()
            .filter_map(|line| line.strip_prefix("rastro_ingest_commit_seconds_bucket{le=\""))
            .map(|line| {
                let (bound, count) = line.split_once("\"} ")?;
                let bound = if bound == "+Inf" {
                    f64::INFINITY
                } else {
                    bound.parse().ok()?
                };
                // Behind the count there may be an exemplar.
                Some((bound, count.split(' ').next()?.parse().ok()?))
            })
            .collect();
        let buckets = buckets.filter(|buckets| !buckets.is_empty());
        Ok(Commits(buckets.context(
            "the gateway's rastro_ingest_commit_seconds cannot be read",
        )?))
    }

    fn since(self, before: &Commits) -> Self {
        let earlier = before.0.iter().map(|(_, count)| *count);
        let differences = self.0.into_iter().zip(earlier);
        Commits(
            differences
                .map(|((bound, count), earlier)| (bound, count - earlier))
                .collect(),
        )
    }

    fn total(&self) -> u64 {
        self.0.last().map_or(0, |(_, count)| *count)
    }

    /// The upper bound, in seconds, of the bucket in which this share of all ends.
    fn quantile_at_most(&self, share: f64) -> f64 {
        let rank = self.total() as f64 * share;
        let bucket = self.0.iter().find(|(_, count)| *count as f64 >= rank);
        bucket.map_or(f64::INFINITY, |(bound, _)| *bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_statements_between_two_scrapes_are_told_by_bucket() {
        let page = |counts: [u64; 3]| {
            let [first, second, all] = counts;
            let name = "rastro_ingest_commit_seconds_bucket";
            Commits::read(&format!(
                "# TYPE x histogram\nrastro_ingest_commit_seconds_sum 1.5\n{name}{{le=\"0.001\"}} {first}\n\
                 {name}{{le=\"0.005\"}} {second}\n{name}{{le=\"+Inf\"}} {all}\n# EOF\n"
            ))
            .unwrap()
        };
        let commits = page([100, 199, 200]).since(&page([50, 100, 100]));
        assert_eq!(
            commits,
            Commits(vec![(0.001, 50), (0.005, 99), (f64::INFINITY, 100)])
        );
        assert_eq!(commits.quantile_at_most(0.5), 0.001);
        assert_eq!(commits.quantile_at_most(0.99), 0.005);
        assert_eq!(commits.quantile_at_most(1.0), f64::INFINITY);
        assert!(Commits::read("").is_err());
    }
}
