//! Alerts: from what was measured and the last state to the next, and to what is to be said about it.
//!
//! A [`Rule`] measures a number of a subject (a dataset, or the whole system; [`measure`] has the
//! arithmetic). [`state`] makes of that number, the thresholds and the alert as it was the alert as it is:
//! quiet, pending, firing, resolved. [`mute`] keeps back what only follows from another alert. [`message`]
//! says which messages are due. All of it is functions of values: whoever calls brings the measurements and
//! the time.

pub mod facts;
pub mod measure;
pub mod message;
pub mod mute;
pub mod rule;
pub mod settings;
pub mod state;

pub use facts::{Amount, Facts};
pub use rule::{Rule, Severity};
pub use settings::{AlertRules, Thresholds};
pub use state::{Alert, AlertState, Measurement, Subject};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
