//! How work that never ends goes on: round after round until shutdown, each made of steps that are counted. When the database
//! is away a round fails, and the next one tries again after the usual wait: nothing spins, and the log says it once.

use std::time::Duration;

use rastro_service::clock::Clock;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::StoreError;
use tracing::{info, warn};

use crate::metrics::{Step, StepLabels, WorkerMetrics};

/// The least wait after a failed round, however short the interval.
const LEAST_WAIT_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What all rounds share.
pub(crate) struct Rounds {
    pub(crate) metrics: WorkerMetrics,
    pub(crate) shutdown: Shutdown,
}

/// The rhythm of one kind of round.
pub(crate) struct Pace<'r> {
    shutdown: &'r Shutdown,
    interval: Duration,
    /// Said of a failure: "... does not work".
    what: &'static str,
    fails: bool,
}

impl Pace<'_> {
    /// Whether there is another round. One that has begun is not interrupted.
    pub(crate) fn goes_on(&self) -> bool {
        !self.shutdown.is_requested()
    }

    /// Waits for the next round, after what came of this one.
    pub(crate) async fn rest(&mut self, result: Result<(), StoreError>) {
        let (what, failed_before) = (self.what, self.fails);
        self.fails = result.is_err();
        match result {
            Ok(()) if failed_before => info!("{what} works again"),
            Err(error) if !failed_before => warn!("{what} does not work, trying on: {}", ErrorChain(&error)),
            _ => {}
        }
        let wait = if self.fails {
            self.interval.max(LEAST_WAIT_AFTER_FAILURE)
        } else {
            self.interval
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.shutdown.requested() => {}
        }
    }
}

impl Rounds {
    pub(crate) fn pace(&self, interval: Duration, what: &'static str) -> Pace<'_> {
        Pace {
            shutdown: &self.shutdown,
            interval,
            what,
            fails: false,
        }
    }

    /// Counts a step, and passes on how many rows it changed.
    pub(crate) async fn step<N: TryInto<u64> + Copy>(
        &self,
        step: Step,
        doing: impl Future<Output = Result<N, StoreError>>,
    ) -> Result<N, StoreError> {
        let labels = StepLabels { step };
        self.metrics.runs.get_or_create(&labels).inc();
        let result = doing.await;
        match result {
            Ok(rows) => {
                self.metrics
                    .rows
                    .get_or_create(&labels)
                    .inc_by(rows.try_into().unwrap_or_default());
                self.metrics
                    .last_success
                    .get_or_create(&labels)
                    .set(Clock::system().now().timestamp());
            }
            Err(_) => {
                self.metrics.failures.get_or_create(&labels).inc();
            }
        }
        result
    }

    /// Repeats a step until it no longer finds as much as it may take, or shutdown; returns how much it was.
    pub(crate) async fn repeat<F>(
        &self,
        step: Step,
        limit: u32,
        mut doing: impl FnMut(i64) -> F,
    ) -> Result<i64, StoreError>
    where
        F: Future<Output = Result<i64, StoreError>>,
    {
        let limit = i64::from(limit);
        let mut total = 0;
        loop {
            let rows = self.step(step, doing(limit)).await?;
            total += rows;
            if rows < limit || self.shutdown.is_requested() {
                return Ok(total);
            }
        }
    }
}
