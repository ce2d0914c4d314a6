//! The capi-forwarder: sends stored events to Meta and records what came of each. It is the only sender, so
//! it is the only place for batching, limits and fairness.
//!
//! [`forwarder`] decides what is sent next; [`delivery`] sends one batch and records what came of it;
//! [`refusals`] tells refused events from a Meta that refuses everything.

pub mod config;

mod delivery;
mod forwarder;
mod metrics;
mod refusals;

pub use delivery::Sender;
pub use forwarder::run;
pub use metrics::ForwarderMetrics;
