//! What this process counts of its own work.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use rastro_service::{labels, metrics};

// Something the worker does again and again; its rows are what it changed.
labels! {
    StepLabels {
        step: Step [
            expire_waiting,
            requeue_due,
            dissolve_lapsed,
            requeue_for_probe,
            tick_breakers,
            revive_after_outage,
            take_the_lead,
            create_partitions,
            drop_partitions,
            vacuum_queues,
            expire_dedup_keys,
            expire_idempotency_keys,
            expire_ready,
            clear_deleted_datasets,
            purge_dead_letters,
            purge_transitions,
            forget_leads,
            forget_touchpoints,
            forget_claims,
            forget_notifications,
            forget_payers,
            forget_customers,
            forget_findings,
        ]
    }
}

labels! {
    ChangeLabels { to: BreakerState [closed, open, half_open] }
}

metrics! {
    /// The worker's metrics. Clones share them.
    pub struct WorkerMetrics in "retry" {
        runs: Family<StepLabels, Counter> = "step_runs" => "Steps that were begun",
        failures: Family<StepLabels, Counter> = "step_failures" => "Steps that failed and are tried again",
        rows: Family<StepLabels, Counter> = "step_rows"
            => "What steps changed: events, breakers, keys, partitions, queues",
        /// In seconds since 1970, so that its age can be told while nothing succeeds.
        last_success: Family<StepLabels, Gauge> = "step_last_success_timestamp_seconds"
            => "When the step last succeeded, since 1970",
        breaker_changes: Family<ChangeLabels, Counter>
            => "Circuit breakers that this worker brought into another state",
        leads: Gauge => "1 in the worker that does the maintenance",
        partition_days_ahead: Gauge
            => "For how many days after today events can be stored, as the leader last saw it",
    }
}
