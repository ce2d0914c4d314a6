//! The dashboard and what it reads, over rows that are all known: what it shows, to whom, what its forms do,
//! and whether its numbers are right.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod forms;
mod html;
mod numbers;
#[path = "../panel/mod.rs"]
mod panel;
mod rows;
mod seed;
mod sight;
