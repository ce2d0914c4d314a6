//! What this process counts of its own work.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The worker's metrics. Clones share them.
#[derive(Clone)]
pub struct WorkerMetrics {
    pub(crate) runs: Family<StepLabels, Counter>,
    pub(crate) failures: Family<StepLabels, Counter>,
    pub(crate) rows: Family<StepLabels, Counter>,
    /// In seconds since 1970, so that its age can be told while nothing succeeds.
    pub(crate) last_success: Family<StepLabels, Gauge>,
    pub(crate) breaker_changes: Family<ChangeLabels, Counter>,
    pub(crate) leads: Gauge,
    pub(crate) partition_days_ahead: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StepLabels {
    pub(crate) step: Step,
}

/// Something the worker does again and again; its rows are what it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(
    non_camel_case_types,
    reason = "the names are label values, which are lower case"
)]
pub(crate) enum Step {
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
    expire_ready,
    clear_deleted_datasets,
    purge_dead_letters,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ChangeLabels {
    pub(crate) to: BreakerState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(
    non_camel_case_types,
    reason = "the names are label values, which are lower case"
)]
pub(crate) enum BreakerState {
    closed,
    open,
    half_open,
}

impl WorkerMetrics {
    /// Registers the metrics, whose names then begin with `rastro_retry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = WorkerMetrics {
            runs: Family::default(),
            failures: Family::default(),
            rows: Family::default(),
            last_success: Family::default(),
            breaker_changes: Family::default(),
            leads: Gauge::default(),
            partition_days_ahead: Gauge::default(),
        };
        let registry = registry.sub_registry_with_prefix("retry");
        registry.register("step_runs", "Steps that were begun", metrics.runs.clone());
        registry.register(
            "step_failures",
            "Steps that failed and are tried again",
            metrics.failures.clone(),
        );
        registry.register(
            "step_rows",
            "What steps changed: events, breakers, keys, partitions, queues",
            metrics.rows.clone(),
        );
        registry.register_with_unit(
            "step_last_success_timestamp",
            "When the step last succeeded, since 1970",
            Unit::Seconds,
            metrics.last_success.clone(),
        );
        registry.register(
            "breaker_changes",
            "Circuit breakers that this worker brought into another state",
            metrics.breaker_changes.clone(),
        );
        registry.register(
            "leads",
            "1 in the worker that does the maintenance",
            metrics.leads.clone(),
        );
        registry.register(
            "partition_days_ahead",
            "For how many days after today events can be stored, as the leader last saw it",
            metrics.partition_days_ahead.clone(),
        );
        metrics
    }
}
