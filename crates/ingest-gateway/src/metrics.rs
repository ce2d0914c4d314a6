//! What this process counts of its own work.

use actix_web::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use rastro_service::{labels, metrics};

labels! {
    EventLabels { result: EventResult [accepted, duplicate, rejected] }
}

labels! {
    WebhookLabels {
        result: WebhookResult [
            stored,
            /// It had come before.
            repeated,
            /// Nobody signed it, and it is not followed.
            ignored,
            /// Its signature is nobody's.
            refused,
        ]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) status: u16,
}

metrics! {
    /// The gateway's metrics. Clones share them.
    pub struct GatewayMetrics in "ingest" {
        events: Family<EventLabels, Counter> => "Events by what became of them",
        requests: Family<RequestLabels, Counter> => "Requests by HTTP status",
        webhooks: Family<WebhookLabels, Counter> => "Notifications of payments, by what became of them",
        group_size: Histogram[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0]
            => "Events stored in one commit",
        commit_seconds: Histogram[
            0.000_5, 0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0
        ] => "Time to store one group",
        commit_failures: Counter => "Groups that could not be stored; their callers were told to retry",
        skipped_keys: Gauge
            => "API keys that this version does not understand, and therefore does not let in",
    }
}

impl GatewayMetrics {
    pub(crate) fn answered(&self, status: StatusCode) {
        let status = status.as_u16();
        self.requests.get_or_create(&RequestLabels { status }).inc();
    }

    pub(crate) fn count(&self, result: EventResult, events: usize) {
        if events > 0 {
            self.events
                .get_or_create(&EventLabels { result })
                .inc_by(events as u64);
        }
    }
}
