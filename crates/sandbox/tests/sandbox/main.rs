//! The sandbox as its clients see it: over HTTP, against Meta's published samples, captured answers and a
//! real SDK.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers are tests too, and a failed unwrap fails the test"
)]

mod dedup;
mod edge;
mod encodings;
mod faults;
mod inspect;
mod objects;
mod python_sdk;
mod rules;
mod samples;
mod sources;
mod support;
