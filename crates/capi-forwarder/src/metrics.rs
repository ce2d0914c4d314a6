//! What this process counts of its own work.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The forwarder's metrics. Clones share them.
#[derive(Clone)]
pub struct ForwarderMetrics {
    pub(crate) events: Family<EventLabels, Counter>,
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) request_seconds: Histogram,
    pub(crate) batch_size: Histogram,
    pub(crate) in_flight: Gauge,
    pub(crate) taken_over: Counter,
    pub(crate) leases_lost: Counter,
    pub(crate) splits: Counter,
    pub(crate) resent: Counter,
    pub(crate) database_retries: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EventLabels {
    pub(crate) outcome: EventOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(
    non_camel_case_types,
    reason = "the names are label values, which are lower case"
)]
pub(crate) enum EventOutcome {
    success,
    /// Tried again later, with one retry less.
    error,
    /// Tried again later, with all the retries it had.
    parked,
    expired,
    /// Refused for good, or out of retries.
    dead,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) result: RequestResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(
    non_camel_case_types,
    reason = "the names are label values, which are lower case"
)]
pub(crate) enum RequestResult {
    success,
    transient,
    unknown,
    throttled,
    blocked,
    refused,
    too_large,
}

impl ForwarderMetrics {
    /// Registers the metrics, whose names then begin with `rastro_forward`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = ForwarderMetrics {
            events: Family::default(),
            requests: Family::default(),
            request_seconds: Histogram::new([0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0]),
            batch_size: Histogram::new([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0]),
            in_flight: Gauge::default(),
            taken_over: Counter::default(),
            leases_lost: Counter::default(),
            splits: Counter::default(),
            resent: Counter::default(),
            database_retries: Counter::default(),
        };
        let registry = registry.sub_registry_with_prefix("forward");
        registry.register(
            "events",
            "Events by outcome of an attempt",
            metrics.events.clone(),
        );
        registry.register("requests", "Requests to Meta by result", metrics.requests.clone());
        registry.register_with_unit(
            "request",
            "Time from sending a request to Meta to having read its answer",
            Unit::Seconds,
            metrics.request_seconds.clone(),
        );
        registry.register(
            "batch_size",
            "Events in one request to Meta",
            metrics.batch_size.clone(),
        );
        registry.register(
            "in_flight",
            "Requests on their way to Meta",
            metrics.in_flight.clone(),
        );
        registry.register(
            "batches_taken_over",
            "Batches whose lease had ended because their sender died or was too slow",
            metrics.taken_over.clone(),
        );
        registry.register(
            "leases_lost",
            "Batches that were finished by another forwarder, because this one was too slow",
            metrics.leases_lost.clone(),
        );
        registry.register(
            "batches_split",
            "Batches cut in halves to find the event that Meta refuses",
            metrics.splits.clone(),
        );
        registry.register(
            "events_resent",
            "Events sent again because their batch was taken over: Meta may have them already",
            metrics.resent.clone(),
        );
        registry.register(
            "database_retries",
            "Calls of the database by a delivery that failed and were tried again",
            metrics.database_retries.clone(),
        );
        metrics
    }
}
