//! The monitor: what nobody has to remember to look at. [`check`] is one run: it evaluates the alert rules of
//! `rastro_core::alert` on what the database measured, writes what changed together with what is to be said,
//! says it ([`notify`]), and counts events for the pages. [`dashboard`] is those pages.
//!
//! It reads the tables of the other services and changes none of them, except by what an operator orders on a
//! page.

pub mod check;
pub mod commands;
pub mod config;
pub mod dashboard;
pub mod notify;
pub mod words;

mod metrics;

pub use metrics::MonitorMetrics;
