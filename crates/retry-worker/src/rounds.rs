//! Work that never ends: round after round until shutdown, each made of steps that are counted. A round that
//! fails is tried again after the usual wait, so a database that is away is asked once a second, and the log
//! says it once.

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

/// The waits between the rounds of one kind.
pub(crate) struct Backoff<'r> {
    shutdown: &'r Shutdown,
    interval: Duration,
    /// Names the work in the log: "... does not work".
    work: &'static str,
    is_failing: bool,
}

impl Backoff<'_> {
    /// Waits for the next round, after what came of this one. `false`: there is none, because of the
    /// shutdown.
    pub(crate) async fn wait(&mut self, result: Result<(), StoreError>) -> bool {
        let (work, failed_before) = (self.work, self.is_failing);
        self.is_failing = result.is_err();
        match result {
            Ok(()) if failed_before => info!("{work} works again"),
            Err(error) if !failed_before => warn!("{work} does not work, trying on: {}", ErrorChain(&error)),
            _ => {}
        }
        let wait = if self.is_failing {
            self.interval.max(LEAST_WAIT_AFTER_FAILURE)
        } else {
            self.interval
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.shutdown.requested() => {}
        }
        !self.shutdown.is_requested()
    }
}

impl Rounds {
    pub(crate) fn backoff(&self, interval: Duration, work: &'static str) -> Backoff<'_> {
        Backoff {
            shutdown: &self.shutdown,
            interval,
            work,
            is_failing: false,
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
    ) -> Result<usize, StoreError>
    where
        F: Future<Output = Result<usize, StoreError>>,
    {
        let mut total = 0;
        loop {
            let rows = self.step(step, doing(i64::from(limit))).await?;
            total += rows;
            if rows < usize::try_from(limit).unwrap_or(usize::MAX) || self.shutdown.is_requested() {
                return Ok(total);
            }
        }
    }
}

/// The first failure of steps that were all taken, whatever came of the others.
pub(crate) fn first_failure<const STEPS: usize>(
    steps: [Result<(), StoreError>; STEPS],
) -> Result<(), StoreError> {
    steps.into_iter().collect()
}
