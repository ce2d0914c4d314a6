//! The revenue page with a real database behind, over a history that was reckoned by hand (`history.sql`).
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod load;
mod pages;
mod queries;
mod support;
mod views;

const HISTORY: &str = include_str!("history.sql");
