//! `monitor check` against a real PostgreSQL, a stand-in for Slack and a real SMTP server, with a clock that
//! the tests move.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers are tests too, and a failed unwrap fails the test"
)]

mod alerts;
mod channels;
mod crashes;
mod heartbeat;
mod quality;
mod revenue_rules;
mod rules;
mod support;
