//! The ingest-gateway: takes conversion events in over HTTP, and answers 202 when they are durable.
//!
//! A request goes through [`cors`] and [`browser`] (what pages need), [`auth`] (which dataset), [`body`] (its
//! bytes), [`wire`] (JSON in), `rastro-core` (valid, normalised, hashed), [`group_commit`] (stored, once) and
//! back. [`problem`] is every answer that is not a success.

pub mod command_line;
pub mod config;
pub mod openapi;

mod administration;
mod app;
mod auth;
mod body;
mod browser;
mod cors;
#[cfg(test)]
mod fuzz;
mod group_commit;
mod handlers;
mod idempotency;
mod lead_values;
mod memory;
mod metrics;
mod problem;
mod readiness;
mod sdk;
mod seed;
mod set_aside;
mod visitor;
mod webhook_accounts;
mod webhook_signature;
mod wire;

pub use app::{Gateway, Listening};
pub use metrics::GatewayMetrics;
pub use seed::{reseed, seed, seed_until_done};
