//! The forwarder: what reaches Meta, how often, and what is recorded of it.

#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod crashes;
mod delivery;
mod fairness;
mod left_alone;
mod recording;
mod refusals;
mod support;
mod tracing;
