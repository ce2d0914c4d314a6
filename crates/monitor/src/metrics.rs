//! What this process counts of its own work.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use rastro_service::{labels, metrics};

labels! {
    StepLabels { step: Step [evaluate, send, count, quality, heartbeat] }
}

metrics! {
    /// The monitor's metrics. Clones share them.
    pub struct MonitorMetrics in "monitor" {
        failures: Family<StepLabels, Counter> = "step_failures" => "Steps of a run that failed",
        last_good_run: Gauge = "last_good_run_timestamp_seconds" => "When a run last went well, in seconds since 1970",
    }
}
