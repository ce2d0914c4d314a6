//! The rules of Rastro, as functions from values to values: what an event is, which identifiers go with it
//! and in which form, when two events are the same one, and what Meta would refuse.
//!
//! Nothing here does I/O, reads a clock, draws a random number or knows a database: time and chance arrive as
//! arguments. In reading order: [`json`], [`finding`], [`dataset`], [`match_keys`], [`click_id`],
//! [`user_data`], [`custom_data`], [`page`], [`event`], [`dedup`], [`origin`], [`consent`], [`person`],
//! [`lead`], [`lead_status`], [`lead_value`], [`purchase`], [`payment`], [`touchpoint`], [`attribution`],
//! [`metrics`], [`month`], [`forecast`], [`settlement`], [`spend`], [`retry`], [`circuit_breaker`],
//! [`alert`], [`match_quality`].

pub mod alert;
pub mod attribution;
pub mod circuit_breaker;
pub mod click_id;
pub mod consent;
pub mod custom_data;
pub mod dataset;
pub mod dedup;
pub mod event;
pub mod finding;
pub mod forecast;
pub mod json;
pub mod lead;
pub mod lead_status;
pub mod lead_value;
pub mod match_keys;
pub mod match_quality;
pub mod metrics;
pub mod month;
pub mod origin;
pub mod page;
pub mod payment;
pub mod person;
mod personal_data;
mod placeholder;
pub mod purchase;
pub mod retry;
pub mod settlement;
pub mod spend;
pub mod touchpoint;
pub mod user_agent;
pub mod user_data;
