//! The capi-forwarder: sends stored events to Meta and records what came of each. It is the only sender, so it is the
//! only place for batching, limits and fairness.
//!
//! [`forwarder`] decides what is sent next; [`delivery`] carries one batch to Meta and back into the log.

pub mod config;

mod delivery;
mod forwarder;
mod metrics;

pub use delivery::Courier;
pub use forwarder::run;
pub use metrics::ForwarderMetrics;
