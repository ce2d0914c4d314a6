//! The time at "Meta": the machine's clock or a test's, plus an offset that can be moved while the sandbox
//! runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the sandbox what time it is. Clones share the offset, so the copy a test keeps moves the sandbox's
/// time.
#[derive(Clone)]
pub struct SandboxClock {
    base_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    offset_ms: Arc<AtomicI64>,
}

impl SandboxClock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::from_fn(system_ms)
    }

    /// A clock that asks `now_ms` for Unix time in milliseconds: how a test shares its own clock with the
    /// sandbox.
    pub fn from_fn(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self {
            base_ms: Arc::new(now_ms),
            offset_ms: Arc::new(AtomicI64::new(0)),
        }
    }

    /// Unix time in milliseconds, offset included.
    pub fn now_ms(&self) -> i64 {
        (self.base_ms)().saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Runs the clock this many seconds ahead of its base (behind it when negative), replacing any earlier
    /// offset.
    pub fn set_offset_seconds(&self, seconds: i64) {
        self.offset_ms
            .store(seconds.saturating_mul(1000), Ordering::Relaxed);
    }

    /// How many seconds the clock runs ahead of its base.
    pub fn offset_seconds(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed) / 1000
    }
}

impl fmt::Debug for SandboxClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SandboxClock")
            .field("offset_seconds", &self.offset_seconds())
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the sandbox's one reading of the machine's clock"
)]
fn system_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the machine's clock is after 1970");
    i64::try_from(since_epoch.as_millis()).expect("milliseconds since 1970 fit an i64 for 292 million years")
}
