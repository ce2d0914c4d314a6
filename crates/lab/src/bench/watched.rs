//! Whether somebody who looks at the dashboard slows the gateway down: single requests with nobody there, and
//! while the first page is loaded ten times a second, in turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rastro_test_support::http::{Connection, request};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::bench::{Bench, Round, SINGLES};
use crate::load::Pace;
use crate::say;

pub const UNWATCHED: &str = "unwatched";
pub const WATCHED: &str = "watched";

/// Browsers that reload, and how often each does: ten pages a second. A page that takes longer than a tenth of
/// a second does not hold up the next.
const BROWSERS: u32 = 5;
const EACH: Duration = Duration::from_millis(500);
const PAGES: f64 = 10.0;
/// Fewer pages a second than this, and the figure would be of something else: it is left out.
const LEAST_PAGES: f64 = 8.0;

/// Who looks, as a proxy that signs people on would name them.
pub const SIGNED_ON_BY: &str = "X-Lab-User";
pub const VIEWER: &str = "ana@lab.example";

impl Bench {
    /// Both, each first as often as the other. What is counted is up to date when the pages are asked for.
    pub async fn watched(&mut self, round: &mut Round, number: usize) -> anyhow::Result<()> {
        let (dashboard, address) = self.system.start_dashboard().await?;
        // The first one opens connections and plans every statement.
        let mut first = Connection::open(address).await?;
        first.exchange(&page()).await?;
        let mut turns = [UNWATCHED, WATCHED];
        turns.rotate_left(number % 2);
        for name in turns {
            self.await_quiet().await?;
            let closed = Pace::Closed(Duration::ZERO);
            let load = self.system.load(SINGLES, 1, closed, self.plan.window);
            let meter = self.meter_of(Some(&self.system.gateway), Some(("dashboard", &dashboard)));
            let browsers = match name {
                WATCHED => Some(Browsers::open(address).await?),
                _ => None,
            };
            let (measurement, outcome) = meter.measure(load).await?;
            self.system.add(&outcome);
            let pages = match browsers {
                Some(browsers) => browsers.close().await?,
                None => PAGES,
            };
            if pages < LEAST_PAGES {
                say(&format!(
                    "a round without {name}: {pages:.1} pages a second instead of {PAGES}"
                ));
                continue;
            }
            round.insert(name, measurement);
        }
        dashboard.stop().await
    }
}

fn page() -> Vec<u8> {
    request("GET", "/", &[(SIGNED_ON_BY, VIEWER)], "")
}

/// Several connections that load the dashboard's first page again and again.
struct Browsers {
    since: Instant,
    pages: Arc<AtomicU64>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Browsers {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let pages = Arc::new(AtomicU64::new(0));
        let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
        for number in 0..BROWSERS {
            let mut connection = Connection::open(address).await?;
            let first = tokio::time::Instant::now() + EACH * number / BROWSERS;
            let mut ticks = tokio::time::interval_at(first, EACH);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let pages = pages.clone();
            tasks.spawn(async move {
                let asking = page();
                loop {
                    ticks.tick().await;
                    let answer = connection.exchange(&asking).await?;
                    ensure!(answer.status == 200, "the dashboard answered {}", answer.status);
                    pages.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let since = Instant::now();
        Ok(Browsers { since, pages, tasks })
    }

    /// Pages a second, all of them answered.
    async fn close(mut self) -> anyhow::Result<f64> {
        let pages = self.pages.load(Ordering::Relaxed) as f64 / self.since.elapsed().as_secs_f64();
        // None ends by itself but one that failed.
        while let Some(ended) = self.tasks.try_join_next() {
            ended.context("a browser broke down")??;
        }
        self.tasks.shutdown().await;
        Ok(pages)
    }
}
