//! The retry-worker among the other services, with time moved by the tests.

#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

mod maintenance;
mod outages;
mod poison;
mod retries;
mod support;
