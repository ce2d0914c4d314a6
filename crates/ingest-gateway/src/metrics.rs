//! What this process counts of its own work.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The gateway's metrics. Clones share them.
#[derive(Clone)]
pub struct GatewayMetrics {
    pub(crate) events: Family<EventLabels, Counter>,
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) group_size: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) commit_failures: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EventLabels {
    pub(crate) result: EventResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(
    non_camel_case_types,
    reason = "the names are label values, which are lower case"
)]
pub(crate) enum EventResult {
    accepted,
    duplicate,
    rejected,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) status: u16,
}

impl GatewayMetrics {
    /// Registers the metrics, whose names then begin with `rastro_ingest`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = GatewayMetrics {
            events: Family::default(),
            requests: Family::default(),
            group_size: Histogram::new([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0]),
            commit_seconds: Histogram::new([
                0.000_5, 0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0,
            ]),
            commit_failures: Counter::default(),
        };
        let registry = registry.sub_registry_with_prefix("ingest");
        registry.register("events", "Events by what became of them", metrics.events.clone());
        registry.register("requests", "Requests by HTTP status", metrics.requests.clone());
        registry.register(
            "group_size",
            "Events stored in one commit",
            metrics.group_size.clone(),
        );
        registry.register_with_unit(
            "commit",
            "Time to store one group",
            Unit::Seconds,
            metrics.commit_seconds.clone(),
        );
        registry.register(
            "commit_failures",
            "Groups that could not be stored; their callers were told to retry",
            metrics.commit_failures.clone(),
        );
        metrics
    }

    pub(crate) fn count(&self, result: EventResult, events: usize) {
        if events > 0 {
            self.events
                .get_or_create(&EventLabels { result })
                .inc_by(events as u64);
        }
    }
}
