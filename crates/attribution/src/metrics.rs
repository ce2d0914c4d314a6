//! What this process counts of its own work.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use rastro_service::{labels, metrics};

labels! {
    NotificationLabels {
        outcome: NotificationOutcome [
            /// The payment is in the books as it was read.
            done,
            ignored,
            /// Tried again later.
            later,
            parked,
        ]
    }
}

labels! {
    ReadLabels { outcome: ReadOutcome [ok, not_found, unavailable, blocked, invalid] }
}

labels! {
    ComparisonLabels {
        outcome: ComparisonOutcome [
            /// Its whole window is compared.
            complete,
            /// It goes on where it was, when its lease is over.
            interrupted,
        ]
    }
}

metrics! {
    /// The service's metrics. Clones share them.
    pub struct AttributionMetrics in "attribution" {
        notifications: Family<NotificationLabels, Counter> => "Payment notifications, by what became of them",
        reads: Family<ReadLabels, Counter> = "payment_reads" => "Payments read from Mercado Pago",
        purchases: Counter => "Payments that became a Purchase",
        movements: Counter => "Movements booked",
        comparisons: Family<ComparisonLabels, Counter> => "Comparisons of accounts, by how they ended",
        findings: Counter => "Differences found by comparisons",
    }
}
