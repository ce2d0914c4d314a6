//! The numbers a breaker goes by.

use serde::Deserialize;

/// When a breaker opens, how long it waits and when it closes. Times are milliseconds. As read from a
/// configuration it is still to be [validated](Self::validate).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerSettings {
    /// How far back [`Evidence`](super::Evidence) looks. A breaker closed for that long has also forgotten
    /// its earlier openings.
    pub window_ms: i64,
    /// With fewer requests in the window the error rate says nothing: one failure of one would be 100 %.
    pub min_requests: u32,
    /// Opens when a greater share of the requests in the window failed.
    pub open_above: f64,
    /// Opens at once after so many failures in a row, however few requests there were. 0: never for that.
    pub consecutive_failures: u32,
    /// Closes when a smaller share of the probes failed.
    pub close_below: f64,
    /// How many probes are judged, one after the other.
    pub probes_to_close: u16,
    /// The wait of a first opening. Each consecutive one waits twice as long.
    pub open_for_ms: i64,
    /// The wait stops doubling here. What Meta asks for may be longer.
    pub open_for_longest_ms: i64,
    /// A probe that has not come back by then counts as lost, and another may be sent. Must outlast a
    /// request.
    pub probe_lease_ms: i64,
}

impl Default for BreakerSettings {
    /// Opens above 50 % of at least 20 requests in 5 minutes, or at 3 failures in a row; waits 30 s to 10
    /// min; closes below 10 % of 10 probes (so all must succeed).
    fn default() -> Self {
        BreakerSettings {
            window_ms: 300_000,
            min_requests: 20,
            open_above: 0.5,
            consecutive_failures: 3,
            close_below: 0.1,
            probes_to_close: 10,
            open_for_ms: 30_000,
            open_for_longest_ms: 600_000,
            probe_lease_ms: 90_000,
        }
    }
}

/// Settings that contradict themselves or could never open, wait or close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker: {0}")]
pub struct InvalidSettings(&'static str);

impl BreakerSettings {
    /// Whether a breaker can work with these. Without it nothing panics, but a breaker may open or wait
    /// absurdly.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        let rules = [
            (self.window_ms > 0, "window_ms must be positive"),
            (self.min_requests > 0, "min_requests must be positive"),
            (
                self.open_above > 0.0 && self.open_above < 1.0,
                "open_above must lie between 0 and 1",
            ),
            // Apart, or a dataset at the one rate would open and close without end.
            (
                self.close_below > 0.0 && self.close_below <= self.open_above,
                "close_below must lie between 0 and open_above",
            ),
            (self.probes_to_close > 0, "probes_to_close must be positive"),
            (self.open_for_ms > 0, "open_for_ms must be positive"),
            (
                self.open_for_longest_ms >= self.open_for_ms,
                "open_for_longest_ms must be at least open_for_ms",
            ),
            (self.probe_lease_ms > 0, "probe_lease_ms must be positive"),
        ];
        match rules.iter().find(|(kept, _)| !kept) {
            Some((_, rule)) => Err(InvalidSettings(rule)),
            None => Ok(()),
        }
    }

    /// The wait of the `open_count`th consecutive opening, before chance: at least 1 ms, so that open is a
    /// state.
    pub(super) fn open_for(&self, open_count: i32) -> i64 {
        let doublings = open_count.saturating_sub(1).clamp(0, 62);
        let wait = self.open_for_ms.saturating_mul(1 << doublings);
        wait.min(self.open_for_longest_ms).max(1)
    }
}
