//! What this process counts of its own work.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use rastro_service::{labels, metrics};

labels! {
    EventLabels {
        outcome: EventOutcome [
            success,
            /// Tried again later, with one retry less.
            error,
            /// Tried again later, with all the retries it had.
            parked,
            expired,
            /// Refused for good, or out of retries.
            dead,
        ]
    }
}

labels! {
    RequestLabels { result: RequestResult [
            success, transient, unknown, throttled, blocked, refused, too_large,
        ] }
}

metrics! {
    /// The forwarder's metrics. Clones share them.
    pub struct ForwarderMetrics in "forward" {
        events: Family<EventLabels, Counter> => "Events by outcome of an attempt",
        requests: Family<RequestLabels, Counter> => "Requests to Meta by result",
        request_seconds: Histogram[0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 1.5, 2.0, 5.0, 10.0, 30.0]
            => "Time from sending a request to Meta to having read its answer",
        batch_size: Histogram[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0]
            => "Events in one request to Meta",
        in_flight: Gauge => "Requests on their way to Meta",
        taken_over: Counter = "batches_taken_over"
            => "Batches whose lease had ended because their sender died or was too slow",
        leases_lost: Counter
            => "Batches that were finished by another forwarder, because this one was too slow",
        splits: Counter = "batches_split" => "Batches cut in halves to find the event that Meta refuses",
        resent: Counter = "events_resent"
            => "Events sent again because their batch was taken over: Meta may have them already. What the \
                retry-worker dissolved, whose dataset was left alone, is sent as if for the first time",
        database_retries: Counter
            => "Calls of the database by a delivery that failed and were tried again",
    }
}
