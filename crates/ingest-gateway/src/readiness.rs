//! Whether events can be stored, as those who store them have seen it.
//!
//! A database can answer every question and store nothing: its disk is full, it is a standby, a right is
//! missing. Only the attempt to store shows that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After the last failure nothing is known any more: somebody has to send events for it to show that all is
/// well again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// What the writers tell, and `/readyz` asks. Clones share it.
#[derive(Clone)]
pub(crate) struct StoreHealth {
    patience: Duration,
    failures: Arc<Mutex<Option<Failures>>>,
}

/// Failures since the last success.
#[derive(Clone, Copy)]
struct Failures {
    first: Instant,
    last: Instant,
}

impl StoreHealth {
    /// Bad after failures for as long as `patience` without a success between them.
    pub(crate) fn new(patience: Duration) -> Self {
        StoreHealth {
            patience,
            failures: Arc::default(),
        }
    }

    /// Events were stored.
    pub(crate) fn stored(&self) {
        *self.lock() = None;
    }

    /// Events could not be stored, and not because of what they are.
    pub(crate) fn failed(&self) {
        self.failed_at(Instant::now());
    }

    /// Whether events can be stored, for all that is known; the error says why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_at(Instant::now())
    }

    fn failed_at(&self, now: Instant) {
        let mut failures = self.lock();
        let first = failures.map_or(now, |failures| failures.first);
        *failures = Some(Failures { first, last: now });
    }

    fn check_at(&self, now: Instant) -> Result<(), String> {
        let Some(Failures { first, last }) = *self.lock() else {
            return Ok(());
        };
        if now - last > FORGOTTEN_AFTER || last - first < self.patience {
            return Ok(());
        }
        let seconds = (now - first).as_secs();
        Err(format!(
            "for {seconds} s no event could be stored; the log says why"
        ))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_that_last_count_and_only_until_nobody_tries_any_more() {
        let health = StoreHealth::new(Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(health.check_at(start).is_ok());
        health.failed_at(start);
        health.failed_at(at(9));
        assert!(health.check_at(at(20)).is_ok(), "two failures are no trend");
        health.failed_at(at(10));
        assert!(health.check_at(at(10)).is_err());
        assert!(health.check_at(at(40)).is_err());
        // Or a gateway that gets no events because of its answer would give it for ever.
        assert!(health.check_at(at(41)).is_ok());
        health.failed_at(at(42));
        assert!(
            health.check_at(at(42)).is_err(),
            "it has still not stored anything since"
        );
        health.stored();
        assert!(health.check_at(at(42)).is_ok());
        health.failed_at(at(43));
        assert!(health.check_at(at(43)).is_ok());
    }
}
